export type { Progress } from './auto/search.ts';
export type { SplitDecision } from './auto/split.ts';
export type { ColumnData } from './columns.ts';
export { type Explanation, explain } from './explain.ts';
export { checkModel, type Model } from './model.ts';
export type { Plan } from './plan.ts';
export { type Prediction, predict, predictor } from './predict.ts';
export type { Figure, MetricName, Report, Trial, Warning } from './report.ts';
export { train, type World } from './train.ts';
