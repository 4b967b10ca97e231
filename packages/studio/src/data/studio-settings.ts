import { ValueInput } from './value-input';

declare global {
  // A build patch of Studio's own code reads it.
  var __studioReadOnly: boolean | undefined;
  // Another one renders it as the editor of every cell.
  var __studioValueInput: typeof ValueInput | undefined;
}

/** Shows or hides Studio's editors. The databases enforce read-only access in any case. */
export function setReadOnly(isReadOnly: boolean): void {
  globalThis.__studioReadOnly = isReadOnly;
}

/** Replaces Studio's editors of cells. */
export function installValueInput(): void {
  globalThis.__studioValueInput = ValueInput;
}

// Where and how Studio stores its settings.
const KEY = 'prisma-studio-ui-state-v1';
const ENTRY = 's:studio-ui-state';
const NARROW = '(max-width: 760px)';

const DEFAULTS = {
  id: 'studio-ui-state',
  isNavigationOpen: false,
  isDarkMode: false,
  themeMode: 'system',
  navigationWidth: 192,
  tablePageSize: 25,
  isInfiniteScrollEnabled: false,
};

/** Closes Studio's navigation in a narrow window, which has no room for it beside the rows. Studio's button opens it. */
export function closeNavigationWhereNarrow(): void {
  if (!window.matchMedia(NARROW).matches) return;
  const data = { ...DEFAULTS, ...readSettings()[ENTRY]?.data, isNavigationOpen: false };
  localStorage.setItem(KEY, JSON.stringify({ [ENTRY]: { versionKey: crypto.randomUUID(), data } }));
}

function readSettings(): Record<string, { readonly data: object }> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as ReturnType<typeof readSettings>;
  } catch {
    return {}; // Studio itself replaces settings that it cannot read.
  }
}
