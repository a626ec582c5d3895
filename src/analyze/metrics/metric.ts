import { readDefinition } from '#definition';

export interface MetricJoin {
  readonly name: string;
  readonly table: string;
  /** Column of the metric's table → column of the joined one, which must have one row for each key. */
  readonly on: readonly (readonly [own: string, other: string])[];
}

/** A figure that is defined once: an aggregate expression over a table, its time, and by what it may be split. */
export interface Metric {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  /** SQL: an aggregate over the table's columns. */
  readonly expression: string;
  readonly table: string;
  readonly time: string | null;
  /** SQL: rows that count. */
  readonly where: string | null;
  /** `column`, or `join.column`. */
  readonly dimensions: readonly string[];
  readonly joins: readonly MetricJoin[];
  readonly format: 'number' | 'currency' | 'percent';
}

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const TABLE = /^[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?$/;

/** metrics/<name>.yaml as data. Pure. Errors: DEFINITION_YAML, DEFINITION_INVALID, both with the line. */
export function parseMetric(name: string, text: string, file: string): Metric {
  const top = readDefinition(text, file, ['title', 'summary', 'expression', 'table', 'time', 'where', 'dimensions', 'joins', 'format']);
  if (!NAME.test(name)) top.refuse('title', `can't help: the file's name must be a–z, 0–9 and _`);
  const table = top.needText('table');
  if (!TABLE.test(table)) top.refuse('table', 'must be a table: schema.name');
  const named = top.section('joins', 'any');
  const joins = named.keys().map((own): MetricJoin => {
    if (!NAME.test(own)) named.refuse(own, 'is no name; use a–z, 0–9 and _');
    const join = named.section(own, ['table', 'on']);
    const on = Object.entries(join.words('on'));
    if (on.length === 0) join.refuse('on', 'must name the keys: own_column: other_column');
    const other = join.needText('table');
    if (!TABLE.test(other)) join.refuse('table', 'must be a table: schema.name');
    return { name: own, table: other, on };
  });
  const dimensions = top.texts('dimensions');
  for (const dimension of dimensions) {
    const [join, column, ...rest] = dimension.split('.');
    if (rest.length > 0) top.refuse('dimensions', `has "${dimension}"; use column or join.column`);
    if (column !== undefined && !joins.some((each) => each.name === join))
      top.refuse('dimensions', `has "${dimension}", but there is no join "${join}"`);
  }
  if (new Set(dimensions).size < dimensions.length) top.refuse('dimensions', 'names one twice');
  return {
    name,
    title: top.text('title') ?? name,
    summary: top.prose('summary', 1000) ?? '',
    expression: top.prose('expression', 2000) ?? top.refuse('expression', 'is missing'),
    table,
    time: top.text('time'),
    where: top.prose('where', 2000),
    dimensions,
    joins,
    format: top.choice('format', ['number', 'currency', 'percent'] as const, 'number'),
  };
}
