/**
 * A strict reader of the part of Mermaid that the documents use. Mermaid's own parser would bring a browser's worth of
 * packages; what this accepts is a subset of what that accepts.
 */
export function mermaidErrors(document: string): readonly string[] {
  return [...document.matchAll(/```mermaid\n([\s\S]*?)\n```/g)].flatMap(([, diagram = '']) => diagramErrors(diagram));
}

const ENTITY = '"[A-Za-z]\\w*"';
const WORD = '[A-Za-z_][\\w()[\\]]*';
const KEY = '(?:PK|FK|UK)';

const ER_LINES = {
  open: new RegExp(`^  ${ENTITY} \\{$`),
  attribute: new RegExp(`^    ${WORD} (?!(?:pk|fk|uk) )${WORD}(?: ${KEY}(?:, ${KEY})*)?(?: "[^"]*")?$`, 'i'),
  close: /^ {2}\}$/,
  relation: new RegExp(`^  ${ENTITY} (?:\\|\\||\\|o)--(?:o\\||o\\{) ${ENTITY} : "[^"]+"$`),
};

const FLOW_LINES = [/^ {2}db_\w+\["[\w-]+"\]$/, /^ {2}db_\w+ -->\|"[^"|]+"\| db_\w+$/];

function diagramErrors(diagram: string): readonly string[] {
  const [head, ...lines] = diagram.split('\n');
  if (head === 'flowchart LR') return lines.filter((line) => !FLOW_LINES.some((form) => form.test(line)));
  if (head !== 'erDiagram') return [`unknown diagram: ${head}`];
  let isOpen = false;
  return lines.filter((line) => {
    const forms = isOpen ? (['attribute', 'close'] as const) : (['open', 'relation'] as const);
    const form = forms.find((name) => ER_LINES[name].test(line));
    isOpen = form === 'open' || (isOpen && form !== 'close');
    return form === undefined;
  });
}
