export { type Answers, type Asked, answers, type Definitions, openAnswers, type Shown } from './answers/index.ts';
export { type Journey, parseJourney } from './metrics/journey.ts';
export { type Metric, type MetricJoin, parseMetric } from './metrics/metric.ts';
export type { Analyst, Answer, Asking, Format, JobState, OwnStatements, RoleLimits } from './query.ts';
export { openAnalyst } from './query.ts';
