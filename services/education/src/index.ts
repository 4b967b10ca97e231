export { type Education, type EducationTransaction, openEducation } from './client';
export { Prisma, $Enums } from './generated/client';
