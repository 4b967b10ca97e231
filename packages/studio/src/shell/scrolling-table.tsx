import type { ReactNode } from 'react';

interface ScrollingTableProps {
  /** The id of the heading. */
  readonly labelledBy: string;
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
  readonly children: ReactNode;
}

/** A table that scrolls sideways in a narrow window. */
export function ScrollingTable({ labelledBy, columns, children }: ScrollingTableProps): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach a region that scrolls
    <section className="scroll" aria-labelledby={labelledBy} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" className={isNumber ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

export function textColumn(name: string) {
  return { name, isNumber: false };
}

export function numberColumn(name: string) {
  return { name, isNumber: true };
}
