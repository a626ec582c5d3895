/** What moved each row's answer: a few rows at a time for a question, a block at once for a view. */
import { type ColumnData, type Explanation, explainCost, explainer, type Model } from '#learn';
import { quoteLiteral } from '#sql';
import { type ArrayColumn, name } from '#store';
import { type Asked, beside, misfit, scoredInput, trainedModel } from './asked.ts';
import type { ModelFile } from './model.ts';
import { classCodes, predictedAs, thresholdOf } from './prediction.ts';
import { EXPLAINED_BLOCK } from './score.ts';

/** How long others may wait: a row of a large blend alone takes some tens of milliseconds. */
const SLICE_MILLIS = 20;
const MOST_ROWS = 128;

/** `explain` of all rows, with `pause` between slices of as many rows as are explained in some milliseconds; it may throw. */
export async function explained(
  model: Model,
  columns: readonly ColumnData[],
  pause: () => Promise<void>,
  now: () => number = () => performance.now(),
): Promise<Explanation[]> {
  const rows = columns[0]?.values.length ?? 0;
  const explain = explainer(model);
  const parts: Explanation[][] = [];
  for (let from = 0, most = 1; from < rows; ) {
    const to = Math.min(rows, from + most);
    const began = now();
    const slice = (column: ColumnData) => ({ ...column, values: column.values.slice(from, to) }) as ColumnData;
    parts.push(explain(columns.map(slice)));
    most = Math.max(1, Math.min(MOST_ROWS, Math.floor((most * SLICE_MILLIS) / Math.max(0.1, now() - began))));
    from = to;
    if (from < rows) await pause();
  }
  return (parts[0] ?? explain(columns)).map((first, output) => ({
    ...first,
    columns: first.columns.map((column, c) => ({
      ...column,
      values: Float64Array.from(parts.flatMap((part) => [...(part[output]!.columns[c]!.values as Float64Array)])),
    })) as ColumnData[],
  }));
}

/** The numbers of a row before what each column added: predicted, its probability, the base, the score. */
const LEAD = 4;

/**
 * Each row's explanation as numbers, [rows × (4 + columns)]. The score that is explained is of the value, of the second of two classes, or
 * of the predicted one of more. Scores of classes are log-odds.
 */
function numbersOf({ model }: ModelFile, answers: Float64Array, outputs: readonly Explanation[], threshold: number): Float64Array {
  const classes = model.classes?.length ?? 1;
  const codes = classCodes(answers, classes, threshold);
  const width = LEAD + outputs[0]!.columns.length;
  const told = new Float64Array(codes.length * width);
  codes.forEach((code, row) => {
    const { base, columns } = outputs.length === 1 ? outputs[0]! : outputs[code]!;
    let score = 0;
    columns.forEach(({ values }, c) => {
      const moved = (values as Float64Array)[row]!;
      told[row * width + LEAD + c] = moved;
      score += moved;
    });
    const lead = model.classes === null ? [answers[row]!, Number.NaN] : [code, answers[row * classes + code]!];
    told.set([...lead, base, base + score], row * width);
  });
  return told;
}

/** The columns of the answer, over those numbers. */
function explanationSql(
  file: ModelFile,
  features: readonly string[],
  top: number,
  number: (k: number) => string,
): { name: string; sql: string }[] {
  // A list is sorted by its structs' fields in their order: the largest first, of equal ones the first column.
  const moved = features.map((feature, c) => {
    const own = number(LEAD + c);
    return `{'less': -abs(${own}), 'place': ${c}, 'feature': ${quoteLiteral(feature)}, 'attribution': ${own}}`;
  });
  const most = `list_slice(list_sort([${moved.join(', ')}]), 1, ${Math.min(top, features.length)})`;
  const told = `[{'feature': each.feature, 'attribution': each.attribution} FOR each IN ${most}]`;
  return [
    { name: `predicted_${file.model.target}`, sql: predictedAs(file, number(0)) },
    { name: 'probability', sql: number(1) },
    { name: 'top_feature_attributions', sql: features.length === 0 ? '[]::STRUCT(feature VARCHAR, attribution DOUBLE)[]' : told },
    { name: 'baseline_prediction_value', sql: number(2) },
    { name: 'prediction_value', sql: number(3) },
  ];
}

function topOf(asked: Pick<Asked, 'call' | 'file'>): number {
  const top = Number(asked.call.settings['top_k_features'] ?? 5);
  return top >= 1 ? Math.floor(top) : misfit(asked, 'top_k_features must be at least 1');
}

/** The columns that a model's answers are explained by. MODEL_EXPLAIN. */
const featuresOf = (outputs: readonly Explanation[]): string[] => outputs[0]!.columns.map((column) => column.name);

export async function explainRows(asked: Asked): Promise<void> {
  const { file, reader, as, workshop } = asked;
  const threshold = thresholdOf(asked);
  const top = topOf(asked);
  const model = trainedModel(asked);
  const answers = `${as}_p`;
  let features: readonly string[] = [];
  const append = async (of: Float64Array, outputs: readonly Explanation[]) => {
    features = featuresOf(outputs);
    const width = LEAD + features.length;
    const told = numbersOf(file, of, outputs, threshold);
    const columns = Array.from(
      { length: width },
      (_, k): ArrayColumn => ({
        name: `n${k}`,
        kind: 'number',
        values: Float64Array.from({ length: told.length / width }, (_row, row) => told[row * width + k]!),
      }),
    );
    await reader.append(answers, columns);
  };
  const nothing = file.inputs.map(
    ({ name: column, kind }): ColumnData =>
      kind === 'text' ? { name: column, kind, values: [] } : { name: column, kind, values: new Float64Array(0) },
  );
  // The table is there even if there is no row to append.
  await append(new Float64Array(0), await explained(model, workshop.features(file, nothing), asked.pause));
  for await (const block of scoredInput(asked, false, EXPLAINED_BLOCK))
    await append(block.answers, await explained(model, workshop.features(file, block.inputs), asked.pause));
  const own = explanationSql(file, features, top, (k) => `p.n${k}`);
  const names = own.map((column) => column.name);
  await reader.own(
    `CREATE TEMP VIEW ${name(as)} AS SELECT ${own.map((column) => `${column.sql} AS ${name(column.name)}`).join(', ')}${beside(asked, names)} FROM ${name(asked.input!.table)} t POSITIONAL JOIN ${name(answers)} p`,
  );
}

/** What a view would take minutes for: some milliseconds a row. */
const MOST_COST = 500_000;
/** At this cost the 2,048 rows that a view gets at once hold everything else in the warehouse up for about a tenth of a second. */
const COST_AT_ONCE = 6_000;

/** What a view explains rows by, in how many parts it should give them. MODEL_FUNCTION, MODEL_EXPLAIN. */
export function explanationIn(asked: Pick<Asked, 'call' | 'file'>, empty: readonly ColumnData[]) {
  const { file } = asked;
  const model = trainedModel(asked);
  const features = featuresOf(explainer(model)(empty));
  const cost = explainCost(model);
  if (cost > MOST_COST) misfit(asked, 'a view would take too long to explain its rows: the model has too many or too deep trees');
  const top = topOf(asked);
  return {
    width: LEAD + features.length,
    parts: Math.ceil(cost / COST_AT_ONCE) || 1,
    numbers: (opened: ModelFile, answers: Float64Array, columns: readonly ColumnData[], threshold: number) => {
      const { rows, places } = differentRows(columns);
      const outputs = explainer(opened.model as Model)(columns.map((column) => picked(column, rows)));
      const all = outputs.map((output) => ({ ...output, columns: output.columns.map((column) => picked(column, places)) }));
      return numbersOf(opened, answers, all, threshold);
    },
    columns: (number: (k: number) => string) => explanationSql(file, features, top, number),
  };
}

function picked(column: ColumnData, rows: readonly number[]): ColumnData {
  if (column.kind === 'text') return { ...column, values: rows.map((row) => column.values[row]!) };
  return { ...column, values: Float64Array.from(rows, (row) => column.values[row]!) };
}

/** Rows that are alike are explained once: the first of each, and where each row's stands among those. */
function differentRows(columns: readonly ColumnData[]): { readonly rows: readonly number[]; readonly places: readonly number[] } {
  const seen = new Map<string, number>();
  const rows: number[] = [];
  const places = Array.from({ length: columns[0]?.values.length ?? 0 }, (_, row) => {
    const key = JSON.stringify(columns.map(({ values }) => (Number.isNaN(values[row]) ? null : values[row])));
    if (!seen.has(key)) seen.set(key, rows.push(row) - 1);
    return seen.get(key)!;
  });
  return { rows, places };
}
