import type { ModelReport } from '../../src/server/api.ts';
import { columnsOf, type Plot, short, type Words } from './plot.ts';

type Dependence = NonNullable<ModelReport['dependence']>[number];

/**
 * What the model answers, in the mean, when all rows have a value of the column: of a number a curve with a point where the rows have their
 * tenths, of categories bars. All on one scale. `at` is the class's place, 0 where a number is predicted; `flags` are columns whose 0 and 1
 * mean false and true.
 */
export function dependencePlots(
  { dependence, task }: ModelReport,
  { answer, at, flags }: { readonly answer: string; readonly at: number; readonly flags: ReadonlySet<string> },
  words: Words,
): Plot[] {
  const shares = task === 'classification';
  const all = (dependence ?? []).filter(({ points }) => points.length > 1);
  const answers = all.flatMap(({ points }) => points.map((point) => point.answers[at]!));
  const scale = scaleOf(answers, shares);
  return all.map((each) => plotOf(flags.has(each.column) ? flagged(each) : each, answer, at, shares, scale, words));
}

/** In steps that a person counts in. Bars, and shares, begin at zero. */
function scaleOf(answers: readonly number[], shares: boolean) {
  const [least, most] = [shares ? 0 : Math.min(...answers), Math.max(...answers)];
  const wide = Math.max(most - least, Math.abs(most) * 0.01, 1e-12) / 4;
  const unit = 10 ** Math.floor(Math.log10(wide));
  const step = ([1, 2, 5].find((times) => times * unit >= wide) ?? 10) * unit;
  const tick = (count: number) => Number((count * step).toPrecision(12));
  const to = tick(Math.ceil(most / step));
  const from = tick(Math.floor(least / step));
  return { curve: { from, to, step }, bar: from > 0 ? { from: 0, to } : { from, to: Math.max(0, to), step } };
}

function plotOf(
  { column, points }: Dependence,
  answer: string,
  at: number,
  shares: boolean,
  scale: ReturnType<typeof scaleOf>,
  { t, number, share }: Words,
): Plot {
  const value = (each: number) => (shares ? share(each) : number(short(each)));
  const name = (each: number | string | null) =>
    each === null ? t('dependence_missing') : typeof each === 'number' ? number(short(each)) : each;
  const by = [...points].sort((a, b) => a.answers[at]! - b.answers[at]!);
  const [low, high] = [by[0]!, by.at(-1)!];
  const says = t('dependence_says', {
    low: value(low.answers[at]!),
    lowAt: name(low.value),
    high: value(high.answers[at]!),
    highAt: name(high.value),
  });
  const unit = shares ? { unit: '%' } : {};
  const along = points.filter(({ value: its }) => typeof its === 'number');
  // Between two values there is nothing that a line could tell.
  if (along.length < 3)
    return {
      title: column,
      says,
      spec: { kind: 'bar', x: column, y: [answer], ...unit, guide: { y: scale.bar } },
      data: {
        columns: [
          { name: column, type: 'VARCHAR' },
          { name: answer, type: 'DOUBLE' },
        ],
        rows: points.map((point) => [name(point.value), point.answers[at]!]),
      },
    };
  const missing = points.find(({ value: its }) => its === null)?.answers[at];
  const ends = along.map(({ value: its }) => its as number);
  const [from, to] = [Math.min(...ends), Math.max(...ends)];
  const lines = missing === undefined ? [] : [{ name: t('dependence_missing'), from: [from, missing], to: [to, missing] } as const];
  return {
    title: column,
    says,
    spec: { kind: 'curve', x: column, y: [answer], ...unit, guide: { x: { from, to }, y: scale.curve, lines, bare: true } },
    data: { columns: columnsOf(column, answer), rows: along.map((point) => [point.value, point.answers[at]!]) },
  };
}

const flagged = ({ column, points }: Dependence): Dependence => ({
  column,
  points: points.map(({ value, answers }) => ({ value: value === null ? null : String(value === 1), answers })),
});
