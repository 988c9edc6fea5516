// What a process gets that config.json and the caller say nothing about, by Node and by the quick path alike.

/** As runc, whose own umask is set to this before it starts anything. */
export const DEFAULT_UMASK = 0o022;

/** Of a terminal that does not tell its size. */
export const DEFAULT_ROWS = 24;
export const DEFAULT_COLUMNS = 80;
