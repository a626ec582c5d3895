import type { ErrorEntry } from './entry.ts';

/** Errors of the user's definition files and of starting on a workspace. `line` counts from 1. */
export const workspaceErrors = {
  WORKSPACE_MISSING: {
    status: 404,
    retryable: false,
    what: (p) => `There is no workspace at ${p['path']} (no millrace.yaml).`,
    remedy: 'Make one with "millrace init", or name one with --workspace.',
  },
  WORKSPACE_EXISTS: {
    status: 409,
    retryable: false,
    what: (p) => `There is already a workspace at ${p['path']}.`,
    remedy: 'Use it as it is, or choose another folder.',
  },
  WORKSPACE_BUSY: {
    status: 409,
    retryable: false,
    what: (p) => `The workspace is in use by process ${p['pid']}.`,
    remedy: 'Stop it first ("millrace stop"), or use its address.',
  },
  DEFINITION_YAML: {
    status: 400,
    retryable: false,
    what: (p) => `${p['file']}${p['line'] ? `:${p['line']}` : ''} is not valid YAML: ${p['problem']}.`,
    remedy: 'Correct the file at that line.',
  },
  DEFINITION_INVALID: {
    status: 400,
    retryable: false,
    what: (p) => `${p['file']}${p['line'] ? `:${p['line']}` : ''}: ${p['problem']}.`,
    remedy: 'Correct the definition; docs/definitions.md lists every option.',
  },
  DEFINITION_WRITE: {
    status: 500,
    retryable: false,
    what: (p) => `The file ${p['file']} can't be written: ${p['problem']}.`,
    remedy: "Check the disk and the folder's rights; the former definition stays in force.",
  },
  NOT_RUNNING: {
    status: 503,
    retryable: true,
    what: (p) => `Millrace is not running on ${p['path']}.`,
    remedy: 'Start it with "millrace up".',
  },
  OPTION_UNKNOWN: {
    status: 400,
    retryable: false,
    what: (p) => `The option ${p['option']} is unknown${p['near'] ? `; ${p['near']} is near` : ''}.`,
    remedy: 'See --help.',
  },
  OPTION_VALUE: {
    status: 400,
    retryable: false,
    what: (p) => `${p['option']} can't be ${p['value']}: ${p['problem']}.`,
    remedy: 'See --help.',
  },
} as const satisfies Record<string, ErrorEntry>;
