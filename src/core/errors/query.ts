import type { ErrorEntry, Parameters } from './entry.ts';

/** Where in a statement, for the end of a sentence; nothing where it is not known. */
export const at = (p: Parameters) =>
  p['line'] ? ` (line ${p['line']}, column ${p['column']})` : p['through'] ? ` (in the view ${p['through']})` : '';

/** Errors of asking: a statement that can't be parsed, isn't allowed, or hits a limit. `position` counts characters from 0. */
export const queryErrors = {
  SQL_SYNTAX: {
    status: 400,
    retryable: false,
    what: (p) => `The statement can't be parsed${p['line'] ? ` at line ${p['line']}, column ${p['column']}` : ''}: ${p['problem']}.`,
    remedy: 'Correct the statement at that place.',
  },
  SQL_EMPTY: {
    status: 400,
    retryable: false,
    what: () => 'There is no statement.',
    remedy: 'Send one SQL statement.',
  },
  SQL_SEVERAL: {
    status: 400,
    retryable: false,
    what: (p) => `${p['count']} statements were sent; one at a time is taken.`,
    remedy: 'Send the statements one after another.',
  },
  SQL_KIND: {
    status: 403,
    retryable: false,
    what: (p) => `A statement of kind ${p['kind']} is not allowed${p['role'] ? ` for the role ${p['role']}` : ''}.`,
    remedy: 'Allowed are SELECT, and for editors CREATE TABLE AS, CREATE VIEW, INSERT, UPDATE, DELETE, DROP of own tables.',
  },
  SQL_FUNCTION: {
    status: 403,
    retryable: false,
    what: (p) => `The function ${p['function']} is not allowed${at(p)}.`,
    remedy: 'Use a function of the list in docs/sql.md; functions that reach files, settings or the network are never allowed.',
  },
  SQL_TABLE: {
    status: 403,
    retryable: false,
    what: (p) => `"${p['table']}" can't be read here${at(p)}${p['problem'] ? `: ${p['problem']}` : ''}.`,
    remedy: 'Read tables by name (schema.table); files are loaded first with "millrace load".',
  },
  GRANTS_BROKEN: {
    status: 503,
    retryable: false,
    what: (p) => `Nothing is read while a file of grants/ can't be taken: ${p['problem']}.`,
    remedy: 'An admin corrects the file; grants narrow what is read, so that Millrace does not guess at them.',
  },
  GRANTS_UNTOLD: {
    status: 403,
    retryable: false,
    what: (p) => `It failed (${p['code']}); what went wrong is told to who may read all that it reads.`,
    remedy: 'Ask an admin, or somebody who may read the tables concerned: the words may quote a value of theirs.',
  },
  SQL_WRITE: {
    status: 403,
    retryable: false,
    what: (p) => `"${p['table']}" can't be written by a statement${p['problem'] ? `: ${p['problem']}` : ''}.`,
    remedy: 'Write to tables in your own schemas (main, mart, …); raw, millrace and change belong to Millrace.',
  },
  SQL_CONSTRUCT: {
    status: 403,
    retryable: false,
    what: (p) => `${p['construct']} is not allowed in a statement${at(p)}.`,
    remedy: 'Write the statement without it; docs/sql.md says what is allowed.',
  },
  SQL_LENGTH: {
    status: 413,
    retryable: false,
    what: (p) => `The statement has ${p['length']} characters; at most ${p['limit']} are taken.`,
    remedy: 'Load many rows with "millrace load" instead of writing them into a statement.',
  },
  SQL_PARAMETERS: {
    status: 400,
    retryable: false,
    what: (p) => `The parameters don't fit the statement: ${p['problem']}.`,
    remedy: 'Give one value for each $1, $2, … or $name.',
  },
  SQL_FAILED: {
    status: 400,
    retryable: false,
    what: (p) => `The statement failed${p['line'] ? ` at line ${p['line']}, column ${p['column']}` : ''}: ${p['problem']}.`,
    remedy: 'Correct the statement; names that exist are in "millrace catalog".',
  },
  QUERY_FORMAT: {
    status: 400,
    retryable: false,
    what: (p) => `"${p['format']}" is not a result format.`,
    remedy: 'Use json, ndjson, csv or parquet.',
  },
  QUERY_PARQUET: {
    status: 400,
    retryable: false,
    what: (p) => `What ${p['statement']} answers does not come as Parquet.`,
    remedy: 'Ask for it as json, ndjson or csv; Parquet is for the rows of a SELECT.',
  },
  QUERY_BODY: {
    status: 400,
    retryable: false,
    what: (p) => `The request can't be read: ${p['problem']}.`,
    remedy: 'Send {"sql": "SELECT …"}; params, format and limits are optional.',
  },
  QUERY_CANCELLED: {
    status: 499,
    retryable: false,
    what: (p) => `The query ${p['job']} was cancelled.`,
    remedy: 'Run it again if it was not meant to be.',
  },
  QUERY_TIMEOUT: {
    status: 408,
    retryable: false,
    what: (p) => `The query ran longer than ${p['seconds']} s and was stopped.`,
    remedy: 'Narrow the query, or ask an admin for a higher limit.',
  },
  QUERY_MEMORY: {
    status: 507,
    retryable: false,
    what: () => 'The query needed more memory than its share and was stopped.',
    remedy: 'Narrow the query, aggregate earlier, or give Millrace more with --memory.',
  },
  QUERY_SNAPSHOT: {
    status: 408,
    retryable: false,
    what: (p) =>
      `The query read an older state for so long that over ${p['limit']} bytes of changes wait to be put into the file; it was stopped.`,
    remedy: 'Read less at a time, or let a materialized view or a scheduled query keep what takes so long.',
  },
  QUERY_ROOM: {
    status: 503,
    retryable: true,
    what: (p) => `Results that wait to be read take the ${p['limit']} bytes on disk that they may take together.`,
    remedy: 'Ask again when others have been read, or for fewer rows.',
  },
  QUERY_RESULT_SIZE: {
    status: 507,
    retryable: false,
    what: (p) => `The result is larger than ${p['limit']} bytes.`,
    remedy: 'Narrow the query, or fetch it in parts.',
  },
  QUERY_BUSY: {
    status: 429,
    retryable: true,
    what: (p) => `${p['running']} queries are running and ${p['waiting']} wait; no more are taken now.`,
    remedy: 'Retry after the seconds in Retry-After.',
  },
  JOB_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no job "${p['job']}".`,
    remedy: 'See GET /v1/jobs for those that are known.',
  },
} as const satisfies Record<string, ErrorEntry>;
