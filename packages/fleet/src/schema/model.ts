import type { TablePrivilege } from '@azora/db-migrate';
import type { Erase, FieldPath, PiiKind, Retention } from './annotations';

/** What every service's schema says of its tables, with what its annotations say of their rows. */
export interface SchemaModel {
  /** In the order of the services that were read. */
  readonly services: readonly ServiceSchema[];
}

export interface ServiceSchema {
  readonly name: string;
  /** The schema, as messages name it: `services/auth/prisma/schema.prisma`. */
  readonly file: string;
  /** In the order of the schema. */
  readonly models: readonly ModelSchema[];
  readonly enums: readonly EnumSchema[];
}

export interface EnumSchema {
  readonly name: string;
  /** The type's name in the database. */
  readonly type: string;
  /** As the database has them. */
  readonly values: readonly string[];
  readonly line: number;
}

export interface ModelSchema {
  readonly name: string;
  readonly table: string;
  /** The prose of its comment, without the annotations. */
  readonly documentation: string;
  readonly line: number;
  readonly columns: readonly ColumnSchema[];
  /** Names of columns, as in everything below. */
  readonly primaryKey: readonly string[];
  readonly uniques: readonly IndexSchema[];
  readonly indexes: readonly IndexSchema[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly erase: Erase | undefined;
  readonly retain: (Retention & { readonly column: string }) | undefined;
  /** The app role's rights on the table. */
  readonly grant: readonly TablePrivilege[];
}

export interface ColumnSchema {
  readonly field: string;
  /** In the database. */
  readonly name: string;
  readonly documentation: string;
  readonly line: number;
  /** `String`, an enum's name, or `Unsupported` for a type that Prisma has no name for. */
  readonly pslType: string;
  /** `VarChar(200)`, where the schema names a type of the database. */
  readonly nativeType: string | undefined;
  /** As SQL would have it: `varchar(200)`, `timestamptz(6)`, `text[]`. */
  readonly sqlType: string;
  /** The values of its enum, as the database has them. */
  readonly enumValues: readonly string[] | undefined;
  readonly isNullable: boolean;
  readonly isList: boolean;
  /** Part of the primary key. */
  readonly isId: boolean;
  /** Its value alone identifies a row: the whole primary key, or unique by itself. */
  readonly isUnique: boolean;
  /** As the schema has it: `now()`, `0`, `"en"`. */
  readonly default: string | undefined;
  readonly ref: FieldPath | undefined;
  readonly subject: FieldPath | undefined;
  readonly pii: PiiKind | undefined;
  readonly isSecret: boolean;
  /** SQL for what stands in its place in a masked backup. */
  readonly mask: string | undefined;
}

export interface IndexSchema {
  readonly name: string;
  readonly columns: readonly string[];
}

export interface ForeignKey {
  /** The relation's field. */
  readonly field: string;
  readonly columns: readonly string[];
  readonly target: { readonly model: string; readonly table: string; readonly columns: readonly string[] };
  /** `Cascade`, `Restrict`, `SetNull` …, Prisma's default included. */
  readonly onDelete: string;
  /** Whether a row may be without a parent. */
  readonly isNullable: boolean;
  /** Whether a parent has one child at most. */
  readonly isUnique: boolean;
}

/** Something in a schema that parses but cannot be used. */
export interface SchemaProblem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}
