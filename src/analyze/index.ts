export {
  type Answers,
  type Asked,
  answers,
  type Called,
  type DefinitionKind,
  type Definitions,
  definitionKinds,
  openAnswers,
  type Shown,
} from './answers/index.ts';
export { type GrantFiles, openGrants } from './granted.ts';
export { mayRead, mayWrite } from './grants.ts';
export { expressionsOf, type Look, MODEL, shapeOfText } from './made.ts';
export { type Journey, parseJourney } from './metrics/journey.ts';
export { type Metric, type MetricJoin, parseMetric } from './metrics/metric.ts';
export { clusterFigures, distancesWithin } from './models/clusters.ts';
export { referenceOf } from './models/drift.ts';
export type {
  BroughtModel,
  Cell,
  ClusterModel,
  ExportFormat,
  Feature,
  FeatureCall,
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
export { type Models, openModels } from './models/models.ts';
export { modelStatement } from './models/statements.ts';
export type { Analyst, Answer, Asking, Format, JobState, OwnStatements, RoleLimits } from './query.ts';
export { openAnalyst } from './query.ts';
export { type Trace, traceOf } from './trace.ts';
