export { openTemplate, type Template, type TemplateTransaction } from './client';
export { $Enums, Prisma } from './generated/client';
export { type AddItemInput, addItem, type ListItemsInput, listItems } from './items.store';
