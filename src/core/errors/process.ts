import type { ErrorEntry } from './entry.ts';
import { at } from './query.ts';

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
    what: (p) => `The view calls ${p['function']}${at(p)}, which gives another answer each time.`,
    remedy: 'Take times from the records; a view must give the same rows for the same source.',
  },
  VIEW_QUERY: {
    status: 400,
    retryable: false,
    what: (p) => `The query of ${p['view']} can't be run${at(p)}: ${p['problem']}.`,
    remedy: 'Correct the query at that place; nothing was made.',
  },
  VIEW_PARTITION: {
    status: 400,
    retryable: false,
    what: (p) => `The view can't be kept by partition${at(p)}: ${p['problem']}.`,
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
    what: (p) => `The option ${p['option']}${at(p)} ${p['problem']}.`,
    remedy:
      "Options are refresh = '1 second', time_limit = '5 minutes', lateness = '10 minutes' and, for a view kept by key, lookback = '2 hours'.",
  },
  SCHEDULE_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no scheduled query "${p['query']}".`,
    remedy: 'See SHOW SCHEDULED QUERIES.',
  },
  SCHEDULE_EXISTS: {
    status: 409,
    retryable: false,
    what: (p) => `The scheduled query "${p['query']}" exists already.`,
    remedy: 'Say CREATE OR REPLACE SCHEDULED QUERY, or choose another name.',
  },
  SCHEDULE_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `The option ${p['option']}${at(p)} ${p['problem']}.`,
    remedy: 'docs/views.md lists the options of scheduled queries.',
  },
  SCHEDULE_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `The file ${p['file']} defines ${p['query']}: a scheduled query's file has its name.`,
    remedy: 'Name the file <schema>.<query>.sql.',
  },
  SCHEDULE_QUERY: {
    status: 400,
    retryable: false,
    what: (p) => `The scheduled query ${p['query']} can't be run${at(p)}: ${p['problem']}.`,
    remedy: 'Correct the query, or bring back or mend what it reads; its table stands as it was.',
  },
  SCHEDULE_TIME: {
    status: 409,
    retryable: false,
    what: (p) => `A run of the scheduled query ${p['query']} was ended after ${p['limit']} ms; its table stands as it was.`,
    remedy: 'Look for a join without a key, read fewer rows, or say OPTIONS (time_limit = …).',
  },
  SCHEDULE_DEATHS: {
    status: 409,
    retryable: false,
    what: (p) => `The warehouse was killed ${p['deaths']} times in a row while the scheduled query ${p['query']} ran; it is paused.`,
    remedy: 'It probably needs more memory than there is: aggregate earlier, or read fewer rows. Then RESUME SCHEDULED QUERY.',
  },
  SCHEDULE_KEY: {
    status: 409,
    retryable: false,
    what: (p) => `The scheduled query ${p['query']} gives several rows for ${p['key']}; nothing was written.`,
    remedy: 'Group by the key, or choose the row that counts.',
  },
  VIEW_SESSIONS: {
    status: 400,
    retryable: false,
    what: (p) => `Sessions can't be made so: ${p['problem']}.`,
    remedy: 'Rules are ga4, posthog and universal (ua); docs/views.md lists the fields.',
  },
  VIEW_READ: {
    status: 409,
    retryable: false,
    what: (p) => `"${p['table']}" is read by ${p['readers']}.`,
    remedy:
      'Drop or change these first, or say CASCADE behind DROP: views and scheduled queries go with a table or view; dashboards, models and the rest stay, and say what they miss, as do the views of a model.',
  },
  VIEW_DRIFT: {
    status: 409,
    retryable: false,
    what: (p) => `"${p['table']}" would lose or change ${p['columns']}, which ${p['readers']} name.`,
    remedy: 'Keep the columns as they are, or change, pause or drop these first.',
  },
  VIEW_KEPT: {
    status: 409,
    retryable: false,
    what: (p) => `"${p['view']}" is a materialized view: its rows are Millrace's to change.`,
    remedy: 'Change its source or its definition; drop it with DROP MATERIALIZED VIEW.',
  },
  VIEW_COLUMN: {
    status: 409,
    retryable: false,
    what: (p) => `The view ${p['view']} is paused, and so are those that read it (${p['readers']}): ${p['problem']}.`,
    remedy: 'Bring the column or table back or change the definition; then RESUME MATERIALIZED VIEW.',
  },
  VIEW_VALUE: {
    status: 409,
    retryable: false,
    what: (p) => `The view ${p['view']} is paused: its query fails on a value (${p['problem']}).`,
    remedy: 'Guard the expression (nullif for a divisor, TRY_CAST for a conversion) or mend the row; then RESUME MATERIALIZED VIEW.',
  },
  VIEW_TIME: {
    status: 409,
    retryable: false,
    what: (p) =>
      `A refresh of ${p['view']} was ended after ${p['limit']} ms, so that deliveries and other views go on; the view is paused.`,
    remedy: 'Look for a join without a key; keep it by partition; or say OPTIONS (time_limit = …). Then RESUME MATERIALIZED VIEW.',
  },
  VIEW_MEMORY: {
    status: 409,
    retryable: false,
    what: (p) => `A refresh of ${p['view']} needed more memory than its share (${p['detail']}); the view is paused.`,
    remedy:
      'Keep it by smaller partitions, stack two views (EXPLAIN MATERIALIZED VIEW proposes them), or give Millrace more memory. Then RESUME MATERIALIZED VIEW.',
  },
  VIEW_DEATHS: {
    status: 409,
    retryable: false,
    what: (p) => `The warehouse was killed ${p['deaths']} times in a row while it refreshed ${p['view']}; the view is paused.`,
    remedy:
      'It probably needs more memory than there is: keep it by smaller partitions, or stack two views. Then RESUME MATERIALIZED VIEW.',
  },
  VIEW_DIFFERS: {
    status: 500,
    retryable: false,
    what: (p) => `The auditor found ${p['differences']} rows of ${p['view']} that differ from its query.`,
    remedy: 'Both results stand in millrace.audit. REFRESH MATERIALIZED VIEW computes it anew; please report it.',
  },
  VIEW_BUILD_CANCELLED: {
    status: 409,
    retryable: false,
    what: (p) => `The build of ${p['view']} was cancelled; what stood there before still stands.`,
    remedy: 'Say REFRESH MATERIALIZED VIEW to build it again.',
  },
  VIEW_BUILD_STALE: {
    status: 503,
    retryable: true,
    what: (p) => `While ${p['view']} was built, something changed that can't be told by partition.`,
    remedy: 'It is built again by itself.',
  },
  VIEW_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `The file ${p['file']} defines ${p['view']}: a view's file has its name.`,
    remedy: 'Name the file <schema>.<view>.sql.',
  },
} as const satisfies Record<string, ErrorEntry>;
