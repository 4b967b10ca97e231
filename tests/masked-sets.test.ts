/** @server any */
import { describeMaskedSets } from './masked-sets';

describeMaskedSets(['auth']);
