import type { ErrorEntry } from '../errors.ts';

/** Errors of drawing: a chart that the result can't fill. */
export const visualizeErrors = {
  CHART_UNKNOWN: {
    status: 400,
    retryable: false,
    what: (p) => `There is no chart "${p['chart']}"${p['near'] ? `; "${p['near']}" is near` : ''}.`,
    remedy: 'docs/console.md lists the charts.',
  },
  CHART_COLUMN: {
    status: 400,
    retryable: false,
    what: (p) => `The chart "${p['chart']}" wants the column "${p['column']}"; the result has ${p['columns']}.`,
    remedy: 'Name a column of the result, or leave it out and let the chart choose.',
  },
  CHART_SHAPE: {
    status: 400,
    retryable: false,
    what: (p) => `The chart "${p['chart']}" needs ${p['needs']}; the result does not have it.`,
    remedy: 'Choose another chart, or select the columns that it needs.',
  },
} as const satisfies Record<string, ErrorEntry>;
