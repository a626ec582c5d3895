/** How a model answers, whichever kind it is: by columns for SQL, by row for HTTP. */
import type { ClusterModel, Feature, ModelFile } from '#analyze';
import { fail } from '#core';
import { assign, type ColumnData, columnPredictor, type Prediction, predictor, rowColumn } from '#learn';
import { rowMaker, withFeatures } from './features.ts';
import { broughtAnswerer, broughtPredictor } from './onnx/brought.ts';

export type RowAnswerer = (row: Readonly<Record<string, unknown>>) => Prediction;
export type ColumnAnswerer = (columns: readonly ColumnData[]) => Float64Array;

/** Built once for each model: it is unpacked here. */
export function rowAnswerer({ model, features = [] }: Pick<ModelFile, 'model' | 'features'>): RowAnswerer {
  if (model.format === 'onnx') return broughtPredictor(model);
  if (model.format === 'clusters') return clusterPredictor(model, features);
  const answer = predictor(model);
  const maker = makerOf(model.encoders, features);
  return (row) => answer(maker(row));
}

/** Columns [rows] → answers [rows × width]: class probabilities in the model's order, or values. */
export function columnAnswerer({ model, features = [] }: ModelFile): ColumnAnswerer {
  if (model.format === 'onnx') return broughtAnswerer(model);
  const answer = model.format === 'clusters' ? distancesTo(model) : columnPredictor(model);
  return features.length === 0 ? answer : (columns) => answer(withFeatures(features, columns));
}

const makerOf = (encoders: readonly { readonly column: string }[], features: readonly Feature[]) =>
  rowMaker(
    features,
    encoders.map(({ column }) => column),
  );

function distancesTo({ clusters }: ClusterModel): ColumnAnswerer {
  return (columns) => assign(clusters, columns).distances;
}

/** A row's distances stand where others have probabilities. MODEL_INPUT for a row with none of the columns, or a value of the wrong type. */
function clusterPredictor({ clusters }: ClusterModel, features: readonly Feature[]): RowAnswerer {
  const { encoders } = clusters;
  const maker = makerOf(encoders, features);
  return (given) => {
    const row = maker(given);
    if (!encoders.some(({ column }) => Object.hasOwn(row, column))) {
      const [first] = encoders;
      fail('MODEL_INPUT', { column: first!.column, value: 'a row with none of its columns', expected: `a row with "${first!.column}"` });
    }
    const { nearest, distances } = assign(
      clusters,
      encoders.map((encoder) => rowColumn(row, encoder)),
    );
    return { value: nearest[0]!, probabilities: distances };
  };
}
