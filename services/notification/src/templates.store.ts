import { cursorInput, pageOf } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Notifications } from './client';
import { readInput, templateNotFound } from './errors';
import type { NotificationType } from './generated/client';
import { messageInput, pathInput, templateNameInput, titleInput, typeInput } from './input';
import { onlyRow, type Row, type Template } from './rows';

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

export interface SaveTemplateInput {
  /** Lower-case words with dots and hyphens, such as `course-completed` or `welcome.fr`. */
  readonly name: string;
  /** `info` when absent. */
  readonly type?: NotificationType;
  /** Both texts may have places such as `{{course}}`: a letter in lower case, then letters and digits. */
  readonly title: string;
  readonly message: string;
  readonly actionUrl?: string;
}

export interface TemplateInput {
  readonly name: string;
}

export interface ListTemplatesInput {
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface TemplatePage {
  /** By name. */
  readonly templates: readonly Template[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

const saveInput = z.strictObject({
  name: templateNameInput,
  type: typeInput.default('info'),
  title: titleInput,
  message: messageInput,
  actionUrl: pathInput.optional(),
});
const nameInput = z.strictObject({ name: templateNameInput });
const listInput = z.strictObject({
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});

const SAVE = `
  INSERT INTO templates AS t (name, type, title, message, action_url) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (name) DO UPDATE SET type = excluded.type, title = excluded.title, message = excluded.message,
    action_url = excluded.action_url, updated_at = excluded.updated_at
  RETURNING *`;

/**
 * Creates a template, or replaces it. Notifications that were sent keep their text.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function saveTemplate(notifications: Notifications, input: SaveTemplateInput): Promise<Template> {
  const { name, type, title, message, actionUrl = null } = readInput(saveInput, input);
  const rows = await notifications.query<TemplateRow>({ text: SAVE, values: [name, type, title, message, actionUrl] });
  return templateOf(onlyRow(rows));
}

/**
 * A template by its name, or null.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function findTemplate(notifications: Notifications, input: TemplateInput): Promise<Template | null> {
  const { name } = readInput(nameInput, input);
  const [row] = await notifications.query<TemplateRow>({
    text: 'SELECT * FROM templates WHERE name = $1',
    values: [name],
  });
  return row === undefined ? null : templateOf(row);
}

/** The cursor of core names a time and an id; a template has its name only. */
const LIST = `SELECT *, name AS id, '0' AS micros FROM templates
  WHERE $1::text IS NULL OR name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2`;

/**
 * A page of all templates, by name.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function listTemplates(
  notifications: Notifications,
  input: ListTemplatesInput = {},
): Promise<TemplatePage> {
  const { limit, cursor } = readInput(listInput, input);
  const found = await notifications.query<TemplateRow & { readonly id: string; readonly micros: string }>({
    text: LIST,
    values: [cursor?.id ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { templates: rows.map(templateOf), nextCursor };
}

/**
 * Deletes a template. Notifications that were sent keep their text.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.TEMPLATE_NOT_FOUND`
 */
export async function deleteTemplate(notifications: Notifications, input: TemplateInput): Promise<void> {
  const { name } = readInput(nameInput, input);
  const rows = await notifications.query({
    text: 'DELETE FROM templates WHERE name = $1 RETURNING name',
    values: [name],
  });
  if (rows.length === 0) throw templateNotFound({ template: name });
}

type TemplateRow = Row<Template>;

function templateOf(row: TemplateRow): Template {
  return {
    name: row.name,
    type: row.type,
    title: row.title,
    message: row.message,
    actionUrl: row.action_url,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
