import type { ModelReport } from '#server';
import { table, text } from './table.ts';

interface About {
  readonly target: string;
  readonly classes: readonly string[] | null;
}

const TAKEN = [0.01, 0.05, 0.1, 0.2, 0.5];

/** A training report for the terminal: in words first (Korean where the language is), then its tables. Parts that an older model lacks are left out. */
export function modelReport(report: ModelReport, language: string, about: About = { target: 'it', classes: null }): string {
  const words = report.card && (language.startsWith('ko') ? report.card.ko : report.card.en);
  const parts = [
    ...(words ? [words.join('\n')] : []),
    ...judged(report),
    ...reliability(report),
    ...ranking(report),
    ...money(report),
    ...slices(report),
    ...importance(report),
    ...dependence(report, about),
    leaderboard(report),
    ...report.warnings.map((warning) => `! ${warning.kind}: ${warning.text}`),
  ];
  return parts.map(withoutControls).join('\n\n');
}

function judged({ rows, split, scores, rule, metric, better }: ModelReport): string[] {
  if (rule === null) return [];
  const figures = table(
    ['metric', 'value', 'error'].map(text),
    scores.map((score) => [score.metric, score.value.toFixed(4), score.error.toFixed(4)]),
  );
  return [
    [
      `Judged on ${rows.judged.toLocaleString('en-US')} rows that it did not learn from (${split.kind} split: ${split.why})`,
      figures,
      `The best simple rule, ${rule.text}: ${metric} ${rule.score.toFixed(4)}; the model gains ${rule.gain.toFixed(4)} ± ${rule.gainError.toFixed(4)}${better ? '' : ', which is no clear gain'}`,
    ].join('\n'),
  ];
}

function importance({ importance: found, metric }: ModelReport): string[] {
  if (found.length === 0) return [];
  const rows = found.slice(0, 15).map(({ column, loss }) => [column, loss.toFixed(4)]);
  return [`What is lost when a column is shuffled\n${table(['column', metric].map(text), rows)}`];
}

/** Names of columns and classes are someone else's text on the user's terminal. */
function withoutControls(part: string): string {
  return part.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, '�');
}

function reliability({ reliability: found, calibration: bins }: ModelReport): string[] {
  if (!found) return [];
  const of = `Brier score ${found.brier.toFixed(4)}, of which calibrating again could take ${found.miscalibration.toFixed(4)}`;
  const said = `Promised and observed shares differ by ${(found.expectedError * 100).toFixed(1)} % on average; ${of}`;
  if (!bins || bins.length === 0) return [said];
  const rows = bins.map(({ predicted, observed, rows: count }) => [percent(predicted), percent(observed), String(Math.round(count))]);
  return [`${said}\n${table(['promised', 'observed', 'rows'].map(text), rows)}`];
}

function ranking({ ranking: points }: ModelReport): string[] {
  if (!points || points.length === 0) return [];
  const rows = TAKEN.map((share) => points.find((point) => point.share >= share - 1e-9)).filter((point) => point !== undefined);
  const shown = rows.map(({ share, recall, falsePositiveRate, precision, lift }) => [
    percent(share),
    percent(recall),
    percent(falsePositiveRate),
    percent(precision),
    lift.toFixed(2),
  ]);
  return [`The surest rows first\n${table(['taken', 'positives found', 'of the others', 'precision', 'lift'].map(text), shown)}`];
}

function money({ money: worth }: ModelReport): string[] {
  if (!worth) return [];
  const title = `Profit on the judged rows, a hit at ${worth.hit} and a contact at ${worth.contact}, ${worth.threshold === null ? 'acting on nobody' : `acting from a probability of ${percent(worth.threshold)}`}`;
  const ways = Object.entries(worth.profit).map(([way, profit]) => [way, profit.toLocaleString('en-US', { maximumFractionDigits: 2 })]);
  return [`${title}\n${table(['who is acted on', 'profit'].map(text), ways)}`];
}

function slices({ slices: found }: ModelReport): string[] {
  if (!found || found.length === 0) return [];
  const rows = found.map((slice) => [
    slice.column,
    slice.value,
    String(slice.rows),
    slice.loss.toFixed(4),
    slice.otherLoss.toFixed(4),
    slice.ruleLoss.toFixed(4),
  ]);
  return [`Where it does worse\n${table(['column', 'value', 'rows', 'loss', 'loss elsewhere', "the rule's"].map(text), rows)}`];
}

/** Partial dependence as a line a column: a mark for each value on one scale, the largest categories first, and where it is lowest and highest. */
function dependence({ dependence: found, task, confusion }: ModelReport, { target, classes }: About): string[] {
  const drawn = (found ?? []).filter(({ points }) => points.length > 1);
  if (drawn.length === 0) return [];
  const at = task === 'regression' ? 0 : looked(confusion ?? []);
  const all = drawn.flatMap(({ points }) => points.map(({ answers }) => answers[at]!));
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const said = (answer: number) =>
    task === 'regression' ? answer.toLocaleString('en-US', { maximumSignificantDigits: 4 }) : percent(answer);
  const rows = drawn.map(({ column, points }) => {
    const known = points.filter(({ value }) => value !== null).map(({ answers }) => answers[at]!);
    const by = [...points].sort((a, b) => a.answers[at]! - b.answers[at]!);
    const ends = [by[0]!, by.at(-1)!].map(({ value, answers }) => `${said(answers[at]!)} at ${named(value)}`);
    return [column, marks(known, least, most), ...ends];
  });
  const of = task === 'regression' ? target : `${target} = ${classes?.[at] ?? `class ${at + 1}`}`;
  return [
    `The mean prediction of ${of} if all rows had a value\n${table(['column', 'value by value', 'lowest', 'highest'].map(text), rows)}`,
  ];
}

/** Of two classes the one that is looked for, of more the most frequent one. */
function looked(confusion: readonly (readonly number[])[]): number {
  if (confusion.length <= 2) return 1;
  const rows = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  return rows.indexOf(Math.max(...rows));
}

const MARKS = [...'▁▂▃▄▅▆▇█'];

function marks(values: readonly number[], least: number, most: number): string {
  const wide = most - least || 1;
  return values.map((value) => MARKS[Math.round(((value - least) / wide) * (MARKS.length - 1))]).join('');
}

const named = (value: number | string | null) =>
  value === null ? 'missing' : typeof value === 'number' ? String(Number(value.toPrecision(4))) : value;

function leaderboard({ trials, metric }: ModelReport): string {
  const rows = [...trials]
    .sort((a, b) => a.score - b.score)
    .map(({ candidate, score, error, share, trainMillis, predictMicros, bytes }) => [
      candidate.name,
      error === undefined ? score.toFixed(4) : `${score.toFixed(4)} ± ${error.toFixed(4)}`,
      share.toFixed(2),
      String(Math.round(trainMillis)),
      predictMicros?.toFixed(1) ?? null,
      bytes === undefined ? null : String(Math.round(bytes / 1000)),
    ]);
  return table(['model tried', metric, 'share', 'train ms', 'µs a row', 'kB'].map(text), rows);
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
