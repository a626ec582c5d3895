import type { ErrorEntry } from '../errors.ts';

/** Errors of views that are kept fresh. */
export const processErrors = {
  VIEW_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no materialized view "${p['view']}".`,
    remedy: 'See SHOW MATERIALIZED VIEWS.',
  },
  VIEW_EXISTS: {
    status: 409,
    retryable: false,
    what: (p) => `"${p['view']}" exists already.`,
    remedy: 'Say CREATE OR REPLACE MATERIALIZED VIEW, or choose another name.',
  },
  VIEW_NOT_DETERMINISTIC: {
    status: 400,
    retryable: false,
    what: (p) => `The view calls ${p['function']}, which gives another answer each time.`,
    remedy: 'Take times from the records; a view must give the same rows for the same source.',
  },
  VIEW_PARTITION: {
    status: 400,
    retryable: false,
    what: (p) => `The view can't be kept by partition: ${p['problem']}.`,
    remedy: 'Put the partition expression into every GROUP BY, window and DISTINCT and into the columns, or leave PARTITION BY out.',
  },
  VIEW_CYCLE: {
    status: 400,
    retryable: false,
    what: (p) => `The views read each other in a circle: ${p['path']}.`,
    remedy: 'Break the circle.',
  },
  VIEW_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `The option ${p['option']} ${p['problem']}.`,
    remedy: "Options are refresh = '1 second' and, for a view kept by key, lookback = '2 hours'.",
  },
  VIEW_SESSIONS: {
    status: 400,
    retryable: false,
    what: (p) => `Sessions can't be made so: ${p['problem']}.`,
    remedy: 'See docs/views.md for the rules and the fields.',
  },
  VIEW_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `The file ${p['file']} defines ${p['view']}: a view's file has its name.`,
    remedy: 'Name the file <schema>.<view>.sql.',
  },
} as const satisfies Record<string, ErrorEntry>;
