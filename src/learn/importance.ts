import { shapeOf } from './encode.ts';
import { type Learned, type Model, type PackedForest, unpackForest } from './model.ts';

/** What a column was to trees while they grew, as XGBoost and BigQuery ML count it. */
export interface SplitImportance {
  readonly column: string;
  /** How many nodes split on it; in a blend each counts as its model does. */
  readonly weight: number;
  /** Means over these nodes: what the split took off the loss, and the hessian of the rows that came to it. */
  readonly gain: number;
  readonly cover: number;
}

/**
 * Of each column that the trees split on; null for a model without trees. In a blend a split counts as its model does: `weight` is the sum of the
 * members' weights over the splits, and the means are weighed by them.
 */
export function splitImportance({ learned, encoders }: Pick<Model, 'learned' | 'encoders'>): SplitImportance[] | null {
  const forests = forestsIn(learned, 1);
  if (forests.length === 0) return null;
  const columns = shapeOf(encoders).features.map(({ column }) => column);
  const sums = new Map<string, { weight: number; gain: number; cover: number }>();
  for (const { share, forest } of forests) {
    const { feature, gain, cover } = unpackForest(forest);
    feature.forEach((split, node) => {
      if (split < 0) return;
      const sum = sums.get(columns[split]!) ?? { weight: 0, gain: 0, cover: 0 };
      sums.set(columns[split]!, {
        weight: sum.weight + share,
        gain: sum.gain + share * gain[node]!,
        cover: sum.cover + share * cover[node]!,
      });
    });
  }
  return [...sums].map(([column, sum]) => ({
    column,
    weight: sum.weight,
    gain: sum.gain / sum.weight,
    cover: sum.cover / sum.weight,
  }));
}

function forestsIn(learned: Learned, share: number): { readonly share: number; readonly forest: PackedForest }[] {
  if (learned.kind === 'blend')
    return learned.members.flatMap(({ weight, learned: member }) => (weight > 0 ? forestsIn(member, share * weight) : []));
  return learned.kind === 'trees' ? [{ share, forest: learned.forest }] : [];
}
