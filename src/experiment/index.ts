export { assign, bucket, type Split } from './assignment.ts';
export { type Experiment, type ExperimentMetric, parseExperiment } from './definition.ts';
