// Where Studio keeps what its user chose, as it writes it itself.
const KEY = 'prisma-studio-ui-state-v1';
const ENTRY = 's:studio-ui-state';
const NARROW = '(max-width: 760px)';

const FIRST = {
  id: 'studio-ui-state',
  isNavigationOpen: false,
  isDarkMode: false,
  themeMode: 'system',
  navigationWidth: 192,
  tablePageSize: 25,
  isInfiniteScrollEnabled: false,
};

function readState(): Record<string, { readonly data: object }> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as ReturnType<typeof readState>;
  } catch {
    return {};
  }
}

/** A narrow window has no room for Studio's own navigation beside the rows; its button opens it. */
export function closeNavigationWhereNarrow(): void {
  if (!window.matchMedia(NARROW).matches) return;
  const data = { ...FIRST, ...readState()[ENTRY]?.data, isNavigationOpen: false };
  localStorage.setItem(KEY, JSON.stringify({ [ENTRY]: { versionKey: crypto.randomUUID(), data } }));
}
