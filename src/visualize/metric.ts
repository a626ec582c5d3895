import { parseDocument } from 'yaml';

/** What a form needs to know of a metric; src/analyze/metrics/metric.ts is the authority on its file. */
export interface MetricShape {
  readonly name: string;
  readonly title: string;
  readonly table: string;
  readonly hasTime: boolean;
  readonly dimensions: readonly string[];
  readonly format: 'number' | 'currency' | 'percent';
}

/** null where the file can't be one of a metric: whoever asks it is told why. Pure. */
export function metricShape(name: string, text: string): MetricShape | null {
  const document = parseDocument(text, { version: '1.2', stringKeys: true });
  const said: unknown = document.errors.length > 0 ? null : document.toJS({ maxAliasCount: 0 });
  if (typeof said !== 'object' || said === null) return null;
  const { title, table, time, dimensions = [], format = 'number' } = said as Record<string, unknown>;
  const list = typeof dimensions === 'string' ? [dimensions] : dimensions;
  if (typeof table !== 'string' || !Array.isArray(list) || !list.every((each) => typeof each === 'string')) return null;
  return {
    name,
    title: typeof title === 'string' ? title : name,
    table,
    hasTime: typeof time === 'string',
    dimensions: list,
    format: format === 'currency' || format === 'percent' ? format : 'number',
  };
}
