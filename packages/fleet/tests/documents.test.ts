/** @server none */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findServices } from '../src/config/registry';
import { renderDocuments, writeDocuments } from '../src/operations/documents';
import { invariantsOf } from '../src/operations/documents/invariants';
import { GENERATED } from '../src/operations/documents/markdown';
import { relationTree } from '../src/operations/documents/status';
import { readSchemaModel } from '../src/schema/schema-model';
import { mermaidErrors } from './mermaid';
import { FIXTURE_ROOT, givenSuite, REPOSITORY_ROOT, removeSuites } from './suite-fixture';

async function givenFixture() {
  const services = await findServices(FIXTURE_ROOT);
  return { services, schemaModel: await readSchemaModel(services) };
}

afterEach(removeSuites);

describe('renderDocuments', () => {
  it('draws a service as an entity-relationship diagram, with names that Mermaid accepts', async () => {
    const { schemaModel, services } = await givenFixture();

    expect(renderDocuments(schemaModel, services).get('docs/er/shop.md')).toContain(SHOP_DIAGRAM);
  });

  it('draws the references between services', async () => {
    const { schemaModel, services } = await givenFixture();

    expect(renderDocuments(schemaModel, services).get('docs/er/references.md')).toContain(REFERENCES_DIAGRAM);
  });

  it('lists the models and annotations of each service in DATABASE-STATUS.md', async () => {
    const { schemaModel, services } = await givenFixture();
    const status = renderDocuments(schemaModel, services).get('DATABASE-STATUS.md');

    expect(status).toContain(
      '| [shop](#shop) | `azora_shops` | 2 | 9 | vector | append-only tables, full-text search, money | auth |',
    );
    expect(status).toContain(
      '| Order | `orders` | 6 | select, insert | retain: records of money are kept | What someone ordered \\| and paid. |',
    );
    expect(status).toContain('User\n├── Session (1:N, user_id)\n└── MfaSettings (1:1, user_id)\n');
    expect(status).toContain('| `role` | admin, plain_member |');
    expect(status).toContain('| `sessions.token` |  | yes |  |\n| `sessions.ip` | ip |  |  |');
    expect(status).toContain('| `sessions` | 90 days | `ended_at` |');
    expect(status).toContain('| `shop.orders.watchers` | `auth.users.id` | list |');
  });

  it('renders the same text every time, with LF line ends and a final newline', async () => {
    const { schemaModel, services } = await givenFixture();
    const first = renderDocuments(schemaModel, services);

    expect(renderDocuments(schemaModel, services)).toEqual(first);
    for (const text of first.values()) expect(text).toMatch(/^(?:[^\r]*[^\r\n])\n$/);
  });
});

describe('relationTree', () => {
  it('shows a child below each parent, its own children once, and ends at circles', async () => {
    const services = await givenSuite({ loop: LOOP });
    const [loop] = (await readSchemaModel(services)).services;

    expect(relationTree(loop?.models ?? [])).toEqual([
      'Root',
      '├── Leaf (1:N, a)',
      '│   └── Bud (1:N, leaf)',
      '└── Leaf (1:N, b)',
      'Egg',
      '└── Hen (1:1, egg)',
      '    └── Egg (1:1, hen)',
    ]);
  });
});

describe('invariantsOf', () => {
  it('finds the objects that only migrations define, except those that they drop', () => {
    const sql = `
      -- CONSTRAINT in_a_comment CHECK (true)
      CREATE TABLE "a" (CONSTRAINT "a_pkey" PRIMARY KEY ("id"), CONSTRAINT b_check CHECK (true));
      ALTER TABLE a ADD CONSTRAINT "a_check" CHECK (n > 0), ADD CONSTRAINT gone_check CHECK (true);
      ALTER TABLE a ADD CONSTRAINT a_excl EXCLUDE USING gist (span WITH &&);
      CREATE INDEX "declared_idx" ON a (n);
      CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_live_key ON a (lower(n)) WHERE live;
      CREATE INDEX gone_idx ON a (n);
      create constraint trigger a_append_only AFTER DELETE ON a EXECUTE FUNCTION refuse();
      ALTER TABLE a DROP CONSTRAINT IF EXISTS "gone_check";
      DROP INDEX gone_idx;`;

    expect(invariantsOf(sql, ['declared_idx'])).toEqual({
      checks: ['a_check', 'a_excl', 'b_check'],
      indexes: ['a_live_key'],
      triggers: ['a_append_only'],
    });
  });
});

describe('writeDocuments', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-documents-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const ALL = ['DATABASE-STATUS.md', 'docs/er/auth.md', 'docs/er/references.md', 'docs/er/shop.md'];

  it('writes missing documents, and then finds none stale', async () => {
    const { schemaModel, services } = await givenFixture();

    expect(await writeDocuments(root, schemaModel, services, { check: false })).toEqual(ALL);
    expect(await writeDocuments(root, schemaModel, services, { check: false })).toEqual([]);
    expect(await readFile(path.join(root, 'DATABASE-STATUS.md'), 'utf8')).toContain(
      '- Checks: `users_email_check`\n- Indexes: `sessions_live_key`\n- Triggers: `sessions_append_only`',
    );
  });

  it('with check returns the stale documents and writes nothing', async () => {
    const { schemaModel, services } = await givenFixture();

    expect(await writeDocuments(root, schemaModel, services, { check: true })).toEqual(ALL);
    expect(await readdir(root)).toEqual([]);
  });

  it('ignores changed line ends', async () => {
    const { schemaModel, services } = await givenFixture();
    await writeDocuments(root, schemaModel, services, { check: false });
    const file = path.join(root, 'docs/er/auth.md');
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('\n', '\r\n'));

    expect(await writeDocuments(root, schemaModel, services, { check: true })).toEqual([]);
  });

  it('removes the diagram of a removed service, and keeps files that it did not write', async () => {
    const { schemaModel, services } = await givenFixture();
    await mkdir(path.join(root, 'docs/er'), { recursive: true });
    await writeFile(path.join(root, 'docs/er/old.md'), `${GENERATED}\n`);
    await writeFile(path.join(root, 'docs/er/notes.md'), 'ours\n');

    expect(await writeDocuments(root, schemaModel, services, { check: false })).toEqual(
      [...ALL, 'docs/er/old.md'].sort(),
    );
    expect((await readdir(path.join(root, 'docs/er'))).sort()).toEqual([
      'auth.md',
      'notes.md',
      'references.md',
      'shop.md',
    ]);
  });

  it('names the file that it cannot write', async () => {
    const { schemaModel, services } = await givenFixture();
    await writeFile(path.join(root, 'docs'), 'in the way');

    await expect(writeDocuments(root, schemaModel, services, { check: false })).rejects.toMatchObject({
      code: 'DOCUMENTS.UNWRITABLE',
    });
  });
});

describe('the diagrams', () => {
  it.each([FIXTURE_ROOT, REPOSITORY_ROOT])('of %s are valid Mermaid', async (root) => {
    const services = await findServices(root);
    const documents = renderDocuments(await readSchemaModel(services), services);

    const errors = [...documents].map(([file, text]) => [file, mermaidErrors(text)]);
    expect(errors).toEqual([...documents.keys()].map((file) => [file, []]));
  });
});

describe('the documents of this repository', () => {
  it('are up to date (run "npm run db:docs")', async () => {
    const services = await findServices(REPOSITORY_ROOT);

    const stale = await writeDocuments(REPOSITORY_ROOT, await readSchemaModel(services), services, { check: true });
    expect(stale).toEqual([]);
  });
});

const SHOP_DIAGRAM = `\`\`\`mermaid
erDiagram
  "Order" {
    uuid id PK
    text buyer_id "auth.User.id"
    text[] watchers "auth.User.id"
    decimal(18_8) total
    tsvector search_text
    uuid parent_id FK
  }
  "Class" {
    integer pk_ PK
    uuid order_id FK
    double_precision rank
  }
  "Order" |o--o{ "Order" : "parent_id (set null)"
  "Order" ||--o{ "Class" : "order_id (cascade)"
\`\`\`
`;

const REFERENCES_DIAGRAM = `\`\`\`mermaid
flowchart LR
  db_auth["auth"]
  db_shop["shop"]
  db_shop -->|"User.id: 2 columns"| db_auth
\`\`\`
`;

const LOOP = `
model Root {
  id Int @id
  a Leaf[] @relation("a")
  b Leaf[] @relation("b")
}

model Leaf {
  id Int @id
  a Int
  b Int
  one Root @relation("a", fields: [a], references: [id])
  two Root @relation("b", fields: [b], references: [id])
  buds Bud[]
}

model Bud {
  id Int @id
  leaf Int
  on Leaf @relation(fields: [leaf], references: [id])
}

model Egg {
  id Int @id
  hen Int @unique
  laidBy Hen @relation("laid", fields: [hen], references: [id])
  became Hen? @relation("hatched")
}

model Hen {
  id Int @id
  egg Int @unique
  from Egg @relation("hatched", fields: [egg], references: [id])
  laid Egg? @relation("laid")
}
`;
