import { cohorts } from './cohorts.ts';
import { type Answers, newAnswers } from './engine.ts';
import { funnel } from './funnel.ts';
import { journey } from './journey.ts';
import type { AnswerKind } from './kind.ts';
import { metric } from './metric.ts';
import { paths } from './paths.ts';
import { placements } from './placements.ts';
import { reconcile } from './reconcile.ts';
import { retention } from './retention.ts';

/** Every answer, in the order in which they are listed. */
export const answers: readonly AnswerKind[] = [reconcile, placements, funnel, paths, journey, retention, cohorts, metric];

export type { Answers, Asked, Definitions, Shown } from './engine.ts';

export function openAnswers(input: Parameters<typeof newAnswers>[1]): Answers {
  return newAnswers(answers, input);
}
