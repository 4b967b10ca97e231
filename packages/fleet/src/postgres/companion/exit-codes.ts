/** With which a host ends when another one has the directory. */
export const HELD_EXIT_CODE = 3;
