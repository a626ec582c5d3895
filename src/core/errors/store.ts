import type { ErrorEntry } from './entry.ts';

/** Errors of the warehouse: opening it, writing to it, reading what it holds. */
export const storeErrors = {
  STORE_LOCKED: {
    status: 503,
    retryable: true,
    what: (p) => `The warehouse file is in use by another process: ${p['detail']}.`,
    remedy: 'Stop the other process; only one Millrace may open a workspace.',
  },
  STORE_OPEN: {
    status: 500,
    retryable: false,
    what: (p) => `The warehouse can't be opened: ${p['detail']}.`,
    remedy: 'Check the disk and the file; restore it from a backup if it is damaged.',
  },
  STORE_WRITE: {
    status: 500,
    retryable: true,
    what: (p) => `The warehouse refused a write: ${p['detail']}.`,
    remedy: 'The batch was rolled back as a whole and is tried again.',
  },
  STORE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    what: () => 'The warehouse is starting or restarting.',
    remedy: 'Retry in a second; records are still being taken meanwhile.',
  },
  STORE_BATCH_BUSY: {
    status: 409,
    retryable: true,
    what: (p) => `A load with the key "${p['key']}" is running.`,
    remedy: 'Wait for it; a load with the same key is never written twice.',
  },
  TABLE_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no table "${p['table']}".`,
    remedy: 'See "millrace catalog" for the names that exist.',
  },
  TABLE_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `"${p['table']}" can't be a table's name${p['problem'] ? `: ${p['problem']}` : ''}.`,
    remedy:
      'Use schema.name, each of 1 to 63 letters (no capitals), 0–9 and _, starting with a letter; raw, system and change belong to Millrace.',
  },
  LOAD_FORMAT: {
    status: 400,
    retryable: false,
    what: (p) => `"${p['format']}" is not a format that can be loaded.`,
    remedy: 'Use csv, ndjson or parquet.',
  },
  LOAD_FILE: {
    status: 400,
    retryable: false,
    what: (p) => `The file can't be read as ${p['format']}: ${p['detail']}.`,
    remedy: 'Check the file and its format; nothing of it was written.',
  },
  LOAD_MEMORY: {
    status: 413,
    retryable: false,
    what: (p) => `The file can't be read within the ${p['megabytes']} MB that a load may take.`,
    remedy:
      'Give Millrace more memory (memory in millrace.yaml), or the file fewer columns: thousands of them take much; nothing of it was written.',
  },
  LOAD_COLUMNS: {
    status: 400,
    retryable: false,
    what: (p) => `The file's columns don't fit the table: ${p['problem']}.`,
    remedy: 'Give the file the table’s columns, or load it into a new table.',
  },
  LOAD_VALUE: {
    status: 400,
    retryable: false,
    what: (p) => `The value ${p['value']} of the column "${p['column']}" does not fit ${p['type']} without loss.`,
    remedy: 'Correct the value, or change the column’s type; nothing of the file was written.',
  },
} as const satisfies Record<string, ErrorEntry>;
