import { shapeOf } from './encode.ts';
import { type Model, unpackForest } from './model.ts';

/** What a column was to trees while they grew, as XGBoost and BigQuery ML count it. */
export interface SplitImportance {
  readonly column: string;
  /** How many nodes split on it. */
  readonly weight: number;
  /** Means over these nodes: what the split took off the loss, and the hessian of the rows that came to it. */
  readonly gain: number;
  readonly cover: number;
}

/** Of each column that the trees split on; null for a model that is not one of trees alone. */
export function splitImportance({ learned, encoders }: Pick<Model, 'learned' | 'encoders'>): SplitImportance[] | null {
  if (learned.kind !== 'trees') return null;
  const { feature, gain, cover } = unpackForest(learned.forest);
  const columns = shapeOf(encoders).features.map(({ column }) => column);
  const sums = new Map<string, { weight: number; gain: number; cover: number }>();
  feature.forEach((split, node) => {
    if (split < 0) return;
    const sum = sums.get(columns[split]!) ?? { weight: 0, gain: 0, cover: 0 };
    sums.set(columns[split]!, { weight: sum.weight + 1, gain: sum.gain + gain[node]!, cover: sum.cover + cover[node]! });
  });
  return [...sums].map(([column, sum]) => ({
    column,
    weight: sum.weight,
    gain: sum.gain / sum.weight,
    cover: sum.cover / sum.weight,
  }));
}
