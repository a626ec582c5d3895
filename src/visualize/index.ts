export type { Chart, Note, Picture } from './chart.ts';
export { binned } from './charts/histogram.ts';
export { charts } from './charts/index.ts';
export { asked, type Choice, callsAnswers, previousOf, type Values, valuesOf } from './choice.ts';
export { type Mark, marksOf, type Previous, withMarks, withPrevious } from './compare.ts';
export type { Dashboard, Filter, Tile, TimeRange } from './dashboard.ts';
export { ownParameters, parametersOf, parseDashboard, timeRanges, usualSize } from './dashboard.ts';
export type { Data, Role as ColumnRole } from './data.ts';
export { instant, rolesOf } from './data.ts';
export { chartOf, draw, fitting, pick } from './draw.ts';
export { definitionOf, type Merged, mergeDashboards, same, writeDashboard } from './edit.ts';
export { dayFormatter, formatter } from './format.ts';
export { type Hit, type Meaning, valueFor } from './meaning.ts';
export { type Grain, grains, type ModelView, modelViews, sqlOf, type TileSource } from './source.ts';
export type { ChartSpec, Guide } from './spec.ts';
export { defaultLook, ink, type Look } from './theme.ts';

/** The engine that draws options, loaded when the first picture is drawn. */
export const loadEngine = () => import('./engine.ts');
