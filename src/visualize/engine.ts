/** ECharts with the parts that our charts use, and no others: it is loaded only where something is drawn. */

import type { EChartsOption } from 'echarts';
import {
  BarChart,
  BoxplotChart,
  HeatmapChart,
  LineChart,
  MapChart,
  PieChart,
  SankeyChart,
  ScatterChart,
  TreemapChart,
} from 'echarts/charts';
import {
  AriaComponent,
  CalendarComponent,
  GeoComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components';
import { type EChartsType, init, registerMap, use } from 'echarts/core';
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers';
import { countries } from './countries.ts';

use([
  BarChart,
  BoxplotChart,
  HeatmapChart,
  LineChart,
  MapChart,
  PieChart,
  SankeyChart,
  ScatterChart,
  TreemapChart,
  AriaComponent,
  CalendarComponent,
  GeoComponent,
  GridComponent,
  MarkLineComponent,
  LegendComponent,
  TooltipComponent,
  VisualMapComponent,
  CanvasRenderer,
  SVGRenderer,
]);

registerMap('world', countries() as never);

/** A chart in a page's element; the caller gives it options, resizes and disposes of it. */
export function mount(element: unknown): EChartsType {
  return init(element as never, null, { renderer: 'canvas' });
}

/** The picture as SVG text, without a page. */
export function svg(option: EChartsOption, size: { width: number; height: number }): string {
  const chart = init(null as never, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption(option);
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
