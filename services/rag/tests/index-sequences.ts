import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { TestDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { indexWorkspace, plainHashingProvider, type Rag, removeWorkspace, verifyWorkspace, workspaceId } from '../src';
import { writeTree } from './trees';

const FILES = [
  'main.py',
  'tools/sums.py',
  'tools/text.py',
  'shop.ts',
  'lib/order.ts',
  'lib/index.ts',
  'NOTES.md',
] as const;

/** Texts that name what other files define, and define what other files name. */
const TEXTS: readonly string[] = [
  'from tools.sums import add\nfrom tools.text import trim\n\ndef main(a, b):\n    return trim(add(a, b))\n',
  'def add(a, b):\n    return a + b\n\ndef trim(text):\n    return text\n',
  'class Sums:\n    def add(self, a, b):\n        return add(a, b)\n\ndef add(a, b):\n    return Sums().add(a, b)\n',
  "import { total } from './lib/order';\nimport { Store } from './lib';\n\nexport function sell(store: Store): number {\n  return total(store.find());\n}\n",
  'export function total(price: number): number {\n  return price * 2;\n}\n\nexport class Store {\n  find(): number {\n    return total(1);\n  }\n}\n',
  "export { total } from './order';\nexport interface Store {\n  find(): number;\n}\n",
  '# Notes\n\nSums add, orders have totals.\n\n## More\n\nNothing.\n',
  '',
  '\n\n',
];

type Step =
  | { readonly is: 'write'; readonly file: number; readonly text: number }
  | { readonly is: 'remove'; readonly file: number }
  | { readonly is: 'rename'; readonly file: number; readonly to: number }
  | { readonly is: 'index' }
  /** An indexer whose process dies after the given number of statements. */
  | { readonly is: 'killed'; readonly after: number };

const file = fc.nat(FILES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ is: fc.constant('write' as const), file, text: fc.nat(TEXTS.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('remove' as const), file }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('rename' as const), file, to: file }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('index' as const) }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant('killed' as const), after: fc.nat(14) }) },
);

const provider = plainHashingProvider(8);

/** A store whose process dies after some statements: nothing that it would do afterwards reaches the database. */
function dyingStore(rag: Rag, after: number): Rag {
  let left = after;
  const unlessDead = <Argument, Result>(run: (argument: Argument) => Promise<Result>) => {
    return async (argument: Argument) => {
      left -= 1;
      if (left < 0) throw new Error('killed');
      return run(argument);
    };
  };
  return {
    ...rag,
    query: unlessDead(rag.query) as Rag['query'],
    queryLong: unlessDead(rag.queryLong) as Rag['queryLong'],
  };
}

/** Whatever an index of a tree has, by names instead of ids. */
const DUMP = `
  SELECT 'chunk ' || source_path || ' ' || chunk_index AS row, jsonb_build_array(content, title, content_type, metadata, embedding::text) AS columns
  FROM rag_chunks WHERE workspace_path = $1
  UNION ALL SELECT 'node ' || file_path || ' ' || fully_qualified_name || ' ' || coalesce(start_line, 0),
    jsonb_build_array(name, node_type, end_line, signature, documentation, metadata) FROM code_nodes WHERE repository_path = $1
  UNION ALL SELECT 'edge ' || s.file_path || ' ' || s.fully_qualified_name || ' ' || e.edge_type || ' ' || t.file_path || ' ' || t.fully_qualified_name,
    e.metadata FROM code_edges AS e JOIN code_nodes AS s ON s.id = source_node_id JOIN code_nodes AS t ON t.id = target_node_id
    WHERE s.repository_path = $1
  UNION ALL SELECT 'entry ' || index_type || ' ' || file_path, to_jsonb(content_hash) FROM index_metadata WHERE workspace_path = $1
  ORDER BY 1, 2`;

async function runStep(db: TestDatabase, rag: Rag, root: string, step: Step): Promise<void> {
  const at = (file: number) => path.join(root, FILES[file] ?? '');
  switch (step.is) {
    case 'write':
      writeTree(root, { [FILES[step.file] ?? '']: TEXTS[step.text] ?? '' });
      return;
    case 'remove':
      rmSync(at(step.file), { force: true });
      return;
    case 'rename':
      if (!existsSync(at(step.file))) return;
      mkdirSync(path.dirname(at(step.to)), { recursive: true });
      renameSync(at(step.file), at(step.to));
      return;
    case 'index':
      await indexWorkspace(rag, { path: root, provider });
      return;
    case 'killed':
      await indexWorkspace(dyingStore(rag, step.after), { path: root, provider }).catch((error: Error) => {
        if (error.message !== 'killed') throw error;
      });
      // Its time is over, as it is a minute later.
      await db.admin(
        'UPDATE workspaces SET index_owner_until = clock_timestamp() WHERE id = $1 AND index_owner IS NOT NULL',
        [workspaceId(root)],
      );
  }
}

/**
 * Checks that after random sequences of edits, renames, removals and indexers that are killed, the next index equals one from scratch,
 * row for row. verifyWorkspace makes one, and a copy of the tree in a new workspace has another.
 */
export async function checkSequences(
  { db, rag, newFolder }: { readonly db: TestDatabase; readonly rag: Rag; readonly newFolder: () => string },
  options: { readonly runs: number; readonly seed: number },
): Promise<void> {
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
    const [root, copy] = [newFolder(), newFolder()];
    for (const one of steps) await runStep(db, rag, root, one);
    await indexWorkspace(rag, { path: root, provider });
    const { differences } = await verifyWorkspace(rag, { path: root, provider });
    cpSync(root, copy, { recursive: true });
    await indexWorkspace(rag, { path: copy, provider });
    const [tables, scratch] = await Promise.all([db.admin(DUMP, [root]), db.admin(DUMP, [copy])]);
    for (const folder of [root, copy]) {
      await removeWorkspace(rag, { workspaceId: workspaceId(folder) });
      rmSync(folder, { recursive: true });
    }
    expect(differences).toEqual([]);
    expect(tables).toEqual(scratch);
  });
  await fc.assert(property, { numRuns: options.runs, seed: options.seed, endOnFailure: true });
}
