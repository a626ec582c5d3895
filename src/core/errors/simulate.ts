import type { ErrorEntry } from './entry.ts';

/** Errors of the simulator, of real exports as input, and of the demo that runs the main job on either. */
export const simulateErrors = {
  SIMULATE_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `${p['option']} can't be ${p['value']}: ${p['problem']}.`,
    remedy: 'Correct the option; "millrace demo --help" lists them.',
  },
  EXPORT_MISSING: {
    status: 404,
    retryable: false,
    what: (p) => `There is no Parquet file at ${p['path']}${p['found'] ? `; found were ${p['found']}` : ''}.`,
    remedy: 'Name the Parquet file of an export, or a folder that has some.',
  },
  EXPORT_UNKNOWN: {
    status: 400,
    retryable: false,
    what: (p) => `${p['file']} is no export that is known; its columns are ${p['columns']}.`,
    remedy:
      'Give a BigQuery export of Google Analytics sessions (ga_sessions_*) or of GA4 events (events_*); other files go in with "millrace load".',
  },
  DEMO_NOT_DELIVERED: {
    status: 504,
    retryable: true,
    what: (p) => `After ${p['seconds']} s without progress, ${p['waiting']} of the topic "${p['topic']}" was still not in the warehouse.`,
    remedy: 'Read .millrace/demo.log in the workspace (--workspace DIR keeps it); the records are safe on disk.',
  },
  DEMO_REFUSED: {
    status: 500,
    retryable: false,
    what: (p) => `${p['rejected']} good records of the topic "${p['topic']}" were refused; the first: ${p['code']} ${p['reason']}`,
    remedy: 'This is a defect: report it with the command that was run.',
  },
  DEMO_CUT: {
    status: 500,
    retryable: false,
    what: (p) => `${p['sent']} of ${p['total']} records of the topic "${p['topic']}" came out of the export.`,
    remedy: 'Raise the limit of rows of the role admin in millrace.yaml, or give a smaller export.',
  },
} as const satisfies Record<string, ErrorEntry>;
