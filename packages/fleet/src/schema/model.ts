import type { TablePrivilege } from '@azora/db-migrate';
import type { Erase, FieldPath, PiiKind, Retention, SourceField } from './annotations';

/** The tables of all services with the annotations of their schemas. */
export interface SchemaModel {
  /** In the order of the services that were read. */
  readonly services: readonly ServiceSchema[];
}

export interface ServiceSchema {
  readonly name: string;
  /** The schema file for messages: `services/auth/prisma/schema.prisma`. */
  readonly file: string;
  /** In the order of the schema. */
  readonly models: readonly ModelSchema[];
  readonly enums: readonly EnumSchema[];
}

export interface EnumSchema {
  readonly name: string;
  /** The name of the type in the database. */
  readonly type: string;
  /** The values in the database. */
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
  /** Names of columns, like all lists below. */
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
  /** The type of the database that the schema names: `VarChar(200)`. */
  readonly nativeType: string | undefined;
  /** The type in SQL: `varchar(200)`, `timestamptz(6)`, `text[]`. */
  readonly sqlType: string;
  /** The values of its enum in the database. */
  readonly enumValues: readonly string[] | undefined;
  readonly isNullable: boolean;
  readonly isList: boolean;
  /** Part of the primary key. */
  readonly isId: boolean;
  /** The value alone identifies a row: it is the whole primary key, or unique. */
  readonly isUnique: boolean;
  /** The default in the schema: `now()`, `0`, `"en"`. */
  readonly default: string | undefined;
  /** The generated client sets it at each change of the row. */
  readonly isUpdatedAt: boolean;
  readonly ref: FieldPath | undefined;
  readonly subject: FieldPath | undefined;
  readonly pii: PiiKind | undefined;
  readonly isSecret: boolean;
  /** SQL that replaces the value in a masked backup. */
  readonly mask: string | undefined;
  /** The columns that the value is computed or copied from. */
  readonly derivedFrom: readonly SourceField[] | undefined;
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
  /** `Cascade`, `Restrict`, `SetNull` …, including Prisma's default. */
  readonly onDelete: string;
  /** Whether a row may have no parent. */
  readonly isNullable: boolean;
  /** Whether a parent has at most one child. */
  readonly isUnique: boolean;
}

/** A part of a schema that parses but cannot be used. */
export interface SchemaProblem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}
