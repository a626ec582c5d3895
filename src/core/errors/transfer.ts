import type { ErrorEntry } from '../errors.ts';

/** Errors of bringing tables in from other systems. None of them carries a password. */
export const transferErrors = {
  TRANSFER_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no transfer "${p['transfer']}".`,
    remedy: 'See "millrace transfer list"; "millrace transfer guess" writes a first definition.',
  },
  TRANSFER_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `The connection's option "${p['option']}" of the source ${p['source']} can't be used: ${p['problem']}.`,
    remedy: 'Correct the definition; docs/transfer.md lists each source’s options.',
  },
  TRANSFER_SECRET: {
    status: 400,
    retryable: false,
    what: (p) => `The secret "${p['option']}" can't be read from ${p['from']}: ${p['problem']}.`,
    remedy: 'Set the environment variable where Millrace runs, or make the file readable for its user.',
  },
  TRANSFER_CONNECT: {
    status: 502,
    retryable: true,
    what: (p) => `The source ${p['source']} can't be reached: ${p['problem']}.`,
    remedy: 'Check host, port and network; the state is where it was, and a rerun continues.',
  },
  TRANSFER_DENIED: {
    status: 502,
    retryable: false,
    what: (p) => `The source ${p['source']} refuses this user: ${p['problem']}.`,
    remedy: 'Check user, password and rights (SELECT on the tables is enough).',
  },
  TRANSFER_READ: {
    status: 502,
    retryable: true,
    what: (p) => `Reading ${p['table']} failed: ${p['problem']}.`,
    remedy: 'What was applied stays, the state says how far; a rerun continues.',
  },
  TRANSFER_TABLE: {
    status: 404,
    retryable: false,
    what: (p) => `The source has no table "${p['table']}"${p['near'] ? `; "${p['near']}" is near` : ''}.`,
    remedy: 'Correct the name, or grant the user SELECT on it.',
  },
  TRANSFER_COLUMN: {
    status: 400,
    retryable: false,
    what: (p) => `The column "${p['column']}" of ${p['table']} can't be the ${p['use']}: ${p['problem']}.`,
    remedy: 'Correct the definition; "millrace transfer guess" shows what can be used.',
  },
  TRANSFER_DRIFT: {
    status: 409,
    retryable: false,
    what: (p) => `The columns of ${p['table']} changed and its definition says drift: freeze: ${p['problem']}.`,
    remedy: 'Change the definition to evolve or discard, or change the table.',
  },
  TRANSFER_BUSY: {
    status: 409,
    retryable: true,
    what: (p) => `The transfer "${p['transfer']}" is running.`,
    remedy: 'Wait for it, or stop it.',
  },
  TRANSFER_SUPERSEDED: {
    status: 409,
    retryable: false,
    what: (p) => `Another run of the transfer "${p['transfer']}" has begun since; this one has ended.`,
    remedy: 'Nothing is lost: the newer run continues from the same state.',
  },
  TRANSFER_ENDED: {
    status: 500,
    retryable: true,
    what: (p) => `The run of "${p['transfer']}" ended early: ${p['problem']}.`,
    remedy: 'The table is whole and the state is where it was; a rerun continues.',
  },
  TRANSFER_FILE: {
    status: 400,
    retryable: false,
    what: (p) => `The file ${p['file']} can't be read as ${p['format']}${p['line'] ? ` at line ${p['line']}` : ''}: ${p['problem']}.`,
    remedy: 'Correct the file, or its dialect in the definition; nothing of it was shown.',
  },
  TRANSFER_PATH: {
    status: 403,
    retryable: false,
    what: (p) => `The file ${p['file']} lies outside the workspace.`,
    remedy: 'Put the file into the workspace’s folder, or load it with "millrace load".',
  },
} as const satisfies Record<string, ErrorEntry>;
