import type { ErrorEntry } from './entry.ts';

/** Errors of bringing tables in from other systems. None of them carries a password. */
export const transferErrors = {
  TRANSFER_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no transfer "${p['transfer']}".`,
    remedy: 'See "millrace transfer list"; "millrace transfer guess" writes a first definition.',
  },
  TRANSFER_EXISTS: {
    status: 409,
    retryable: false,
    what: (p) => `There is a transfer "${p['transfer']}" already.`,
    remedy: 'Take another name, or edit its file in transfers/.',
  },
  TRANSFER_RUN_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no run "${p['run']}" among the latest of each transfer since Millrace was started.`,
    remedy: 'See millrace.transfer_run for the history of all runs.',
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
    remedy: 'Check host, port and network. The state says how far it came, and a rerun continues.',
  },
  TRANSFER_DENIED: {
    status: 502,
    retryable: false,
    what: (p) => `The source ${p['source']} refuses this user: ${p['problem']}.`,
    remedy: 'Check user, password, database and rights (SELECT on the tables is enough).',
  },
  TRANSFER_READ: {
    status: 502,
    retryable: true,
    what: (p) => `Reading ${p['table']} failed: ${p['problem']}.`,
    remedy: 'The state says how far it came, and a rerun continues.',
  },
  TRANSFER_LOCKED: {
    status: 409,
    retryable: true,
    what: (p) => `The table ${p['table']} is locked at the source, and stayed so.`,
    remedy: 'End the session that holds the lock, or raise the connection’s lock_wait; a rerun continues.',
  },
  TRANSFER_ROW: {
    status: 409,
    retryable: false,
    what: (p) => `A row of ${p['table']} has more than ${p['most']}.`,
    remedy:
      'Transfer a view of the source that leaves its long column out, or cuts it. The state says how far it came, and a rerun continues.',
  },
  TRANSFER_DISK: {
    status: 503,
    retryable: true,
    what: (p) => `The disk is full: ${p['bytes']} bytes on their way to the warehouse found no room.`,
    remedy: 'Make room on the disk of .millrace. The state says how far it came, and a rerun continues.',
  },
  TRANSFER_CHANGES: {
    status: 409,
    retryable: false,
    what: (p) => `The source ${p['source']} can't give its changes: ${p['problem']}.`,
    remedy: 'Set the server up as docs/transfer.md says under "Changes as they happen".',
  },
  TRANSFER_GAP: {
    status: 409,
    retryable: false,
    what: (p) => `The source ${p['source']} no longer has all changes since ${p['position']}: ${p['problem']}.`,
    remedy:
      'Begin anew with "millrace transfer state NAME --table TABLE --cursor none" for each table: the next run takes a whole copy and goes on from there. Until then the tables stay as they are.',
  },
  TRANSFER_HELD: {
    status: 409,
    retryable: false,
    what: () => 'An earlier change of this key stands in quarantine, so this one waits behind it.',
    remedy:
      'Change the type in the definition and run the transfer again: what fits then is written, in order. A deletion at the source ends the wait.',
  },
  TRANSFER_PARTIAL: {
    status: 409,
    retryable: false,
    what: (p) => `The log left out the unchanged value of "${p['column']}", and the row it belongs to is not here.`,
    remedy: 'Begin the table anew with "millrace transfer state NAME --table TABLE --cursor none".',
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
    what: (p) => `The columns of ${p['table']} changed, which is not followed: ${p['problem']}.`,
    remedy:
      'Under drift: freeze change the definition to evolve or discard, or change the table; where the log names no columns, have the table copied anew ("millrace transfer state").',
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
    remedy: 'The state says how far it came, and a rerun continues.',
  },
  TRANSFER_FILE: {
    status: 400,
    retryable: false,
    what: (p) => `The file ${p['file']} can't be read as ${p['format']}${p['line'] ? ` at line ${p['line']}` : ''}: ${p['problem']}.`,
    remedy: 'Correct the file, or its dialect in the definition, and run it again.',
  },
  TRANSFER_ADDRESS: {
    status: 403,
    retryable: false,
    what: (p) => `The address ${p['host']} is not on the public net.`,
    remedy: 'If it is yours, list its numbers under transfer.private_addresses in millrace.yaml.',
  },
  TRANSFER_FETCH: {
    status: 502,
    retryable: false,
    what: (p) => `${p['url']} can't be fetched: ${p['problem']}.`,
    remedy: 'Check the URL and its authorization; transfer.download_bytes in millrace.yaml sets the largest file.',
  },
  TRANSFER_FORBIDDEN: {
    status: 403,
    retryable: false,
    what: (p) => `Definitions may not read ${p['from']}.`,
    remedy: 'An admin of this machine can allow it under "transfer" in millrace.yaml: env for variables, files for folders.',
  },
  UPLOAD_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no upload "${p['upload']}".`,
    remedy: 'Send the file again: an upload is kept for a day, and not over a restart.',
  },
  UPLOAD_SIZE: {
    status: 413,
    retryable: false,
    what: (p) => `The file has more than ${p['most']} bytes.`,
    remedy: 'Send it in parts or packed, or raise transfer.upload_bytes in millrace.yaml.',
  },
  TRANSFER_PATH: {
    status: 403,
    retryable: false,
    what: (p) => `The file ${p['file']} lies outside the workspace.`,
    remedy: 'Put the file into the workspace’s folder, or load it with "millrace load".',
  },
} as const satisfies Record<string, ErrorEntry>;
