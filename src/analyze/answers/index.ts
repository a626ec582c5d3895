import { aa } from './aa.ts';
import { experimentBayes } from './bayes.ts';
import { cohorts } from './cohorts.ts';
import { drivers } from './drivers.ts';
import { dropoff } from './dropoff.ts';
import { type Answers, newAnswers } from './engine.ts';
import { experiment } from './experiment.ts';
import { funnel } from './funnel.ts';
import { journey } from './journey.ts';
import type { AnswerKind } from './kind.ts';
import { lifecycle } from './lifecycle.ts';
import { lifetime } from './lifetime.ts';
import { lookalike } from './lookalike.ts';
import { metric } from './metric.ts';
import { paths } from './paths.ts';
import { placements } from './placements.ts';
import { experimentPlan } from './plan.ts';
import { reconcile } from './reconcile.ts';
import { retention } from './retention.ts';
import { rfm } from './rfm.ts';
import { sampleRatio } from './sample-ratio.ts';
import { segment, segments } from './segment.ts';

/** Every answer, in the order in which they are listed. */
export const answers: readonly AnswerKind[] = [
  reconcile,
  placements,
  funnel,
  dropoff,
  paths,
  journey,
  retention,
  cohorts,
  rfm,
  lifetime,
  lifecycle,
  segment,
  segments,
  lookalike,
  experiment,
  experimentBayes,
  sampleRatio,
  experimentPlan,
  aa,
  metric,
  drivers,
];

export {
  type Answers,
  type Asked,
  type Called,
  type DefinitionKind,
  type Definitions,
  definitionKinds,
  type Shown,
  type StoodOn,
} from './engine.ts';

export function openAnswers(input: Parameters<typeof newAnswers>[1]): Answers {
  return newAnswers(answers, input);
}
