/** How a model answers, whichever kind it is: by columns for SQL, by row for HTTP. */
import type { ModelFile } from '#analyze';
import { type ColumnData, columnPredictor, type Prediction, predictor } from '#learn';
import { rowWithFeatures, withFeatures } from './features.ts';
import { broughtAnswerer, broughtPredictor } from './onnx/brought.ts';

export type RowAnswerer = (row: Readonly<Record<string, unknown>>) => Prediction;
export type ColumnAnswerer = (columns: readonly ColumnData[]) => Float64Array;

/** Built once for each model: it is unpacked here. */
export function rowAnswerer({ model, features = [] }: Pick<ModelFile, 'model' | 'features'>): RowAnswerer {
  if (model.format === 'onnx') return broughtPredictor(model);
  const answer = predictor(model);
  return features.length === 0 ? answer : (row) => answer(rowWithFeatures(features, row));
}

/** Columns [rows] → answers [rows × width]: class probabilities in the model's order, or values. */
export function columnAnswerer({ model, features = [] }: ModelFile): ColumnAnswerer {
  if (model.format === 'onnx') return broughtAnswerer(model);
  const answer = columnPredictor(model);
  return features.length === 0 ? answer : (columns) => answer(withFeatures(features, columns));
}
