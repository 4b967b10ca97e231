/** @server any */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { describeMaskedSets } from './masked-sets';

describeMaskedSets(readdirSync(path.join(repositoryRoot(), 'services')).sort());
