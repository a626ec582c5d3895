export {
  type Answers,
  type Asked,
  answers,
  type DefinitionKind,
  type Definitions,
  definitionKinds,
  openAnswers,
  type Shown,
} from './answers/index.ts';
export { type Experiment, type ExperimentMetric, parseExperiment } from './metrics/experiment.ts';
export { type Journey, parseJourney } from './metrics/journey.ts';
export { type Metric, type MetricJoin, parseMetric } from './metrics/metric.ts';
export type {
  Golden,
  Input,
  ModelEntry,
  ModelFile,
  Profile,
  Trained,
  TrainingOrder,
  TrainingState,
  Version,
  Workshop,
} from './models/model.ts';
export { type Models, openModels, toldOf } from './models/models.ts';
export type { Analyst, Answer, Asking, Format, JobState, OwnStatements, RoleLimits } from './query.ts';
export { openAnalyst } from './query.ts';
