import type { LegacyRecord, SourceItem } from '../source';
import { booleanOf, type ColumnValue, requiredText, textOf, timeOf } from '../values';
import {
  from,
  idFrom,
  needText,
  needTime,
  object,
  orElse,
  type ReadColumn,
  sha256,
  shortText,
  text,
  updatedAt,
  word,
} from './columns';
import {
  databasesWith,
  type LegacyDatabase,
  type LegacyStage,
  type LegacyTable,
  readTable,
  rowOf,
  sourcesOf,
  tableStage,
} from './legacy-table';

const role = word('student', 'educator', 'employer', 'member', 'user', 'admin', 'owner');
const email: ReadColumn = (record, field) => requiredText(record, field, 255).trim();
/** The hash of a token, which is all that auth keeps of it. */
const hashed: ReadColumn = (record) => sha256(requiredText(record, 'token'));

/**
 * People. A legacy hash of a password cannot be checked: it is kept apart, and the person must set a new password. The counters and
 * locks of the legacy password stay behind. A person whom auth has changed later stays as it is.
 */
const USERS: LegacyTable = {
  name: 'users',
  service: 'auth',
  table: 'users',
  key: ['id'],
  newerBy: 'updated_at',
  keep: ['legacy_password_hash', 'password_salt', 'password_reset_required'],
  fields: ['password_hash', 'org_id'],
  values: {
    id: needText,
    email,
    legacy_password_hash: from('password_hash', text),
    password_salt: (record) =>
      textOf(record, 'password_hash') === null ? null : (textOf(record, 'password_salt') ?? ''),
    password_reset_required: () => 'true',
    name: orElse(text, ''),
    role: orElse(role, 'member'),
    is_active: orElse(booleanOf, 'true'),
    email_verified: orElse(booleanOf, 'false'),
    avatar_url: text,
    preferences: orElse(object, '{}'),
    last_login_at: timeOf,
    last_activity_at: timeOf,
    last_debate_at: timeOf,
    created_at: needTime,
    updated_at: updatedAt,
  },
};

const ORGANIZATIONS: LegacyTable = {
  name: 'organizations',
  service: 'auth',
  table: 'organizations',
  key: ['id'],
  newerBy: 'updated_at',
  values: {
    id: needText,
    name: needText,
    slug: needText,
    tier: orElse(text, 'free'),
    owner_id: text,
    stripe_customer_id: text,
    stripe_subscription_id: text,
    settings: orElse(object, '{}'),
    created_at: needTime,
    updated_at: updatedAt,
  },
};

/** The organizations of the users, which their owners precede. A user whom auth has changed later stays in his organization. */
function currentOrganizations(databases: readonly LegacyDatabase[]): LegacyStage {
  const values = { id: needText, org: from('org_id', text), changed_at: from('updated_at', updatedAt) };
  return {
    from: 'users',
    fields: [],
    stage: {
      name: 'current organizations of users',
      service: 'auth',
      table: 'users',
      key: ['id'],
      columns: ['id', 'org_id'],
      inputs: ['org', 'changed_at'],
      expressions: {
        org_id: `SELECT CASE WHEN "known"."updated_at" > "row"."changed_at"::timestamptz THEN "known"."org_id" ELSE "row"."org" END
          FROM (SELECT) AS "one" LEFT JOIN "public"."users" AS "known" ON "known"."id" = "row"."id"`,
      },
      updatesOnly: true,
      sources: sourcesOf(databases, 'users'),
      map: (record) => (textOf(record, 'org_id') === null ? [] : [rowOf(values, record)]),
    },
  };
}

/**
 * The members of the organizations: the users who are in them, and then the owners. An organization has one owner, so another user
 * with the role owner becomes an administrator.
 */
function members(databases: readonly LegacyDatabase[]): LegacyStage {
  const values: LegacyTable['values'] = {
    id: idFrom('org_id', 'user_id'),
    org_id: needText,
    user_id: needText,
    role: needText,
    created_at: needTime,
    updated_at: (record) => later(updatedAt(record, 'updated_at'), timeOf(record, 'org_updated_at')),
  };
  return {
    from: 'users',
    fields: [],
    stage: {
      name: 'members of organizations',
      service: 'auth',
      table: 'organization_members',
      key: ['org_id', 'user_id'],
      newerBy: 'updated_at',
      keep: ['id', 'created_at'],
      columns: Object.keys(values),
      sources: sourcesOf(databases, 'users', (database) => readMembers(databases, database)),
      map: (record) => [rowOf(values, record)],
    },
  };
}

async function* readMembers(
  databases: readonly LegacyDatabase[],
  database: LegacyDatabase,
): AsyncGenerator<SourceItem> {
  const organizations = await organizationsIn(databases);
  for (const wanted of [othersOf, ownersOf]) {
    for await (const { position, value } of readTable(database, 'users')) {
      // A record that cannot be read is a reject of the users.
      if (value === undefined) continue;
      for (const member of wanted(value, organizations)) yield { position, value: member };
    }
  }
}

function ownersOf(user: LegacyRecord, organizations: LegacyOrganizations): readonly LegacyRecord[] {
  const owned = organizations.byOwner.get(idOf(user['id']) ?? '') ?? [];
  return owned.map((orgId) => memberOf(user, orgId, 'owner', organizations));
}

function othersOf(user: LegacyRecord, organizations: LegacyOrganizations): readonly LegacyRecord[] {
  const orgId = idOf(user['org_id']);
  const owned = organizations.byOwner.get(idOf(user['id']) ?? '') ?? [];
  if (orgId === undefined || owned.includes(orgId)) return [];
  const { role } = user;
  return [memberOf(user, orgId, role === 'owner' || role === 'admin' ? 'admin' : 'member', organizations)];
}

function memberOf(user: LegacyRecord, orgId: string, role: string, { byId }: LegacyOrganizations): LegacyRecord {
  const { id, created_at, updated_at } = user;
  const org_updated_at = byId.get(orgId)?.['updated_at'];
  return { org_id: orgId, user_id: id, role, created_at, updated_at, org_updated_at };
}

interface LegacyOrganizations {
  readonly byId: ReadonlyMap<string, LegacyRecord>;
  /** Their ids. */
  readonly byOwner: ReadonlyMap<string, readonly string[]>;
}

async function organizationsIn(databases: readonly LegacyDatabase[]): Promise<LegacyOrganizations> {
  const byId = new Map<string, LegacyRecord>();
  const byOwner = new Map<string, readonly string[]>();
  for (const database of databasesWith(databases, 'organizations')) {
    for await (const { value = {} } of readTable(database, 'organizations')) {
      const id = idOf(value['id']);
      const owner = idOf(value['owner_id']);
      if (id === undefined || byId.has(id)) continue;
      byId.set(id, { updated_at: value['updated_at'] });
      if (owner !== undefined) byOwner.set(owner, [...(byOwner.get(owner) ?? []), id]);
    }
  }
  return { byId, byOwner };
}

const idOf = (value: unknown) => (typeof value === 'string' || typeof value === 'number' ? String(value) : undefined);

const later = (left: ColumnValue, right: ColumnValue) =>
  Date.parse(left ?? '') < Date.parse(right ?? '') ? right : left;

/** External accounts without their tokens, which would have to be encrypted: the user signs in with the provider again. */
const PROVIDERS: LegacyTable = {
  name: 'external accounts',
  service: 'auth',
  table: 'oauth_providers',
  key: ['provider', 'provider_user_id'],
  keep: ['id'],
  values: {
    id: idFrom('provider', 'provider_user_id'),
    user_id: needText,
    provider: needText,
    provider_user_id: needText,
    email: shortText(255),
  },
};

const INVITATIONS: LegacyTable = {
  name: 'invitations',
  service: 'auth',
  table: 'org_invitations',
  key: ['id'],
  fields: ['token'],
  values: {
    id: needText,
    org_id: needText,
    email,
    role: orElse(word('admin', 'member'), 'member'),
    token_hash: hashed,
    invited_by: text,
    created_at: needTime,
    expires_at: needTime,
    accepted_at: timeOf,
  },
};

const REVOKED_TOKENS: LegacyTable = {
  name: 'revoked tokens',
  service: 'auth',
  table: 'token_blacklist',
  key: ['jti'],
  values: { jti: needText, expires_at: needTime, revoked_at: needTime },
};

/** The stages into auth, in the order in which one needs the rows of another. */
export function authStages(databases: readonly LegacyDatabase[]): readonly LegacyStage[] {
  return [
    tableStage(databases, USERS),
    tableStage(databases, ORGANIZATIONS),
    currentOrganizations(databases),
    members(databases),
    tableStage(databases, PROVIDERS),
    tableStage(databases, INVITATIONS),
    tableStage(databases, REVOKED_TOKENS),
  ];
}
