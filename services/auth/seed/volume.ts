import {
  type CopyValue,
  type SeedBlock,
  type SeedPerson,
  type TableRows,
  volumeId,
  volumePerson,
} from '@azora/db-core';

type Row = readonly CopyValue[];

interface VolumeUser {
  readonly index: number;
  readonly person: SeedPerson;
  readonly joined: Date;
  readonly lastLogin: Date;
}

const DAY_MS = 86_400_000;
/** `bcrypt.hashSync(password, salt)` of the seed password with the salt of seed.ts. Hashing here would take 0.2 s. */
const PASSWORD_HASH = '$2b$12$AzoraSeedSaltOfAllUse.baHmI5Rk0l04qn6LnOItijrxgYpYAfC';
const SESSION_DAYS = 30;
const AGENT = 'Mozilla/5.0 (Linux; Android 15) Chrome/138.0';

/** The rows of one block of users: the user, the profile, a session, and the audit entry of its sign-in. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'users',
      columns: [
        'id',
        'username',
        'email',
        'password_hash',
        'name',
        'role',
        'email_verified',
        'last_login_at',
        'created_at',
        'updated_at',
      ],
      rows: eachUser(block, userRow),
    },
    {
      table: 'user_profiles',
      columns: ['id', 'user_id', 'bio', 'city', 'country', 'created_at', 'updated_at'],
      rows: eachUser(block, profileRow),
    },
    {
      table: 'sessions',
      columns: ['id', 'user_id', 'token_hash', 'ip_address', 'user_agent', 'expires_at', 'created_at', 'updated_at'],
      rows: eachUser(block, sessionRow),
    },
    {
      table: 'audit_log',
      columns: [
        'id',
        'timestamp',
        'user_id',
        'action',
        'resource_type',
        'resource_id',
        'ip_address',
        'user_agent',
        'created_at',
      ],
      rows: eachUser(block, auditRow),
    },
  ];
}

function* eachUser({ firstUser, userCount, now }: SeedBlock, rowOf: (user: VolumeUser) => Row): Generator<Row> {
  for (let index = firstUser; index < firstUser + userCount; index += 1) {
    const joined = new Date(now.getTime() - (100 + (index % 300)) * DAY_MS);
    const lastLogin = new Date(now.getTime() - (1 + (index % 80)) * DAY_MS);
    yield rowOf({ index, person: volumePerson(index), joined, lastLogin });
  }
}

/** One address in ten is unverified. */
function userRow({ index, person, joined, lastLogin }: VolumeUser): Row {
  const { id, email, name, role } = person;
  return [id, `user${index}`, email, PASSWORD_HASH, name, role, index % 10 !== 3, lastLogin, joined, lastLogin];
}

function profileRow({ index, person: { id, bio, city, country }, joined }: VolumeUser): Row {
  return [volumeId('auth.UserProfile', index), id, bio, city, country, joined, joined];
}

/** The index in hex has the form of a hash and needs no hashing. */
function sessionRow({ index, person, lastLogin }: VolumeUser): Row {
  const tokenHash = index.toString(16).padStart(64, '0');
  const expiresAt = new Date(lastLogin.getTime() + SESSION_DAYS * DAY_MS);
  const id = volumeId('auth.Session', index);
  return [id, person.id, tokenHash, addressOf(index), AGENT, expiresAt, lastLogin, lastLogin];
}

function auditRow({ index, person, lastLogin }: VolumeUser): Row {
  const session = volumeId('auth.Session', index);
  const id = volumeId('auth.AuditLog', index);
  return [id, lastLogin, person.id, 'USER_LOGIN', 'session', session, addressOf(index), AGENT, lastLogin];
}

function addressOf(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}
