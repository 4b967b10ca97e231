export { type Education, type EducationTransaction, openEducation } from './client';
export { $Enums, Prisma } from './generated/client';
