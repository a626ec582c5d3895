import type { ErrorEntry } from './entry.ts';

/** Errors of learning: a table or a plan that no model can be made of (LEARN_), a model or a request that can't be used (MODEL_). */
export const learnErrors = {
  LEARN_COLUMNS: {
    status: 400,
    retryable: false,
    what: (p) => `The training table can't be read: column "${p['column']}" ${p['problem']}.`,
    remedy: 'Give each column once, all with the same number of rows.',
  },
  LEARN_TARGET: {
    status: 400,
    retryable: false,
    what: (p) => `The column to predict, "${p['target']}", ${p['problem']}.`,
    remedy: 'Name a column of the training table that has the known answers, at least two different ones.',
  },
  LEARN_ROWS: {
    status: 400,
    retryable: false,
    what: (p) => `Only ${p['rows']} rows have a known "${p['target']}"; at least ${p['least']} are needed.`,
    remedy: 'Train on more rows: widen the query, or fill in the missing answers.',
  },
  LEARN_FEATURES: {
    status: 400,
    retryable: false,
    what: (p) => `No column is left to learn from: ${p['dropped']} of ${p['columns']} are empty, constant or ids.`,
    remedy: 'Add columns that say something about each row.',
  },
  LEARN_CLASSES: {
    status: 400,
    retryable: false,
    what: (p) => `"${p['target']}" has ${p['classes']} different values; classes are at most ${p['limit']}.`,
    remedy: 'Group rare values, or predict a number with task: regression.',
  },
  LEARN_PLAN: {
    status: 400,
    retryable: false,
    what: (p) => `The training option ${p['option']} is ${p['value']}; it must be ${p['expected']}.`,
    remedy: 'Correct the option; docs/learn.md lists all of them.',
  },
  LEARN_WEIGHTS: {
    status: 400,
    retryable: false,
    what: (p) => `The weight column "${p['column']}" ${p['problem']}.`,
    remedy: 'Weights are numbers of at least 0, not all 0.',
  },
  LEARN_STOPPED: {
    status: 409,
    retryable: true,
    what: () => 'Training was stopped before there was a first model.',
    remedy: 'Train again, with a larger budget if it ran out.',
  },
  MODEL_INVALID: {
    status: 422,
    retryable: false,
    what: (p) => `This is not a sound model file: ${p['problem']}.`,
    remedy: 'Use the file as it was exported; if it was changed or cut, export or train it again.',
  },
  MODEL_INPUT: {
    status: 400,
    retryable: false,
    what: (p) => `The model can't take ${p['value']} for "${p['column']}": it was trained on ${p['expected']}.`,
    remedy: 'Send the columns that the model was trained on, with their types; leave a value out where it is not known.',
  },
  MODEL_EXPLAIN: {
    status: 400,
    retryable: false,
    what: (p) => `A model of kind "${p['kind']}" can't be explained row by row; trees, linear models and blends of them can.`,
    remedy: 'Train a model of trees or a linear one, or read the importance in the report.',
  },
} as const satisfies Record<string, ErrorEntry>;
