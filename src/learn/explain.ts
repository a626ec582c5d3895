import { fail } from '#core';
import type { ColumnData } from './columns.ts';
import { encode } from './encode.ts';
import { type Model, unpackForest } from './model.ts';
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

/** SHAP values by column, for models of trees (MODEL_EXPLAIN for others); the features of one column are added up. Errors as `predict`. Cost a row: trees × leaves × depth². */
export function explain(model: Model, columns: readonly ColumnData[]): Explanation[] {
  if (model.learned.kind !== 'trees') fail('MODEL_EXPLAIN', { kind: model.learned.kind });
  const forest = unpackForest(model.learned.forest);
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
  const base = expectedScores(forest);
  return values.map((byColumn, output) => ({
    of: model.classes === null ? null : (model.classes[forest.outputs === 1 ? 1 : output] ?? null),
    base: base[output]!,
    columns: names.map((name, c) => ({ name, kind: 'number', values: byColumn[c]! })),
  }));
}
