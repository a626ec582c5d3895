import type { ModelReport } from '../../src/server/api.ts';
import { columnsOf, type Plot, shares, type Words } from './plot.ts';

/** Promised against observed shares of the class that is looked for, and how many rows were promised what. */
export function calibrationPlots({ calibration, reliability }: ModelReport, what: string, words: Words): Plot[] {
  const bins = calibration ?? [];
  if (bins.length === 0) return [];
  const { t, number, share } = words;
  const [promised, observed, rows] = [t('calibration_promised'), t('calibration_observed'), t('calibration_rows')];
  const lines = [{ name: t('calibration_kept'), from: [0, 0], to: [1, 1] }] as const;
  // Ten bins of a tenth each, of which empty ones are left out.
  const tenths = Array.from({ length: 10 }, (_, tenth) => {
    const bin = bins.find(({ predicted }) => Math.min(9, Math.floor(predicted * 10)) === tenth);
    return [`${tenth * 10}–${(tenth + 1) * 10}`, bin?.rows ?? 0];
  });
  const most = tenths.reduce((a, b) => (Number(b[1]) > Number(a[1]) ? b : a));
  return [
    {
      title: t('calibration_title'),
      says: t('calibration_says', {
        what,
        error: share(reliability?.expectedError ?? errorOf(bins)),
      }),
      spec: { kind: 'curve', x: promised, y: [observed], size: rows, unit: '%', guide: { x: { ...shares, unit: '%' }, y: shares, lines } },
      data: {
        columns: columnsOf(promised, observed, rows),
        rows: bins.map((bin) => [bin.predicted, bin.observed, bin.rows]),
      },
    },
    {
      title: t('calibration_counts'),
      says: t('calibration_counts_says', { range: `${most[0]} %`, rows: number(Math.round(Number(most[1]))) }),
      spec: { kind: 'bar', x: promised, y: [rows] },
      data: {
        columns: [
          { name: promised, type: 'VARCHAR' },
          { name: rows, type: 'DOUBLE' },
        ],
        rows: tenths,
      },
    },
  ];
}

/** The mean distance over the bins, by rows: what a report without that figure would have said. */
function errorOf(bins: NonNullable<ModelReport['calibration']>): number {
  const all = bins.reduce((sum, { rows }) => sum + rows, 0);
  return bins.reduce((sum, { rows, predicted, observed }) => sum + (rows / all) * Math.abs(predicted - observed), 0);
}
