import type { Chart } from '../chart.ts';
import { area } from './area.ts';
import { bar } from './bar.ts';
import { box } from './box.ts';
import { bubble } from './bubble.ts';
import { calendar } from './calendar.ts';
import { cohort } from './cohort.ts';
import { combo } from './combo.ts';
import { curve } from './curve.ts';
import { funnel } from './funnel.ts';
import { heatmap } from './heatmap.ts';
import { histogram } from './histogram.ts';
import { line } from './line.ts';
import { map } from './map.ts';
import { number } from './number.ts';
import { pie } from './pie.ts';
import { pivot } from './pivot.ts';
import { sankey } from './sankey.ts';
import { scatter } from './scatter.ts';
import { stacked } from './stacked.ts';
import { table } from './table.ts';
import { treemap } from './treemap.ts';

/** Every kind of chart, the everyday ones first. */
export const charts: readonly Chart[] = [
  line,
  bar,
  number,
  table,
  area,
  stacked,
  combo,
  pie,
  funnel,
  scatter,
  bubble,
  curve,
  heatmap,
  calendar,
  histogram,
  box,
  treemap,
  sankey,
  cohort,
  map,
  pivot,
];
