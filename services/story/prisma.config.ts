import { defineConfig } from 'prisma/config';
import { serviceConfig } from '../../prisma/service-config';

export default defineConfig(serviceConfig('story'));
