/** Ends the name of data that is whole and waits to be put in place of the data that is there. */
export const RESTORED = '.restored';
