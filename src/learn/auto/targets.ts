import type { ColumnData } from '../columns.ts';
import { type Reading, readColumn } from '../read.ts';
import { isOfLabels } from '../target.ts';

/** A column that could be what a model predicts. */
export interface TargetCandidate {
  readonly column: string;
  readonly task: 'regression' | 'classification';
  readonly why: string;
}

/** What outcomes are called. */
const OUTCOME =
  /^(y|target|label|class|outcome|response)$|churn|convert|conversion|bought|purchas|default|fraud|cancel|refund|return|click|clicked|income|revenue|sales|price|amount|demand|count|cnt|score|이탈|구매|매출|가격|정답/i;
const MOST_CLASSES = 20;

/**
 * Columns that could be predicted, the likeliest first: those that are named like an outcome, then two values, then the last column (where tables
 * often have it), then few values, then numbers. Ids, constants, text, times and what is mostly missing can't be.
 */
export function targetCandidates(
  columns: readonly ColumnData[],
  readings: readonly Reading[] = columns.map((column) => readColumn(column)),
): TargetCandidate[] {
  const found = readings.flatMap((reading, at) => {
    const candidate = candidateOf(reading, isOfLabels(columns[at]!, reading));
    if (candidate === null) return [];
    const last = at === readings.length - 1 ? 1 : 0;
    return [
      { ...candidate, rank: (OUTCOME.test(reading.name) ? 4 : 0) + (reading.distinct === 2 ? 2 : 0) + last + (candidate.few ? 0.5 : 0) },
    ];
  });
  found.sort((a, b) => b.rank - a.rank);
  return found.map(({ column, task, why }) => ({ column, task, why }));
}

function candidateOf(
  { name, role, rows, missing, distinct }: Reading,
  ofLabels: boolean,
): (TargetCandidate & { readonly few: boolean }) | null {
  if ((role !== 'number' && role !== 'category') || missing > rows / 2 || distinct < 2) return null;
  if (role === 'number' && distinct > 2 && !ofLabels) return { column: name, task: 'regression', why: 'a number', few: false };
  if (distinct > MOST_CLASSES) return null;
  return { column: name, task: 'classification', why: distinct === 2 ? 'two values' : `${distinct} classes`, few: true };
}
