/** The ML functions, each in one entry: what it takes, and how its answer becomes a table that only the question sees. */
import { fail } from '#core';
import { type ColumnData, parseNumber, type Report, splitImportance } from '#learn';
import { type ArrayColumn, name } from '#store';
import { type Asked, beside, misfit, scoredInput, trainedModel } from './asked.ts';
import { clusterCentroids, evaluateClusters, predictClusters } from './clusters.ts';
import { type Compared as ComparedFigure, type Pair, pairs, compared as withInterval } from './compare.ts';
import { counted, driftOf, type Reference } from './drift.ts';
import { explained, explainRows } from './explained.ts';
import {
  classificationFigures,
  confusion,
  confusionFigures,
  decide,
  HUNDREDTHS,
  type Judged,
  type RocPoint,
  regressionFigures,
  rocPoints,
} from './judge.ts';
import type { ModelFile } from './model.ts';
import { classCodes, predictionSql, thresholdOf } from './prediction.ts';
import type { Scored } from './score.ts';
import { weightsOf } from './weights.ts';

/** `answer` is null where there is no file to answer from: the insights of a contribution analysis are a table. */
export interface ModelFunction {
  readonly name: string;
  readonly summary: string;
  readonly input: 'required' | 'optional' | 'none';
  readonly settings: readonly string[];
  /** Why it can't stand in a materialized view; absent where it answers each row by itself. */
  readonly outOfViews?: string;
  /** What an array of numbers means to it; absent where it takes none. */
  readonly numbers?: 'thresholds';
  readonly answer: ((asked: Asked) => Promise<void>) | null;
}

const ALL_ROWS = 'it looks at all rows of its table at once, and a view is kept by the rows that change; CREATE TABLE AS keeps its answer';
const OF_MODEL = 'it tells of the model, not of rows; CREATE TABLE AS keeps its answer';

export const modelFunctions: readonly ModelFunction[] = [
  {
    name: 'PREDICT',
    summary: 'Each row with its prediction, or its cluster.',
    input: 'required',
    settings: ['threshold'],
    answer: (asked) => (asked.file.model.format === 'clusters' ? predictClusters(asked) : predictRows(asked)),
  },
  {
    name: 'EXPLAIN_PREDICT',
    summary: 'Each row with what moved its prediction.',
    input: 'required',
    settings: ['top_k_features', 'threshold'],
    answer: explainRows,
  },
  {
    name: 'EVALUATE',
    summary: 'How good it is.',
    input: 'optional',
    settings: ['threshold'],
    outOfViews: ALL_ROWS,
    answer: (asked) => (asked.file.model.format === 'clusters' ? evaluateClusters(asked) : evaluate(asked)),
  },
  { name: 'CENTROIDS', summary: 'What each cluster is like.', input: 'none', settings: [], outOfViews: OF_MODEL, answer: clusterCentroids },
  {
    name: 'CONFUSION_MATRIX',
    summary: 'Rows by true and predicted class.',
    input: 'optional',
    settings: ['threshold'],
    outOfViews: ALL_ROWS,
    answer: confusionMatrix,
  },
  {
    name: 'ROC_CURVE',
    summary: 'Counts at each threshold.',
    input: 'optional',
    settings: [],
    outOfViews: ALL_ROWS,
    numbers: 'thresholds',
    answer: rocCurve,
  },
  {
    name: 'COMPARE',
    summary: 'Two versions on the same rows, with the interval of their difference.',
    input: 'optional',
    settings: ['baseline', 'confidence_level'],
    outOfViews: ALL_ROWS,
    answer: compareVersions,
  },
  {
    name: 'VALIDATE_DATA_SKEW',
    summary: 'Whether rows and their scores are still like those of the training.',
    input: 'required',
    settings: ['false_alarm_rate', 'least_psi'],
    outOfViews: ALL_ROWS,
    answer: dataSkew,
  },
  {
    name: 'FEATURE_INFO',
    summary: 'What the columns held in training.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: featureInfo,
  },
  {
    name: 'TRAINING_INFO',
    summary: 'The models tried, with their loss.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: trainingInfo,
  },
  {
    name: 'TRIAL_INFO',
    summary: 'The models tried, with their settings.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: trialInfo,
  },
  {
    name: 'WEIGHTS',
    summary: 'Weights of a linear model.',
    input: 'none',
    settings: ['standardize'],
    outOfViews: OF_MODEL,
    answer: weights,
  },
  {
    name: 'FEATURE_IMPORTANCE',
    summary: 'What is lost when a column is shuffled, and what it was to trees.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: featureImportance,
  },
  {
    name: 'GET_INSIGHTS',
    summary: 'Segments by what they contribute to a change.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: null,
  },
  {
    name: 'GLOBAL_EXPLAIN',
    summary: 'How much each column moves predictions.',
    input: 'none',
    settings: [],
    outOfViews: OF_MODEL,
    answer: globalExplain,
  },
];

function reportOf(asked: Asked): Report {
  if (asked.file.model.format === 'clusters') return misfit(asked, 'it has clusters; see ML.EVALUATE and ML.CENTROIDS');
  return asked.file.model.report ?? misfit(asked, 'it was not trained here, so that nothing is known of its training');
}

/** Classes as texts; learning knows true and false as 1 and 0. */
function labelsOf({ model, target }: ModelFile): string[] {
  return model.classes!.map((label) => (target.type === 'BOOLEAN' ? String(label === '1') : label));
}

async function predictRows(asked: Asked): Promise<void> {
  const { file, reader, as } = asked;
  const threshold = thresholdOf(asked);
  const answers = `${as}_p`;
  // The table is there even if there is no row to append.
  await reader.append(answers, predictionColumns(file, new Float64Array(0), threshold));
  for await (const block of scoredInput(asked, false)) await reader.append(answers, predictionColumns(file, block.answers, threshold));
  const own = predictionSql(file, 'p.predicted', (k) => `p.p${k}`);
  const names = own.map((column) => column.name);
  // Both were filled in the same order, and the reader keeps the order of insertion.
  await reader.own(
    `CREATE TEMP VIEW ${name(as)} AS SELECT ${own.map((column) => `${column.sql} AS ${name(column.name)}`).join(', ')}${beside(asked, names)} FROM ${name(asked.input!.table)} t POSITIONAL JOIN ${name(answers)} p`,
  );
}

function predictionColumns(file: ModelFile, answers: Float64Array, threshold: number): ArrayColumn[] {
  const { classes } = file.model;
  if (classes === null) return [{ name: 'predicted', kind: 'number', values: answers }];
  const width = classes.length;
  const codes = classCodes(answers, width, threshold);
  const chances = classes.map((_, k): ArrayColumn => {
    const values = new Float64Array(codes.length);
    for (let row = 0; row < values.length; row++) values[row] = answers[row * width + k]!;
    return { name: `p${k}`, kind: 'number', values };
  });
  return [{ name: 'predicted', kind: 'number', values: codes }, ...chances];
}

/** Answers beside the truth for all rows of the input whose label is known. */
async function judged(asked: Asked): Promise<Judged> {
  const { classes, target } = asked.file.model;
  const codes = classes === null ? null : new Map(classes.map((label, k) => [label, k]));
  const truth: number[] = [];
  const answers: number[] = [];
  for await (const block of scoredInput(asked, true)) {
    if (block.truth === null) misfit(asked, `the table has no column "${target}" to compare with`);
    const { width } = block;
    const known = block.truth!.values.length;
    for (let row = 0; row < known; row++) {
      const actual = truthOf(asked, block.truth!, row, codes);
      if (actual === null) continue;
      truth.push(actual);
      for (let k = 0; k < width; k++) answers.push(block.answers[row * width + k]!);
    }
  }
  if (truth.length === 0) fail('MODEL_EMPTY', { what: `ML.${asked.call.name}` });
  return { truth: Float64Array.from(truth), answers: Float64Array.from(answers), width: classes?.length ?? 1 };
}

function truthOf(asked: Asked, column: ColumnData, row: number, codes: ReadonlyMap<string, number> | null): number | null {
  const value = column.values[row];
  if (value === null || value === undefined || Number.isNaN(value) || (typeof value === 'string' && value.trim() === '')) return null;
  if (codes === null) return numberOf(asked, column, value);
  return codes.get(String(value).trim()) ?? misfit(asked, `"${String(value).slice(0, 50)}" is none of its classes`);
}

/** As training reads a number to predict: infinities are missing. */
function numberOf(asked: Asked, { name: label, kind }: ColumnData, value: number | string): number | null {
  if (kind === 'time') misfit(asked, `"${label}" holds times, and it predicts numbers`);
  const number = typeof value === 'string' ? (parseNumber(value) ?? misfit(asked, `"${value.slice(0, 50)}" is no number`)) : value;
  return Number.isFinite(number) ? number : null;
}

function demandClasses(asked: Asked, two = false): readonly string[] {
  const { classes, format } = asked.file.model;
  if (format === 'clusters') return misfit(asked, 'its rows have no labels to compare with');
  if (classes === null) return misfit(asked, 'it predicts a number');
  if (two && classes.length !== 2) misfit(asked, `it has ${classes.length} classes, and two are needed`);
  return classes;
}

async function evaluate(asked: Asked): Promise<void> {
  const threshold = thresholdOf(asked);
  const figures =
    asked.input === null
      ? reported(asked, threshold)
      : asked.file.model.classes === null
        ? regressionFigures(await judged(asked))
        : classificationFigures(await judged(asked), threshold);
  await asked.reader.append(
    asked.as,
    Object.entries(figures).map(([metric, value]) => ({ name: metric, kind: 'number', values: Float64Array.of(value) })),
  );
}

/** Rows that were learned from would flatter it. */
const NOTHING_HELD_OUT = 'no rows were held out in training (NO_SPLIT); give a table';

/** Figures of the rows that were held out in training. */
function reported(asked: Asked, threshold: number): Readonly<Record<string, number>> {
  const report = reportOf(asked);
  if (report.rows.judged === 0) return misfit(asked, NOTHING_HELD_OUT);
  const of = (metric: string) => report.scores.find((score) => score.metric === metric)?.value ?? Number.NaN;
  if (report.confusion === null) {
    return {
      mean_absolute_error: of('mae'),
      mean_squared_error: of('rmse') ** 2,
      mean_squared_log_error: Number.NaN,
      median_absolute_error: Number.NaN,
      r2_score: of('r2'),
      explained_variance: Number.NaN,
    };
  }
  return { ...confusionFigures(reportedConfusion(asked, threshold)), log_loss: of('logLoss'), roc_auc: of('auc') };
}

/** Rows that were held out, by true (outer) and predicted class; they were counted at each hundredth of a threshold. */
function reportedConfusion(asked: Asked, threshold: number): readonly (readonly number[])[] {
  const report = reportOf(asked);
  if (report.confusion === null) return misfit(asked, NOTHING_HELD_OUT);
  if (threshold === 0.5) return report.confusion;
  const point = reportedPoint(asked, threshold);
  return [
    [point.trueNegatives, point.falsePositives],
    [point.falseNegatives, point.truePositives],
  ];
}

function reportedPoint(asked: Asked, threshold: number): RocPoint {
  const { thresholds } = reportOf(asked);
  if (thresholds === null) return misfit(asked, NOTHING_HELD_OUT);
  const point = thresholds.find((each) => Math.abs(each.threshold - threshold) < 1e-9);
  return point ?? misfit(asked, `the rows held out were not counted at the threshold ${threshold}; give a table`);
}

async function confusionMatrix(asked: Asked): Promise<void> {
  demandClasses(asked);
  const threshold = thresholdOf(asked);
  const table = asked.input === null ? reportedConfusion(asked, threshold) : confusion(await judged(asked), threshold);
  const [first, ...names] = columnNames(['expected_label', ...labelsOf(asked.file)]);
  const counts = names.map(
    (label, k): ArrayColumn => ({ name: label, kind: 'number', values: Float64Array.from(table, (row) => row[k]!) }),
  );
  await asked.reader.append(asked.as, [{ name: first!, kind: 'text', values: labelsOf(asked.file) }, ...counts]);
}

/** Columns are told apart without regard to case, labels with it: the later one gets a number, as the warehouse does it. */
function columnNames(wanted: readonly string[]): string[] {
  const taken = new Set<string>();
  return wanted.map((given) => {
    let made = given;
    for (let next = 1; taken.has(made.toLowerCase()); next++) made = `${given}_${next}`;
    taken.add(made.toLowerCase());
    return made;
  });
}

async function rocCurve(asked: Asked): Promise<void> {
  demandClasses(asked, true);
  const { numbers } = asked.call;
  const wrong = numbers?.find((threshold) => !(threshold >= 0 && threshold <= 1));
  if (wrong !== undefined) misfit(asked, `the threshold ${wrong} is not from 0 to 1`);
  const wanted = numbers ?? HUNDREDTHS;
  const points = asked.input === null ? wanted.map((threshold) => reportedPoint(asked, threshold)) : rocPoints(await judged(asked), wanted);
  const column = (as: string, of: (point: (typeof points)[number]) => number): ArrayColumn => ({
    name: as,
    kind: 'number',
    values: Float64Array.from(points, of),
  });
  await asked.reader.append(asked.as, [
    column('threshold', (p) => p.threshold),
    column('recall', (p) => p.truePositives / (p.truePositives + p.falseNegatives)),
    column('false_positive_rate', (p) => p.falsePositives / (p.falsePositives + p.trueNegatives)),
    column('true_positives', (p) => p.truePositives),
    column('false_positives', (p) => p.falsePositives),
    column('true_negatives', (p) => p.trueNegatives),
    column('false_negatives', (p) => p.falseNegatives),
  ]);
}

/** Rows of plain values as the answer; the columns are those named, texts or numbers, or what `shown` selects of them. */
async function tell(
  asked: Asked,
  columns: Readonly<Record<string, readonly (string | null)[] | readonly (number | null)[]>>,
  kinds: Readonly<Record<string, ArrayColumn['kind']>>,
  shown?: string,
  more = '',
): Promise<void> {
  const { reader, as } = asked;
  const rows = shown === undefined ? as : `${as}_r`;
  await reader.append(
    rows,
    Object.entries(columns).map(([column, values]): ArrayColumn => {
      if (kinds[column] === 'text') return { name: column, kind: 'text', values: [...(values as readonly (string | null)[])] };
      return {
        name: column,
        kind: 'number',
        values: Float64Array.from(values as readonly (number | null)[], (value) => value ?? Number.NaN),
      };
    }),
  );
  if (shown !== undefined) await reader.own(`CREATE TEMP VIEW ${name(as)} AS SELECT ${shown} FROM ${name(rows)} ${more}`);
}

/** What is compared: the scores first, where their counts on held-out rows are known, then each input. */
interface Compared {
  readonly input: string;
  readonly reference: Reference;
  readonly column: (block: Scored) => ColumnData | null;
}

function comparedBy(file: ModelFile): Compared[] {
  const inputs = file.profile.flatMap(({ input, reference }): Compared[] =>
    reference === undefined
      ? []
      : [{ input, reference, column: ({ inputs: read }) => read.find(({ name: own }) => own === input) ?? null }],
  );
  return [...comparedScores(file), ...inputs];
}

/** Scores beside those of the rows that were held out: a number's values, the second of two classes' probability, of more classes which was given and its probability. */
function comparedScores(file: ModelFile): Compared[] {
  const { classes, report } = file.model;
  const numbers = (input: string, reference: Reference, of: (scored: Scored, row: number) => number): Compared => ({
    input,
    reference,
    column: (block) => ({
      name: input,
      kind: 'number',
      values: Float64Array.from({ length: block.answers.length / block.width }, (_, row) => of(block, row)),
    }),
  });
  // Absent in files that know none.
  const answered = report?.answered ?? null;
  if (classes?.length === 2) {
    // Thresholds count weights, where rows have them; new rows have none.
    const reference =
      answered === null
        ? scoreReference(file)
        : ({ kind: 'number', edges: answered.spread.edges, counts: [...answered.spread.counts, 0] } as const);
    return reference === null ? [] : [numbers('__SCORE__', reference, ({ answers }, row) => answers[row * 2 + 1]!)];
  }
  if (answered === null) return [];
  const { edges, counts } = answered.spread;
  const spread: Reference = { kind: 'number', edges, counts: [...counts, 0] };
  if (classes === null || answered.classes === null) return [numbers('__SCORE__', spread, ({ answers }, row) => answers[row]!)];
  const given = ({ answers, width }: Scored, row: number) => decide(answers, row * width, width, 0.5);
  return [
    {
      input: '__SCORE__',
      reference: { kind: 'levels', levels: classes, counts: [...answered.classes, 0, 0] },
      column: (block) => ({
        name: '__SCORE__',
        kind: 'text',
        values: Array.from({ length: block.answers.length / block.width }, (_, row) => classes[given(block, row)]!),
      }),
    },
    numbers('__CONFIDENCE__', spread, (block, row) => block.answers[row * block.width + given(block, row)]!),
  ];
}

/** Scores of the rows that were held out, in tenths, from the counts at each threshold of two classes. */
function scoreReference({ model }: ModelFile): Reference | null {
  const thresholds = model.report?.thresholds;
  if (!thresholds || model.classes?.length !== 2) return null;
  const edges = Array.from({ length: 9 }, (_, k) => (k + 1) / 10);
  const from = [0, ...edges].map((edge) => {
    const point = thresholds.find(({ threshold }) => Math.abs(threshold - edge) < 1e-9);
    return point === undefined ? 0 : point.truePositives + point.falsePositives;
  });
  return { kind: 'number', edges, counts: [...from.map((count, k) => count - (from[k + 1] ?? 0)), 0] };
}

async function dataSkew(asked: Asked): Promise<void> {
  const setting = (of: string, otherwise: number, most: number): number => {
    const value = asked.call.settings[of] ?? otherwise;
    return typeof value === 'number' && value >= 0 && value <= most ? value : misfit(asked, `${of} is not from 0 to ${most}`);
  };
  const rate = setting('false_alarm_rate', 0.01, 0.5);
  const least = setting('least_psi', 0.02, 10);
  const compared = comparedBy(asked.file);
  if (compared.length === 0) misfit(asked, 'what its columns held in training was not recorded');
  const counts = compared.map(({ reference }) => reference.counts.map(() => 0));
  let rows = 0;
  for await (const block of scoredInput(asked, false)) {
    rows += block.answers.length / block.width;
    compared.forEach(({ reference, column }, k) => {
      const values = column(block);
      if (values !== null) counted(reference, values).counts.forEach((count, bin) => void (counts[k]![bin]! += count));
    });
  }
  if (rows === 0) fail('MODEL_EMPTY', { what: `ML.${asked.call.name}` });
  const drifts = compared.map(({ reference }, k) => driftOf(reference.counts, counts[k]!));
  const alarm = rate / compared.length;
  await tell(
    asked,
    {
      input: compared.map(({ input }) => input),
      psi: drifts.map(({ psi }) => psi),
      p_value: drifts.map(({ p }) => p),
      alarm_below: drifts.map(() => alarm),
      rows: drifts.map(() => rows),
      is_anomaly: drifts.map(({ p, psi }) => (p < alarm && psi >= least ? 'yes' : 'no')),
    },
    { input: 'text', is_anomaly: 'text' },
  );
}

/** Fewer rows have no interval worth the name. */
const LEAST_COMPARED = 30;

async function compareVersions(asked: Asked): Promise<void> {
  const { file, call, input } = asked;
  const level = call.settings['confidence_level'] ?? 0.95;
  if (typeof level !== 'number' || !(level >= 0.5 && level <= 0.9999)) misfit(asked, `confidence_level is not from 0.5 to 0.9999`);
  const spelled = String(call.settings['baseline'] ?? 'champion');
  const other: Asked = { ...asked, file: asked.version(spelled) };
  const alike = (of: ModelFile) => JSON.stringify([of.model.task, of.model.target, of.model.classes]);
  if (file.model.format === 'clusters' || alike(file) !== alike(other.file)) misfit(asked, `"${spelled}" predicts something else`);
  let rows: number | null = null;
  let found: readonly Pair[];
  if (input === null) found = reportedPairs(asked, other);
  else {
    const [baseline, candidate] = [await judged(other), await judged(asked)];
    rows = candidate.truth.length;
    if (rows < LEAST_COMPARED) misfit(asked, `${rows} rows with a label are too few to compare by; at least ${LEAST_COMPARED} are needed`);
    found = pairs(baseline, candidate);
  }
  const told = found.map((pair) => withInterval(pair, level as number));
  const each = <K extends keyof ComparedFigure>(of: K) => told.map((figure) => figure[of]);
  await tell(
    asked,
    {
      metric: each('metric'),
      baseline: each('baseline'),
      candidate: each('candidate'),
      difference: each('difference'),
      low: each('low'),
      high: each('high'),
      p_value: each('p'),
      better: each('better'),
      rows: told.map(() => rows),
      compared_on: told.map(() => (rows === null ? 'the rows that each held out' : 'the same rows')),
    },
    { metric: 'text', better: 'text', compared_on: 'text' },
  );
}

/** Each on the rows that it held out itself: their errors add up as if the rows were others, which is the wider interval where they are the same. */
function reportedPairs(asked: Asked, other: Asked): Pair[] {
  const [candidate, baseline] = [reportOf(asked).scores, reportOf(other).scores];
  const found = candidate.flatMap(({ metric, value, error }): Pair[] => {
    const before = baseline.find((score) => score.metric === metric);
    const lessIsBetter = LESS_IS_BETTER.has(metric);
    return before === undefined
      ? []
      : [{ metric, lessIsBetter, baseline: before.value, candidate: value, variance: error ** 2 + before.error ** 2 }];
  });
  return found.length > 0 ? found : misfit(asked, 'not both were judged in training; give a table of rows that neither has seen');
}

const LESS_IS_BETTER: ReadonlySet<string> = new Set(['logLoss', 'rmse', 'mae', 'pinball']);

async function featureInfo(asked: Asked): Promise<void> {
  const { profile } = asked.file;
  const figures = ['min', 'max', 'mean', 'median', 'stddev', 'category_count', 'null_count'] as const;
  await tell(
    asked,
    {
      input: profile.map(({ input }) => input),
      ...Object.fromEntries(figures.map((figure) => [figure, profile.map((each) => each[figure])])),
    },
    { input: 'text' },
    // Of arrays only, which are no input here.
    '*, NULL::BIGINT AS dimension',
  );
}

async function trainingInfo(asked: Asked): Promise<void> {
  const { trials } = reportOf(asked);
  const shown =
    'training_run::BIGINT AS training_run, iteration::BIGINT AS iteration, NULL::DOUBLE AS loss, eval_loss, learning_rate, duration_ms::BIGINT AS duration_ms, learner, rounds::BIGINT AS rounds';
  await tell(
    asked,
    {
      training_run: trials.map(() => 0),
      iteration: trials.map((_, n) => n),
      learner: trials.map(({ candidate }) => candidate.name),
      rounds: trials.map(({ rounds }) => rounds),
      eval_loss: trials.map(({ score: loss }) => loss),
      learning_rate: trials.map(({ candidate }) => (candidate.learner === 'trees' ? candidate.options.learningRate : null)),
      duration_ms: trials.map(({ trainMillis }) => Math.round(trainMillis)),
    },
    { learner: 'text' },
    shown,
  );
}

async function trialInfo(asked: Asked): Promise<void> {
  const { trials, metric } = reportOf(asked);
  const least = Math.min(...trials.map(({ score }) => score));
  const optimal = trials.findIndex(({ score }) => score === least);
  const shown =
    'trial_id::BIGINT AS trial_id, trial, hyperparameters, metric, NULL::DOUBLE AS training_loss, eval_loss, share, status, NULL::VARCHAR AS error_message, is_optimal = 1 AS is_optimal';
  await tell(
    asked,
    {
      trial_id: trials.map((_, n) => n + 1),
      trial: trials.map(({ candidate }) => candidate.name),
      hyperparameters: trials.map(({ candidate }) => JSON.stringify(candidate.options)),
      metric: trials.map(() => metric),
      eval_loss: trials.map(({ score: loss }) => loss),
      share: trials.map(({ share }) => share),
      status: trials.map(() => 'SUCCEEDED'),
      is_optimal: trials.map((_, n) => Number(n === optimal)),
    },
    { trial: 'text', hyperparameters: 'text', metric: 'text', status: 'text' },
    shown,
  );
}

async function weights(asked: Asked): Promise<void> {
  const standardised = asked.call.settings['standardize'] ?? false;
  if (typeof standardised !== 'boolean') misfit(asked, 'standardize is neither true nor false');
  const rows =
    weightsOf(trainedModel(asked), standardised === true) ??
    misfit(asked, 'it is not one linear model; ML.FEATURE_IMPORTANCE answers for every kind');
  const several = rows.some(({ label }) => label !== null);
  const shown = `processed_input, max(weight) FILTER (category IS NULL) AS weight,
    coalesce(list({'category': category, 'weight': weight} ORDER BY place) FILTER (category IS NOT NULL), []) AS category_weights${several ? ', class_label' : ''}`;
  await tell(
    asked,
    {
      place: rows.map((_, n) => n),
      processed_input: rows.map(({ input }) => input),
      category: rows.map(({ category }) => category),
      class_label: rows.map(({ label }) => label),
      weight: rows.map(({ weight }) => weight),
    },
    { processed_input: 'text', category: 'text', class_label: 'text' },
    shown,
    'GROUP BY processed_input, class_label ORDER BY min(place)',
  );
}

async function featureImportance(asked: Asked): Promise<void> {
  const { importance, rows } = reportOf(asked);
  if (rows.judged === 0) misfit(asked, 'no rows were held out in training (NO_SPLIT), and it is told of those');
  const splits = splitImportance(trainedModel(asked));
  const none = splits === null ? null : 0;
  const of = (column: string) => splits?.find((each) => each.column === column);
  await tell(
    asked,
    {
      feature: importance.map(({ column }) => column),
      importance: importance.map(({ loss }) => loss),
      importance_weight: importance.map(({ column }) => of(column)?.weight ?? none),
      importance_gain: importance.map(({ column }) => of(column)?.gain ?? none),
      importance_cover: importance.map(({ column }) => of(column)?.cover ?? none),
    },
    { feature: 'text' },
  );
}

/** The mean of the absolute attributions to the golden rows that are as they were in training. */
async function globalExplain(asked: Asked): Promise<void> {
  const { file } = asked;
  const rows = file.golden.rows.slice(0, 100);
  const columns = file.inputs.map(({ name: column, kind }): ColumnData => {
    if (kind === 'text') return { name: column, kind, values: rows.map((row) => row[column] as string | null) };
    return { name: column, kind, values: Float64Array.from(rows, (row) => (row[column] as number | null) ?? Number.NaN) };
  });
  const outputs = await explained(trainedModel(asked), asked.workshop.features(file, columns), asked.pause);
  const features = outputs[0]!.columns.map((column, c) => {
    const all = outputs.flatMap((output) => [...(output.columns[c]!.values as Float64Array)]);
    return { feature: column.name, attribution: all.reduce((sum, value) => sum + Math.abs(value) / all.length, 0) };
  });
  features.sort((a, b) => b.attribution - a.attribution);
  await tell(
    asked,
    { feature: features.map(({ feature }) => feature), attribution: features.map(({ attribution }) => attribution) },
    { feature: 'text' },
  );
}
