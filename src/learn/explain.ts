import { fail } from '#core';
import type { ColumnData } from './columns.ts';
import { encode } from './encode.ts';
import { designWriter, widthOf } from './linear/design.ts';
import { type Learned, type Model, unpackForest, unpackLinear } from './model.ts';
import { addShapValues, expectedScores } from './trees/shap.ts';

/** What moved one score of each row: the score is `base` plus the row's values in all columns. Scores are before the link: log-odds, logarithms of a count, or the value itself. */
export interface Explanation {
  /** The class whose score it is; null for regression. With two classes there is one score, the second's. */
  readonly of: string | null;
  /** The score of an average row. */
  readonly base: number;
  /** One for each column that the model uses: [rows]. */
  readonly columns: readonly ColumnData[];
}

/**
 * What each column adds to a score, for models of trees and linear ones (MODEL_EXPLAIN for others); the features of one column are added
 * up. Errors as `predict`. Trees: SHAP values; cost a row: trees × leaves × depth². Linear models: weight times value, from a base of a
 * row with mean numbers and no categories.
 */
export function explain(model: Model, columns: readonly ColumnData[]): Explanation[] {
  const { learned } = model;
  if (learned.kind === 'trees') return explainTrees(model, learned, columns);
  if (learned.kind === 'linear') return explainLinear(model, learned, columns);
  return fail('MODEL_EXPLAIN', { kind: learned.kind });
}

function explainTrees(model: Model, learned: Learned & { kind: 'trees' }, columns: readonly ColumnData[]): Explanation[] {
  const forest = unpackForest(learned.forest);
  const { features, rows } = encode(model.encoders, columns);
  const names = [...new Set(features.map((f) => f.column))];
  const place = features.map((f) => names.indexOf(f.column));
  const values = Array.from({ length: forest.outputs }, () => names.map(() => new Float64Array(rows)));
  const row = new Float64Array(features.length);
  const shap = new Float64Array(forest.outputs * features.length);
  for (let i = 0; i < rows; i++) {
    for (let f = 0; f < features.length; f++) row[f] = features[f]!.values[i]!;
    shap.fill(0);
    addShapValues(forest, row, shap);
    shap.forEach((value, at) => {
      const column = values[Math.floor(at / features.length)]![place[at % features.length]!]!;
      column[i] = column[i]! + value;
    });
  }
  return told(model, names, values, expectedScores(forest));
}

function explainLinear(model: Model, learned: Learned & { kind: 'linear' }, columns: readonly ColumnData[]): Explanation[] {
  const { design, outputs, intercepts, weights } = unpackLinear(learned);
  const encoded = encode(model.encoders, columns);
  const sources = [...encoded.features, ...encoded.texts].map(({ column }) => column);
  const names = [...new Set(sources)];
  // Which of the names each of the design's columns belongs to.
  const place = Uint32Array.from(
    [...design.parts, ...design.texts].flatMap((part, f) => new Array<number>(widthOf(part)).fill(names.indexOf(sources[f]!))),
  );
  const table = designWriter(design)(encoded);
  const values = Array.from({ length: outputs }, () => names.map(() => new Float64Array(encoded.rows)));
  for (let i = 0; i < encoded.rows; i++)
    for (let p = table.starts[i]!; p < table.starts[i + 1]!; p++)
      for (let output = 0; output < outputs; output++)
        values[output]![place[table.columns[p]!]!]![i]! += table.values[p]! * weights[table.columns[p]! * outputs + output]!;
  return told(model, names, values, intercepts);
}

/** `values` is [outputs][names][rows]. */
function told(
  model: Model,
  names: readonly string[],
  values: readonly (readonly Float64Array<ArrayBuffer>[])[],
  base: ArrayLike<number>,
): Explanation[] {
  return values.map((byColumn, output) => ({
    of: model.classes === null ? null : (model.classes[values.length === 1 ? 1 : output] ?? null),
    base: base[output]!,
    columns: names.map((name, c) => ({ name, kind: 'number', values: byColumn[c]! })),
  }));
}
