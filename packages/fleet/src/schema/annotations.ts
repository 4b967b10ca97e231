import { didYouMean, similarNames } from '@azora/db-core';
import { parsePrivileges, type TablePrivilege } from '@azora/db-migrate';

/** The kinds of personal data that `@pii` may name. */
export const PII_KINDS = [
  'email',
  'name',
  'phone',
  'ip',
  'address',
  'location',
  'birth-date',
  'free-text',
  'avatar',
  'device',
  'identifier',
  'financial',
  'health',
  'behaviour',
] as const;

export type PiiKind = (typeof PII_KINDS)[number];

/** A field of a model in any service, which schemas write as `auth.User.id`. */
export interface FieldPath {
  readonly service: string;
  readonly model: string;
  readonly field: string;
}

/** A column of the same service: of the same model, or of another one, which schemas write as `Model.field`. */
export interface SourceField {
  readonly model: string | undefined;
  readonly field: string;
}

/** The treatment of a person's rows on erasure. */
export type Erase =
  | { readonly action: 'delete' }
  | { readonly action: 'anonymise' }
  | { readonly action: 'retain'; readonly reason: string };

/** Rows may be pruned when `field` is longer ago than this. */
export interface Retention {
  readonly days: number;
  readonly field: string;
  /** SQL over the row; rows for which it is not true are kept, whatever their age. */
  readonly where?: string;
}

export interface ModelAnnotations {
  readonly erase?: Erase;
  readonly retain?: Retention;
  readonly grant?: readonly TablePrivilege[];
}

export interface ColumnAnnotations {
  readonly ref?: FieldPath;
  readonly subject?: FieldPath;
  readonly pii?: PiiKind;
  readonly secret?: true;
  /** SQL over the row that replaces the value in a masked backup. */
  readonly mask?: string;
  readonly 'derived-from'?: readonly SourceField[];
}

/** One line of a `///` comment, without the slashes. */
export interface DocLine {
  readonly line: number;
  readonly text: string;
}

export interface AnnotationProblem {
  readonly line: number;
  readonly message: string;
}

export interface ParsedComment<Annotations> {
  /** The other lines, joined. */
  readonly prose: string;
  readonly annotations: Annotations;
  readonly problems: readonly AnnotationProblem[];
}

type Words<Annotations> = {
  readonly [Word in keyof Annotations]-?: {
    readonly usage: string;
    readonly parse: (argument: string) => Annotations[Word] | undefined;
  };
};

const COLUMN_WORDS: Words<ColumnAnnotations> = {
  ref: { usage: '@ref service.Model.field', parse: parsePath },
  subject: { usage: '@subject service.Model.field', parse: parsePath },
  pii: { usage: `@pii ${PII_KINDS.join(' | ')}`, parse: (text) => PII_KINDS.find((kind) => kind === text) },
  secret: { usage: '@secret', parse: (text) => (text === '' ? true : undefined) },
  mask: { usage: '@mask SQL expression', parse: (text) => (text === '' ? undefined : text) },
  'derived-from': { usage: '@derived-from field, Model.field', parse: parseSources },
};

const MODEL_WORDS: Words<ModelAnnotations> = {
  erase: { usage: '@erase delete | anonymise | retain(reason)', parse: parseErase },
  retain: { usage: '@retain 90d by field [where SQL condition]', parse: parseRetention },
  grant: { usage: '@grant select, insert, update, delete', parse: parsePrivileges },
};

const KNOWN_WORDS = [...Object.keys(COLUMN_WORDS), ...Object.keys(MODEL_WORDS)];
const ANNOTATION = /^@([A-Za-z][\w-]*)\s*(.*)$/;
const ANNOTATION_INSIDE = new RegExp(`\\s@(${KNOWN_WORDS.join('|')})\\b`);

/**
 * Reads the annotations of a column. This is the whole grammar: one annotation in a line of the `///` comment, each at
 * most once for a column or model, and prose in lines of its own. A line that begins with another word, such as `@deprecated` or
 * `@zod`, belongs to another tool and counts as prose, unless the word is one of these with a typing error.
 *
 *     above a column
 *       @ref service.Model.field        the value is an id of another database (for a list: each of its values)
 *       @subject service.Model.field    the value identifies the person that the row is about
 *       @pii kind                       personal data of one of the {@link PII_KINDS}
 *       @secret                         never leaves the database in a log, an export or a masked backup
 *       @mask SQL expression            replaces the value in a masked backup, where the value must have a certain form;
 *                                       the name of the column itself keeps the value, and `masked(column)` is what the backup
 *                                       has of another column, or a keyed pseudonym of this one
 *       @derived-from field, Model.field  computed or copied from these columns, and masked like them
 *     above a model
 *       @erase delete                   the erasure of a person deletes the row,
 *       @erase anonymise                or removes the personal data from it,
 *       @erase retain(reason)           or keeps it as it is for this legal reason
 *       @retain 90d by field            rows may be pruned when this time is more than 90 days ago,
 *         where SQL condition           and, if it is given, this condition is true (on the same line)
 *       @grant select, insert           the app role's rights, when it has fewer than all {@link TABLE_PRIVILEGES}
 */
export function parseColumnComment(lines: readonly DocLine[]): ParsedComment<ColumnAnnotations> {
  return parseComment(COLUMN_WORDS, 'a column', lines);
}

/** Reads the annotations of a model in the grammar of {@link parseColumnComment}. */
export function parseModelComment(lines: readonly DocLine[]): ParsedComment<ModelAnnotations> {
  return parseComment(MODEL_WORDS, 'a model', lines);
}

/** Whether the text of a comment is an annotation, in any place. */
export function isAnnotation(text: string): boolean {
  const word = ANNOTATION.exec(text)?.[1];
  return word !== undefined && KNOWN_WORDS.includes(word);
}

/** The field as schemas write it: `auth.User.id`. */
export function pathText({ service, model, field }: FieldPath): string {
  return `${service}.${model}.${field}`;
}

function parseComment<Annotations extends object>(
  words: Words<Annotations>,
  place: string,
  lines: readonly DocLine[],
): ParsedComment<Partial<Annotations>> {
  const annotations: Partial<Annotations> = {};
  const problems: AnnotationProblem[] = [];
  const prose: string[] = [];
  for (const { line, text } of lines) {
    const [, word, argument = ''] = ANNOTATION.exec(text) ?? [];
    const isOurs = word !== undefined && similarNames(word, KNOWN_WORDS).length > 0;
    const message = isOurs ? take(words, annotations, place, word, argument.trim()) : proseProblem(text);
    if (message !== undefined) problems.push({ line, message });
    else if (!isOurs) prose.push(text);
  }
  return { prose: prose.join(' ').trim(), annotations, problems };
}

/** Adds the annotation of a line to `annotations`, or returns the problem. */
function take<Annotations extends object>(
  words: Words<Annotations>,
  annotations: Partial<Annotations>,
  place: string,
  word: string,
  argument: string,
): string | undefined {
  if (!hasWord(words, word)) {
    if (KNOWN_WORDS.includes(word)) return `@${word} is not allowed on ${place}`;
    const meant = similarNames(word, KNOWN_WORDS).map((known) => `@${known}`);
    return `@${word} is not an annotation. ${didYouMean(meant)}`;
  }
  if (annotations[word] !== undefined) return `@${word} is given twice`;
  const value = words[word].parse(argument);
  if (value === undefined) return `"@${`${word} ${argument}`.trim()}" does not match ${words[word].usage}`;
  annotations[word] = value;
  return undefined;
}

function hasWord<Annotations extends object>(
  words: Words<Annotations>,
  word: string,
): word is keyof Annotations & string {
  return Object.hasOwn(words, word);
}

/** Every tool would overlook an annotation inside a sentence. */
function proseProblem(text: string): string | undefined {
  const word = ANNOTATION_INSIDE.exec(text)?.[1];
  return word === undefined ? undefined : `@${word} must be on a line of its own`;
}

function parsePath(text: string): FieldPath | undefined {
  const [, service, model, field] = /^([a-z][a-z0-9-]*)\.([A-Za-z]\w*)\.([A-Za-z]\w*)$/.exec(text) ?? [];
  return service === undefined || model === undefined || field === undefined ? undefined : { service, model, field };
}

function parseSources(text: string): readonly SourceField[] | undefined {
  const sources = text.split(/\s*,\s*/).map((source) => {
    const [, model, field] = /^(?:([A-Za-z]\w*)\.)?([A-Za-z]\w*)$/.exec(source) ?? [];
    return field === undefined ? undefined : { model, field };
  });
  const known = sources.filter((source) => source !== undefined);
  return known.length === sources.length ? known : undefined;
}

function parseErase(text: string): Erase | undefined {
  if (text === 'delete' || text === 'anonymise') return { action: text };
  const reason = /^retain\((.+)\)$/.exec(text)?.[1]?.trim();
  return reason === undefined || reason === '' ? undefined : { action: 'retain', reason };
}

function parseRetention(text: string): Retention | undefined {
  const [, days, field, where] = /^([1-9]\d{0,4})d by ([A-Za-z]\w*)(?: where (\S.*))?$/.exec(text) ?? [];
  if (days === undefined || field === undefined) return undefined;
  return { days: Number(days), field, ...(where !== undefined && { where }) };
}
