import type { ErrorEntry } from './entry.ts';

/** Errors of drawing, a chart that the result can't fill, and of saved questions. */
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
  SAVED_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `A saved question can't be named "${p['name']}".`,
    remedy: 'Use 1 to 63 of a–z, 0–9, _ and -, beginning with a letter.',
  },
  SAVED_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no saved question "${p['name']}".`,
    remedy: 'See GET /v1/queries for those that exist; they are the files of the folder queries/.',
  },
  SAVED_CHANGED: {
    status: 409,
    retryable: false,
    what: (p) => `The saved question "${p['name']}" was changed by someone else meanwhile.`,
    remedy: 'Look at the newer version, then save again on top of it or under another name.',
  },
  SAVED_VERSION: {
    status: 404,
    retryable: false,
    what: (p) => `The saved question "${p['name']}" has no version "${p['version']}".`,
    remedy: 'See GET /v1/queries/:name/versions for those that are kept.',
  },
  LIVE_BUSY: {
    status: 503,
    retryable: true,
    what: (p) => `${p['streams']} live dashboards are open; that is the most.`,
    remedy: 'Close one of them, or let the dashboard refresh every few seconds instead.',
  },
} as const satisfies Record<string, ErrorEntry>;
