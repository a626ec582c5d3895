import type { ErrorEntry } from './entry.ts';

/** Errors of models in SQL, in the registry and served. What a model's own file or a row breaks is in learn.ts (MODEL_INVALID, MODEL_INPUT). */
export const modelErrors = {
  MODEL_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no model "${p['model']}"${p['near'] ? `; "${p['near']}" is near` : ''}.`,
    remedy: 'See "millrace model list"; a version or alias is written as name@2 or name@challenger.',
  },
  MODEL_EXISTS: {
    status: 409,
    retryable: false,
    what: (p) => `The model "${p['model']}" exists already.`,
    remedy: 'Say CREATE OR REPLACE MODEL for a new version (the old ones stay), IF NOT EXISTS, or choose another name.',
  },
  MODEL_TYPE: {
    status: 400,
    retryable: false,
    what: (p) => `The model type ${p['type']} can't be trained here.`,
    remedy:
      'Use AUTOML_CLASSIFIER, AUTOML_REGRESSOR, BOOSTED_TREE_CLASSIFIER, BOOSTED_TREE_REGRESSOR, RANDOM_FOREST_CLASSIFIER, RANDOM_FOREST_REGRESSOR, NAIVE_BAYES, LOGISTIC_REG, LINEAR_REG, KMEANS, or CONTRIBUTION_ANALYSIS for what makes a figure move.',
  },
  MODEL_OPTION: {
    status: 400,
    retryable: false,
    what: (p) => `The model option ${p['option']} ${p['problem']}.`,
    remedy: 'Correct the option; docs/models.md lists all of them.',
  },
  MODEL_EMPTY: {
    status: 400,
    retryable: false,
    what: (p) => `The query of ${p['what']} gave no rows.`,
    remedy: 'Run the query by itself and see why it is empty.',
  },
  MODEL_COLUMN: {
    status: 400,
    retryable: false,
    what: (p) => `The column "${p['column']}" has the type ${p['type']}, which a model can't read.`,
    remedy: 'Take single values out of it in the query, or leave the column out.',
  },
  MODEL_CALL: {
    status: 400,
    retryable: false,
    what: (p) => `${p['call']} ${p['problem']}.`,
    remedy: 'Write ML.PREDICT(MODEL name, TABLE table) or ML.PREDICT(MODEL name, (SELECT …)); docs/models.md has every function.',
  },
  MODEL_FUNCTION: {
    status: 400,
    retryable: false,
    what: (p) => `${p['call']} does not fit the model "${p['model']}": ${p['problem']}.`,
    remedy: 'See docs/models.md for which function answers for which kind of model.',
  },
  MODEL_FILE: {
    status: 500,
    retryable: false,
    what: (p) => `The file of "${p['model']}" version ${p['version']} ${p['problem']}.`,
    remedy: 'Restore the file from a backup, promote another version, or train again.',
  },
  MODEL_GOLDEN: {
    status: 409,
    retryable: false,
    what: (p) =>
      `The model "${p['model']}" answers otherwise ${p['target']} than when it was trained: row ${p['row']} gives ${p['got']} in place of ${p['expected']}.`,
    remedy: 'It was not deployed, and what served before goes on serving. Train it again with this program, and report the difference.',
  },
  MODEL_MEMORY: {
    status: 507,
    retryable: false,
    what: (p) => `Training needed more memory than its share of ${p['limit']} bytes.`,
    remedy: 'Train on a sample (USING SAMPLE 100000 ROWS), on fewer columns, or give Millrace more memory.',
  },
  MODEL_TRAINER: {
    status: 500,
    retryable: true,
    what: (p) => `The training process ended before it was done (${p['reason']}).`,
    remedy: 'Train again; what served before goes on serving.',
  },
  MODEL_STOPPED: {
    status: 409,
    retryable: false,
    what: (p) => `The training of "${p['model']}" was cancelled; nothing was kept.`,
    remedy: 'Train again when you want it.',
  },
  MODEL_REQUEST: {
    status: 400,
    retryable: false,
    what: (p) => `The request can't be answered: ${p['problem']}.`,
    remedy: 'Send {"rows":[{"column":value, …}, …]} with at most 10,000 rows and 16 MB; larger tables are predicted in SQL by ML.PREDICT.',
  },
  MODEL_EXPORT: {
    status: 409,
    retryable: false,
    what: (p) => `The model "${p['model']}" can't be exported as ${p['format']}: ${p['problem']}.`,
    remedy: 'Export it as JSON or JS, or train it without what stands in the way.',
  },
  MODEL_PATH: {
    status: 400,
    retryable: false,
    what: (p) => `The path "${p['path']}" can't be used: ${p['problem']}.`,
    remedy: 'Name a file in the folder models of the workspace, such as churn.onnx or team/churn.onnx.',
  },
  MODEL_ONNX: {
    status: 422,
    retryable: false,
    what: (p) => `The ONNX model can't be used: ${p['problem']}.`,
    remedy: 'docs/models.md lists the operators and shapes that are known; export the model for ai.onnx.ml 1 to 5 with its preprocessing.',
  },
  MODEL_TRANSFORM: {
    status: 409,
    retryable: false,
    what: (p) => `The model "${p['model']}" has a TRANSFORM in SQL, so it answers only where there is SQL.`,
    remedy: 'Use ML.PREDICT in SQL, or train it on a query that does the transformation.',
  },
} as const satisfies Record<string, ErrorEntry>;
