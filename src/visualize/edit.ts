/** Edits of a dashboard: as a file whose unchanged parts keep their words and comments, and joined with those of someone else. */
import { Document, isMap, isSeq, parseDocument, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { type Dashboard, type Filter, parseDashboard, type Tile, usualSize } from './dashboard.ts';
import { definitionOfSource } from './source.ts';

type Plain = Readonly<Record<string, unknown>>;

/** The dashboard in the words of its file, without what is the default: what PUT /v1/dashboards/:name takes as `definition`. */
export function definitionOf({ title, description, refresh, range, filters, annotations, tiles }: Dashboard): Plain {
  return given({
    title,
    description: description || undefined,
    refresh: refresh ?? undefined,
    range: range === 'all' ? undefined : range,
    filters: filters.length === 0 ? undefined : filters.map(definitionOfFilter),
    annotations: annotations ?? undefined,
    tiles: tiles.map(definitionOfTile),
  });
}

/** One without a title is called by its name. */
function definitionOfFilter({ name, title, sql }: Filter): Plain {
  return given({ name, title: title.trim() === '' ? undefined : title, sql });
}

function definitionOfTile({ title, width, height, sql, source, text, chart, tab, filter, drill }: Tile): Plain {
  const usual = usualSize(chart?.kind ?? null, text !== null);
  const { kind, y, shade, ...encoding } = chart ?? { kind: undefined };
  return given({
    title: title || undefined,
    tab: tab ?? undefined,
    chart: kind,
    ...encoding,
    y: y?.length === 1 ? y[0] : y,
    shade: shade?.length === 1 ? shade[0] : shade,
    width: width === usual.width ? undefined : width,
    height: height === usual.height ? undefined : height,
    filter: filter ?? undefined,
    drill: drill ?? undefined,
    ...(source === null ? { sql: sql ?? undefined } : definitionOfSource(source)),
    text: text ?? undefined,
  });
}

/** The text of the file that says `next`. Of `text`, which parses, all stays that says the same: comments, order, spelling. */
export function writeDashboard(next: Dashboard, text: string | null, file: string): string {
  const document = text === null ? new Document({}) : parseDocument(text, { version: '1.2', stringKeys: true });
  const before = text === null ? null : parseDashboard(text, file);
  if (!isMap(document.contents)) document.contents = new YAMLMap(document.schema) as typeof document.contents;
  const top = document.contents as unknown as YAMLMap;
  const { filters, tiles, ...words } = definitionOf(next);
  const old = before === null ? {} : definitionOf(before);
  const { filters: _filters, tiles: _tiles, ...oldWords } = old as Record<string, unknown>;
  change(document, top, oldWords, words);
  list(document, top, 'filters', (before?.filters ?? []).map(definitionOfFilter), (filters ?? []) as Plain[], ['name']);
  list(document, top, 'tiles', (before?.tiles ?? []).map(definitionOfTile), tiles as Plain[], [
    'title',
    'text',
    'sql',
    'metric',
    'answer',
    'model',
  ]);
  return document.toString({ lineWidth: 0 });
}

/** Only the keys that say something else now. */
function change(document: Document, map: YAMLMap, old: Plain, next: Plain): void {
  for (const key of new Set([...Object.keys(old), ...Object.keys(next)])) {
    if (same(old[key], next[key])) continue;
    if (next[key] === undefined) map.delete(key);
    else map.set(key, node(document, next[key]));
  }
}

function node(document: Document, value: unknown): unknown {
  const made = document.createNode(value);
  if (made instanceof Scalar && typeof value === 'string' && value.includes('\n')) made.type = Scalar.BLOCK_LITERAL;
  return made;
}

/** A list of maps: each of the next ones stands on its old map, found as the very same or by the first of `names` that agrees. */
function list(
  document: Document,
  top: YAMLMap,
  key: string,
  old: readonly Plain[],
  next: readonly Plain[],
  names: readonly string[],
): void {
  if (same(old, next)) return;
  const held = top.get(key);
  const nodes = isSeq(held) ? [...held.items] : [];
  const free = new Set(old.keys());
  const take = (fits: (entry: Plain) => boolean) => {
    const at = [...free].find((k) => fits(old[k]!));
    if (at !== undefined) free.delete(at);
    return at;
  };
  const places = next.map((entry) => take((other) => same(other, entry)));
  for (const [k, entry] of next.entries()) {
    for (const name of names) places[k] ??= entry[name] === undefined ? undefined : take((other) => other[name] === entry[name]);
  }
  const sequence = isSeq(held) ? held : new YAMLSeq(document.schema);
  sequence.items = next.map((entry, k) => {
    const at = places[k];
    const map = at !== undefined && isMap(nodes[at]) ? (nodes[at] as YAMLMap) : new YAMLMap(document.schema);
    change(document, map, at === undefined ? {} : old[at]!, entry);
    return map;
  });
  if (next.length === 0) top.delete(key);
  else top.set(key, sequence);
}

export interface Merged {
  readonly dashboard: Dashboard;
  /** What both changed, each in another way, by its title: there `dashboard` has mine. Empty: nothing is lost. */
  readonly conflicts: readonly string[];
}

/** Mine and theirs, both edited from base, in one: per setting, filter and tile. A tile is known by its title. */
export function mergeDashboards(base: Dashboard, mine: Dashboard, theirs: Dashboard): Merged {
  const conflicts: string[] = [];
  const choose = <T>(what: string, was: T, my: T, their: T): T => {
    if (same(my, their) || same(their, was)) return my;
    if (!same(my, was)) conflicts.push(what);
    return same(my, was) ? their : my;
  };
  const lists = <T>(was: readonly T[], my: readonly T[], their: readonly T[], nameOf: (entry: T) => string): T[] => {
    const [b, m, o] = [named(was, nameOf), named(my, nameOf), named(their, nameOf)];
    const order = same([...m.keys()], [...b.keys()]) ? [...o.keys(), ...m.keys()] : [...m.keys(), ...o.keys()];
    return [...new Set(order)].flatMap(
      (name) => choose<T | null>(name, b.get(name) ?? null, m.get(name) ?? null, o.get(name) ?? null) ?? [],
    );
  };
  const word = <K extends 'title' | 'description' | 'refresh' | 'range' | 'annotations'>(key: K) =>
    choose(key, base[key], mine[key], theirs[key]);
  return {
    dashboard: {
      title: word('title'),
      description: word('description'),
      refresh: word('refresh'),
      range: word('range'),
      annotations: word('annotations'),
      filters: lists(base.filters, mine.filters, theirs.filters, ({ name }) => name),
      tiles: lists(base.tiles, mine.tiles, theirs.tiles, ({ title, text }) => title || (text ?? '').slice(0, 40)),
    },
    conflicts,
  };
}

/** By name; of several with one name each has its number. */
function named<T>(entries: readonly T[], nameOf: (entry: T) => string): Map<string, T> {
  const map = new Map<string, T>();
  for (const entry of entries) {
    let name = nameOf(entry);
    for (let n = 2; map.has(name); n++) name = `${nameOf(entry)} (${n})`;
    map.set(name, entry);
  }
  return map;
}

const given = (all: Plain): Plain => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));

/** Of plain data whose keys may stand in any order. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same((a as Plain)[key], (b as Plain)[key]));
}
