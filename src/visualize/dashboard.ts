import type { Bytes } from '#core';
import { readDefinition, type Section } from '#definition';
import { charts } from './charts/index.ts';
import { readSource, sourceOptions, sqlOf, type TileSource } from './source.ts';
import type { ChartSpec } from './spec.ts';

/** A dashboard as its file dashboards/<name>.yaml says; docs/console.md explains the options. */
export interface Dashboard {
  readonly title: string;
  readonly description: string;
  /** Seconds between two refreshes; live: whenever a table that a tile reads has changed; null for none. */
  readonly refresh: number | 'live' | null;
  readonly range: TimeRange;
  readonly filters: readonly Filter[];
  /** A statement whose first column says when and whose second says what happened: lines across all charts over time. */
  readonly annotations: string | null;
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

/** Either a statement with a chart, written or meant by a source, or text. */
export interface Tile {
  readonly title: string;
  /** Of 12 columns. */
  readonly width: number;
  /** In rows of 80 px. */
  readonly height: number;
  readonly sql: string | null;
  /** What the file names instead of the statement. */
  readonly source: TileSource | null;
  /** null: the chart that fits the result. */
  readonly chart: ChartSpec | null;
  readonly text: string | null;
  /** The tab on which it stands; null for the first one, or where there are none. */
  readonly tab: string | null;
  /** The filter that a click on a mark sets (`valueFor`). */
  readonly filter: string | null;
  /** The dashboard that such a click opens instead, with that filter set there. */
  readonly drill: string | null;
}

const options = ['title', 'description', 'refresh', 'range', 'filters', 'annotations', 'tiles'];
const filterOptions = ['name', 'title', 'sql'];
const tileOptions = [
  'title',
  'width',
  'height',
  'sql',
  'text',
  'chart',
  'x',
  'y',
  'series',
  'size',
  'unit',
  'shade',
  'tab',
  'filter',
  'drill',
  ...sourceOptions,
];
const mostTiles = 60;
const longestSql = 100_000;
const largest: Bytes = 256 * 1024;
/** Parameters that every tile can read beside the filters: the first day of the range, the day after its last, and its last. */
export const ownParameters = ['from', 'to', 'last'];

/** The file as checked data. Pure. `file` is only for messages. DEFINITION_YAML and DEFINITION_INVALID name the line. */
export function parseDashboard(text: string, file: string): Dashboard {
  const top = readDefinition(text, file, options, largest);
  const title = top.needText('title');
  const filters = top.sections('filters', filterOptions, 12).map(readFilter);
  const twin = filters.find(({ name }, at) => filters.some((other, k) => k < at && other.name === name));
  if (twin !== undefined) top.refuse('filters', `has "${twin.name}" twice`);
  const names = new Set([...ownParameters, ...filters.map(({ name }) => name)]);
  const tiles = top.sections('tiles', tileOptions, mostTiles).map((section) => readTile(section, names));
  const annotations = top.prose('annotations', longestSql);
  if (annotations !== null) refuseUnknown(top, 'annotations', annotations, names);
  if (tiles.length === 0) top.refuse('tiles', 'needs at least one tile');
  return {
    title,
    description: top.prose('description', 1000) ?? '',
    refresh: readRefresh(top),
    range: top.choice('range', timeRanges, 'all'),
    filters,
    annotations,
    tiles,
  };
}

function readRefresh(top: Section): Dashboard['refresh'] {
  const node = top.node('refresh');
  return node?.kind === 'scalar' && node.text === 'live' ? 'live' : top.integer('refresh', { min: 1, max: 86_400 }, null);
}

function readFilter(section: Section): Filter {
  const name = section.needText('name');
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    section.refuse('name', `can't be "${name.slice(0, 100)}"; use a–z, 0–9 and _, beginning with a letter`);
  if (ownParameters.includes(name)) section.refuse('name', `can't be "${name}": the time range has it`);
  return { name, title: section.text('title') ?? name, sql: section.prose('sql', longestSql) ?? section.refuse('sql', 'is missing') };
}

function readTile(section: Section, parameters: ReadonlySet<string>): Tile {
  const source = readSource(section);
  const written = section.prose('sql', longestSql);
  if (source !== null && written !== null) section.refuse('sql', `and "${source.kind}": a tile has one of them`);
  const sql = source === null ? written : sqlOf(source);
  const text = section.prose('text', 10_000);
  if ((sql === null) === (text === null))
    section.refuse(source?.kind ?? (sql === null ? 'sql' : 'text'), 'and "text": a tile has one of them');
  if (sql !== null) refuseUnknown(section, source === null ? 'sql' : 'options', sql, parameters);
  const chart = readChart(section);
  const filter = section.text('filter');
  if (filter !== null && (!parameters.has(filter) || ownParameters.includes(filter)))
    section.refuse('filter', `can't be "${filter.slice(0, 100)}": no filter has this name`);
  const drill = section.text('drill', 63);
  if (drill !== null && filter === null) section.refuse('drill', 'needs "filter" beside it: what the click sets there');
  if (drill !== null && !/^[a-z][a-z0-9_-]{0,62}$/.test(drill)) section.refuse('drill', `can't be "${drill}": that is no dashboard's name`);
  const size = usualSize(chart?.kind ?? null, text !== null);
  return {
    title: section.text('title') ?? '',
    width: section.integer('width', { min: 1, max: 12 }, null) ?? size.width,
    height: section.integer('height', { min: 1, max: 20 }, null) ?? size.height,
    sql,
    source,
    text,
    chart,
    tab: section.text('tab', 60),
    filter,
    drill,
  };
}

function refuseUnknown(section: Section, key: string, sql: string, parameters: ReadonlySet<string>): void {
  for (const name of parametersOf(sql)) {
    if (!parameters.has(name))
      section.refuse(key, `reads $${name}, which no filter gives; there are ${[...parameters].map((known) => `$${known}`).join(', ')}`);
  }
}

/** What a tile has whose file says nothing of it. */
export function usualSize(chart: string | null, isText: boolean): { width: number; height: number } {
  const small = chart === 'number';
  return { width: small ? 3 : 6, height: isText ? 1 : small ? 2 : 4 };
}

function readChart(section: Section): ChartSpec | null {
  const kind = section.choice(
    'chart',
    charts.map(({ name }) => name),
    null,
  );
  const [x, y, series, size, unit] = [
    section.text('x'),
    section.texts('y'),
    section.text('series'),
    section.text('size'),
    section.text('unit', 12),
  ];
  const shade = section.texts('shade');
  if (kind === null) {
    const alone = ['x', 'y', 'series', 'size', 'unit', 'shade'].find((key) => section.keys().includes(key));
    return alone === undefined ? null : section.refuse(alone, 'needs "chart" beside it');
  }
  return {
    kind,
    ...(x !== null && { x }),
    ...(y.length > 0 && { y }),
    ...(series !== null && { series }),
    ...(size !== null && { size }),
    ...(unit !== null && { unit }),
    ...(shade.length > 0 && { shade }),
  };
}

/** The names of the $parameters that a statement reads; what only looks like one in text, quoted names and comments is none. */
export function parametersOf(sql: string): readonly string[] {
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\$([A-Za-z_]\w*)/g;
  return [...new Set([...sql.matchAll(token)].flatMap((match) => match[2] ?? []))];
}
