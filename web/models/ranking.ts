import type { ModelReport } from '../../src/server/api.ts';
import { columnsOf, type Plot, shares, type Words } from './plot.ts';

type Point = NonNullable<ModelReport['ranking']>[number];

/** ROC, precision–recall, gain and lift of the class that is looked for (`what`), each with a figure in words. */
export function rankingPlots({ ranking, scores }: ModelReport, what: string, words: Words): Plot[] {
  const points = ranking ?? [];
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return [];
  const { t, number, share } = words;
  // Rows are taken one after the other: this is what any point alone says of all of them.
  const usual = last.precision / last.lift;
  const surest = points.find((point) => point.share >= 0.1 - 1e-9) ?? last;
  const half = points.find((point) => point.recall >= 0.5) ?? last;
  const auc = scores.find(({ metric }) => metric === 'auc');
  const chance = (from: readonly [number, number], to: readonly [number, number]) => [{ name: t('curve_chance'), from, to }];
  const plot = (
    title: string,
    says: string,
    [x, y]: readonly [string, string],
    of: (point: Point) => readonly [number, number],
    { ends, ...more }: { ends: readonly [number, number][][]; spec: Omit<Plot['spec'], 'kind'> },
  ): Plot => ({
    title,
    says,
    spec: { kind: 'curve', x, y: [y], ...more.spec },
    data: { columns: columnsOf(x, y), rows: [...ends[0]!, ...points.map(of), ...ends[1]!] },
  });
  const square = { unit: '%', guide: { x: { ...shares, unit: '%' }, y: shares } };
  const [found, taken] = [t('curve_found'), t('curve_taken')];
  return [
    plot(
      t('curve_roc'),
      auc === undefined ? t('curve_roc_plain', { what }) : t('curve_roc_says', { what, auc: share(auc.value) }),
      [t('curve_false'), found],
      (point) => [point.falsePositiveRate, point.recall],
      { ends: corners, spec: { ...square, guide: { ...square.guide, lines: chance([0, 0], [1, 1]) } } },
    ),
    plot(
      t('curve_precision'),
      t('curve_precision_says', { what, recall: share(half.recall), precision: share(half.precision), usual: share(usual) }),
      [found, t('curve_right')],
      (point) => [point.recall, point.precision],
      { ends: [[], []], spec: { ...square, guide: { ...square.guide, lines: chance([0, usual], [1, usual]) } } },
    ),
    plot(
      t('curve_gain'),
      t('curve_gain_says', { what, taken: share(surest.share), recall: share(surest.recall) }),
      [taken, found],
      (point) => [point.share, point.recall],
      { ends: corners, spec: { ...square, guide: { ...square.guide, lines: chance([0, 0], [1, 1]) } } },
    ),
    plot(
      t('curve_lift'),
      t('curve_lift_says', { what, taken: share(surest.share), lift: number(Number(surest.lift.toPrecision(2))) }),
      [taken, t('curve_lift_axis')],
      (point) => [point.share, point.lift],
      { ends: [[], []], spec: { guide: { x: { ...shares, unit: '%' }, y: { from: 0 }, lines: chance([0, 1], [1, 1]) } } },
    ),
  ];
}

/** Before anybody is taken, and when all are. */
const corners: [number, number][][] = [[[0, 0]], [[1, 1]]];
