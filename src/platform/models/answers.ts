/** How a model answers, whichever kind it is: by columns for SQL, by row for HTTP. */
import type { ModelFile } from '#analyze';
import { type ColumnData, type Prediction, predict, predictor } from '#learn';
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
  const width = model.classes?.length ?? 1;
  return (columns) => {
    const { columns: predicted } = predict(model, withFeatures(features, columns));
    if (width === 1) return predicted[0]!.values as Float64Array;
    const rows = predicted[0]!.values.length;
    const answers = new Float64Array(rows * width);
    // The first column is the label.
    for (let k = 0; k < width; k++) {
      const values = predicted[k + 1]!.values as Float64Array;
      for (let row = 0; row < rows; row++) answers[row * width + k] = values[row]!;
    }
    return answers;
  };
}
