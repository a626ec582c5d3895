import { charts } from './charts/index.ts';
import { readDefinition, type Section } from './definition.ts';
import type { ChartSpec } from './spec.ts';

/** A dashboard as its file dashboards/<name>.yaml says; docs/console.md explains the options. */
export interface Dashboard {
  readonly title: string;
  readonly description: string;
  /** Seconds between two refreshes; null for none. */
  readonly refresh: number | null;
  readonly range: TimeRange;
  readonly filters: readonly Filter[];
  readonly tiles: readonly Tile[];
}

export const timeRanges = ['all', '1d', '7d', '30d', '90d', '365d'] as const;

/** The time range that is shown first: all, or the last so many days. */
export type TimeRange = (typeof timeRanges)[number];

/** The statement's first column gives the values to choose from; tiles read the choice as $name, which is NULL for all. */
export interface Filter {
  readonly name: string;
  readonly title: string;
  readonly sql: string;
}

/** Either a statement with a chart, or text. */
export interface Tile {
  readonly title: string;
  /** Of 12 columns. */
  readonly width: number;
  /** In rows of 80 px. */
  readonly height: number;
  readonly sql: string | null;
  /** null: the chart that fits the result. */
  readonly chart: ChartSpec | null;
  readonly text: string | null;
}

const options = ['title', 'description', 'refresh', 'range', 'filters', 'tiles'];
const filterOptions = ['name', 'title', 'sql'];
const tileOptions = ['title', 'width', 'height', 'sql', 'text', 'chart', 'x', 'y', 'series', 'size', 'unit'];
const mostTiles = 60;
const longestSql = 100_000;
/** Parameters that every tile can read beside the filters: the first day of the range and the day after its last. */
const ownParameters = ['from', 'to'];

/** The file as checked data. Pure. `file` is only for messages. DEFINITION_YAML and DEFINITION_INVALID name the line. */
export function parseDashboard(text: string, file: string): Dashboard {
  const top = readDefinition(text, file, options);
  const title = top.text('title') ?? top.refuse('title', 'is missing');
  const filters = top.sections('filters', filterOptions, 12).map(readFilter);
  const twin = filters.find(({ name }, at) => filters.some((other, k) => k < at && other.name === name));
  if (twin !== undefined) top.refuse('filters', `has "${twin.name}" twice`);
  const names = new Set([...ownParameters, ...filters.map(({ name }) => name)]);
  const tiles = top.sections('tiles', tileOptions, mostTiles).map((section) => readTile(section, names));
  if (tiles.length === 0) top.refuse('tiles', 'needs at least one tile');
  return {
    title,
    description: top.text('description', 1000) ?? '',
    refresh: top.integer('refresh', { min: 1, max: 86_400 }),
    range: top.choice('range', timeRanges) ?? 'all',
    filters,
    tiles,
  };
}

function readFilter(section: Section): Filter {
  const name = section.text('name') ?? section.refuse('name', 'is missing');
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    section.refuse('name', `can't be "${name.slice(0, 100)}"; use a–z, 0–9 and _, beginning with a letter`);
  if (ownParameters.includes(name)) section.refuse('name', `can't be "${name}": the time range has it`);
  return { name, title: section.text('title') ?? name, sql: section.text('sql', longestSql) ?? section.refuse('sql', 'is missing') };
}

function readTile(section: Section, parameters: ReadonlySet<string>): Tile {
  const sql = section.text('sql', longestSql);
  const text = section.text('text', 10_000);
  if ((sql === null) === (text === null)) section.refuse(sql === null ? 'sql' : 'text', 'and "text": a tile has one of them');
  for (const name of sql === null ? [] : parametersOf(sql)) {
    if (!parameters.has(name))
      section.refuse('sql', `reads $${name}, which no filter gives; there are ${[...parameters].map((known) => `$${known}`).join(', ')}`);
  }
  const chart = readChart(section);
  const small = chart?.kind === 'number';
  return {
    title: section.text('title') ?? '',
    width: section.integer('width', { min: 1, max: 12 }) ?? (small ? 3 : 6),
    height: section.integer('height', { min: 1, max: 20 }) ?? (text !== null ? 1 : small ? 2 : 4),
    sql,
    text,
    chart,
  };
}

function readChart(section: Section): ChartSpec | null {
  const kind = section.choice(
    'chart',
    charts.map(({ name }) => name),
  );
  const [x, y, series, size, unit] = [
    section.text('x'),
    section.texts('y'),
    section.text('series'),
    section.text('size'),
    section.text('unit', 12),
  ];
  if (kind === null) {
    for (const key of ['x', 'y', 'series', 'size']) if (section.has(key)) section.refuse(key, 'needs "chart" beside it');
    return unit === null ? null : section.refuse('unit', 'needs "chart" beside it');
  }
  return {
    kind,
    ...(x !== null && { x }),
    ...(y !== null && { y }),
    ...(series !== null && { series }),
    ...(size !== null && { size }),
    ...(unit !== null && { unit }),
  };
}

/** The names of the $parameters that a statement reads; what only looks like one in text, quoted names and comments is none. */
export function parametersOf(sql: string): readonly string[] {
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\$([A-Za-z_]\w*)/g;
  return [...new Set([...sql.matchAll(token)].flatMap((match) => match[2] ?? []))];
}
