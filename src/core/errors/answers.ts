import type { ErrorEntry } from './entry.ts';

/** Errors of the answers and of the metrics: a question that the tables, the options or a definition can't carry. */
export const answerErrors = {
  ANSWER_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no answer "${p['answer']}"; there are ${p['answers']}.`,
    remedy: 'See "millrace answer list".',
  },
  ANSWER_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `The answer "${p['answer']}" can't take the option "${p['option']}": ${p['problem']}.`,
    remedy: 'See "millrace answer show" for the options.',
  },
  ANSWER_TABLE: {
    status: 400,
    retryable: false,
    what: (p) => `There is no table of ${p['what']} to answer from${p['table'] ? ` ("${p['table']}" does not exist)` : ''}: ${p['needs']}.`,
    remedy: 'Name one with the options "events" or "orders", or make a view with the columns that docs/answers.md lists.',
  },
  ANSWER_COLUMN: {
    status: 400,
    retryable: false,
    what: (p) => `The table ${p['table']} has no column for ${p['what']}; it is looked for as ${p['names']}.`,
    remedy: 'Make a view that names the column so; docs/answers.md lists the names.',
  },
  ANSWER_TYPE: {
    status: 400,
    retryable: false,
    what: (p) => `The column ${p['column']} of ${p['table']} is of type ${p['type']}; ${p['what']} needs ${p['needs']}.`,
    remedy: 'Make a view that casts the column.',
  },
  ANSWER_CALL: {
    status: 400,
    retryable: false,
    what: (p) => `The call of answers.${p['answer']} can't be read: ${p['problem']}.`,
    remedy: "Write answers.NAME(option := value, …) with literal values; a list is one text: 'a,b,c'.",
  },
  ANSWER_TOO_FEW: {
    status: 400,
    retryable: false,
    what: (p) => `The answer "${p['answer']}" needs at least ${p['needs']} ${p['what']}; there are ${p['found']}.`,
    remedy: 'Ask over more days, or come back when there is more data.',
  },
  METRIC_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no metric "${p['metric']}"${p['metrics'] ? `; there are ${p['metrics']}` : ''}.`,
    remedy: 'Define it as metrics/<name>.yaml.',
  },
  METRIC_DIMENSION: {
    status: 400,
    retryable: false,
    what: (p) => `The metric "${p['metric']}" has no dimension "${p['dimension']}"; it has ${p['dimensions']}.`,
    remedy: 'Ask by one of these, or add the dimension to the definition.',
  },
  METRIC_JOIN: {
    status: 400,
    retryable: false,
    what: (p) =>
      `The join "${p['join']}" of the metric "${p['metric']}" would multiply rows: ${p['table']} has ${p['rows']} rows with ${p['key']} = ${p['value']}.`,
    remedy: 'Join a table that has one row for each key, such as a view that keeps the newest.',
  },
  JOURNEY_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no journey "${p['journey']}"${p['journeys'] ? `; there are ${p['journeys']}` : ''}.`,
    remedy: 'Define it as journeys/<name>.yaml.',
  },
  EXPERIMENT_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no experiment "${p['experiment']}"${p['experiments'] ? `; there are ${p['experiments']}` : ''}.`,
    remedy: 'Define it as experiments/<name>.yaml.',
  },
  SEGMENT_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no segment "${p['segment']}"${p['segments'] ? `; there are ${p['segments']}` : ''}.`,
    remedy: 'Define it as segments/<name>.yaml.',
  },
} as const satisfies Record<string, ErrorEntry>;
