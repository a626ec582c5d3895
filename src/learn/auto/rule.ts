import { orderFreeMean } from '../exact.ts';
import type { Lesson } from '../learners.ts';
import { determination, type Judged, logLoss } from '../metrics.ts';
import { binCount, binOf, featureBins } from '../trees/bins.ts';

/** A table of one feature: the answer by bin. What any user could do with a pivot table; a model must beat it. */
export interface Rule {
  /** The column, or null: the same answer for all rows. */
  readonly column: string | null;
  /** [rows × width] for encoded rows. */
  readonly answer: (lesson: Lesson) => Float64Array;
}

const BINS = 32;
/** Rows of prior in each bin's answer, and where a class has no row: enough that no answer is 0 or 1. */
const PRIOR_ROWS = 1;

/** The same answer for all: the mean, or each class's share. */
export function constantRule(lesson: Lesson, width: number): Rule {
  const base = baseAnswer(lesson, width);
  return { column: null, answer: ({ targets }) => Float64Array.from({ length: targets.length * width }, (_, at) => base[at % width]!) };
}

function baseAnswer({ targets, weights }: Lesson, width: number): Float64Array {
  if (width === 1) return Float64Array.of(orderFreeMean(targets, weights));
  const shares = Float64Array.from({ length: width }, (_, k) =>
    orderFreeMean(
      targets.map((y) => (y === k ? 1 : 0)),
      weights,
    ),
  );
  // Nobody who met no row of a class says "never": a model that knows nothing must not beat the rule by that word.
  if (!shares.includes(0)) return shares;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return shares.map((share) => (share * total + PRIOR_ROWS / width) / (total + PRIOR_ROWS));
}

/** The rule that feature `at` alone gives. Cost: one sort. */
export function featureRule(lesson: Lesson, at: number, width: number): Rule {
  const feature = lesson.encoded.features[at]!;
  const bins = featureBins(feature, BINS);
  const base = baseAnswer(lesson, width);
  const sums = new Float64Array(binCount(bins) * width);
  const counts = new Float64Array(binCount(bins));
  lesson.targets.forEach((y, row) => {
    const bin = binOf(bins, feature.values[row]!);
    const w = lesson.weights[row]!;
    counts[bin] = counts[bin]! + w;
    const slot = width === 1 ? bin : bin * width + y;
    sums[slot] = sums[slot]! + (width === 1 ? y * w : w);
  });
  const table = sums.map((sum, i) => (sum + base[i % width]! * PRIOR_ROWS) / (counts[Math.floor(i / width)]! + PRIOR_ROWS));
  return {
    column: feature.column,
    answer: ({ encoded }) => {
      const answers = new Float64Array(encoded.rows * width);
      const values = encoded.features[at]!.values;
      for (let row = 0; row < encoded.rows; row++) {
        const bin = binOf(bins, values[row]!);
        for (let k = 0; k < width; k++) answers[row * width + k] = table[bin * width + k]!;
      }
      return answers;
    },
  };
}

/** Share of what there is to know that the answers know: R², or the log-loss saved against the classes' shares (McFadden 1974). */
export function knowledge(judged: Judged, base: Float64Array): number {
  if (judged.width === 1) return determination(judged);
  const ignorant = logLoss({ ...judged, answers: base });
  return ignorant > 0 ? 1 - logLoss(judged) / ignorant : 0;
}
