import type { ModelReport } from '#server';
import { table, text } from './table.ts';

/** Parts of a report that models made before them lack; docs/learn.md describes all. */
interface Later {
  readonly card?: { readonly en: readonly string[]; readonly ko: readonly string[] };
  readonly reliability?: { readonly brier: number; readonly expectedError: number; readonly miscalibration: number } | null;
  readonly ranking?:
    | readonly { readonly share: number; readonly precision: number; readonly recall: number; readonly lift: number }[]
    | null;
  readonly money?: {
    readonly hit: number;
    readonly contact: number;
    readonly threshold: number;
    readonly profit: Readonly<Record<'model' | 'rule' | 'everyone' | 'nobody', number>>;
  } | null;
  readonly slices?: readonly {
    readonly column: string;
    readonly value: string;
    readonly rows: number;
    readonly loss: number;
    readonly otherLoss: number;
    readonly ruleLoss: number;
  }[];
}

/** What a later report says of a trial. */
type LaterTrial = ModelReport['trials'][number] & { readonly error?: number; readonly bytes?: number; readonly predictMicros?: number };

const TAKEN = [0.01, 0.05, 0.1, 0.2, 0.5];

/** A training report for the terminal: in words first (Korean where the language is), then its tables. */
export function modelReport(report: ModelReport, language: string): string {
  const later: Later = report as ModelReport & Later;
  const words = later.card && (language.startsWith('ko') ? later.card.ko : later.card.en);
  const parts = [
    ...(words ? [words.join('\n')] : []),
    ...judged(report),
    ...reliability(later),
    ...ranking(later),
    ...money(later),
    ...slices(later),
    ...importance(report),
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

function reliability({ reliability: found }: Later): string[] {
  if (!found) return [];
  const of = `Brier score ${found.brier.toFixed(4)}, of which calibrating again could take ${found.miscalibration.toFixed(4)}`;
  return [`Promised and observed shares differ by ${(found.expectedError * 100).toFixed(1)} % on average; ${of}`];
}

function ranking({ ranking: points }: Later): string[] {
  if (!points || points.length === 0) return [];
  const rows = TAKEN.map((share) => points.find((point) => point.share >= share - 1e-9)).filter((point) => point !== undefined);
  const shown = rows.map(({ share, recall, precision, lift }) => [percent(share), percent(recall), percent(precision), lift.toFixed(2)]);
  return [`The surest rows first\n${table(['taken', 'positives found', 'precision', 'lift'].map(text), shown)}`];
}

function money({ money: worth }: Later): string[] {
  if (!worth) return [];
  const title = `Profit on the judged rows, a hit at ${worth.hit} and a contact at ${worth.contact}, acting from a probability of ${percent(worth.threshold)}`;
  const ways = Object.entries(worth.profit).map(([way, profit]) => [way, profit.toLocaleString('en-US', { maximumFractionDigits: 2 })]);
  return [`${title}\n${table(['who is acted on', 'profit'].map(text), ways)}`];
}

function slices({ slices: found }: Later): string[] {
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

function leaderboard({ trials, metric }: ModelReport): string {
  const rows = [...(trials as readonly LaterTrial[])]
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
