import type { Lines, Unit } from './pack';

interface Heading {
  readonly line: number;
  readonly depth: number;
  readonly title: string;
}

/** The sections of a Markdown text, each from its heading to the next one; a section holds those below it. */
export function markdownUnits(lines: Lines): readonly Unit[] {
  const headings = readHeadings(lines);
  const nest = (from: number, depth: number, end: number): { readonly units: Unit[]; readonly next: number } => {
    const units: Unit[] = [];
    let at = from;
    for (let heading = headings[at]; heading !== undefined && heading.depth > depth; heading = headings[at]) {
      const { depth: own, line: startLine, title: name } = heading;
      const following = headings.slice(at + 1).find((it) => it.depth <= own);
      const endLine = (following?.line ?? end + 1) - 1;
      const inner = nest(at + 1, own, endLine);
      const [first] = inner.units;
      // What stands before the first section below is a part of its own.
      const lead: Unit = {
        startLine,
        endLine: (first?.startLine ?? endLine + 1) - 1,
        kind: 'section',
        name,
        units: [],
      };
      units.push({
        startLine,
        endLine,
        kind: 'section',
        name,
        units: first === undefined ? [] : [lead, ...inner.units],
      });
      at = inner.next;
    }
    return { units, next: at };
  };
  return nest(0, 0, lines.count).units;
}

/** The headings with `#` and those underlined with `=` or `-`, outside of fenced code. */
function readHeadings(lines: Lines): readonly Heading[] {
  const headings: Heading[] = [];
  let fence: string | undefined;
  for (let line = 1; line <= lines.count; line += 1) {
    const text = lines.text(line, line).trimEnd();
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(text)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) && text.trim() === mark) fence = undefined;
      continue;
    }
    if (mark !== undefined) fence = mark;
    const heading = headingAt(lines, line, headings.at(-1));
    if (heading !== undefined) headings.push(heading);
  }
  return headings;
}

function headingAt(lines: Lines, line: number, before: Heading | undefined): Heading | undefined {
  const text = lines.text(line, line).trimEnd();
  const [, marks, title = ''] = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(text) ?? [];
  if (marks !== undefined) return { line, depth: marks.length, title };
  const underline = /^ {0,3}(=+|-{2,})$/.exec(text)?.[1];
  const above = line > 1 ? lines.text(line - 1, line - 1).trim() : '';
  const isUnderlined = underline !== undefined && /^[^#>\-*|`\s]/.test(above) && before?.line !== line - 1;
  return isUnderlined ? { line: line - 1, depth: underline.startsWith('=') ? 1 : 2, title: above } : undefined;
}
