import { readFileSync } from 'node:fs';
import type { OpenedPage } from './browser-fixture';

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** Returns the violations of the WCAG rules of axe on the page, without Prisma's own studio. */
export async function violationsOf({ page }: OpenedPage): Promise<readonly string[]> {
  await page.evaluate(AXE);
  const options = JSON.stringify({ runOnly: RULES, resultTypes: ['violations'] });
  const found = (await page.evaluate(
    `axe.run({ exclude: ['.ps'] }, ${options}).then(({ violations }) => violations)`,
  )) as readonly Violation[];
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`));
}
