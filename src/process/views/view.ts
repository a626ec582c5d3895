/** A materialized view from its definition's text: checked, with its plan, before anything of it is run. */
import { fail, type Millis, type Parameters, type Role, type UsedModel } from '#core';
import {
  type CreateMaterializedViewStatement,
  checkStatement,
  find,
  functionFamilies,
  isColumn,
  type Node,
  namesOf,
  placeIn,
  placeOfOption,
  queryOf,
  readStatement,
} from '#sql';
import { type TableName, text } from '#store';
import { bodyOf, spelledBody } from './calls.ts';
import { type Engine, print, quotedName } from './engine.ts';
import { objectionTo } from './objection.ts';
import { type Spelled, spelledOut } from './plain.ts';
import { type PartitionPlan, type Planning, planPartition, type Reading, type Reason, WHOLE } from './plan.ts';
import { type Time, timeOf } from './time.ts';

/** How a refresh reads one table of the query, in SQL over that table's columns. */
export type Input = {
  readonly table: string;
  /** Where in the query it is named. */
  readonly at: number;
  /** The columns of the table, in lower case, that say what a new row of it touches. */
  readonly asked: readonly string[];
} & (
  | { readonly by: 'partition'; readonly parts: readonly Part[] }
  | {
      readonly by: 'key';
      readonly key: string;
      readonly of: { readonly table: string; readonly key: string; readonly parts: readonly Part[] };
    }
  | { readonly by: 'whole'; readonly reason: string }
);

/** One part of a partition as SQL. `list` is what is unnested, where a row belongs to several partitions (hopping windows). */
export interface Part {
  readonly sql: string;
  readonly list: string | null;
  readonly time: Time | null;
}

export interface View {
  readonly name: TableName;
  /** schema.name */
  readonly full: string;
  /** The whole statement, as it stands in the file. */
  readonly definition: string;
  /** Its query as it was written, but for feature functions. */
  readonly body: string;
  /** Plain views and calls of models in it are spelled out. */
  readonly query: string;
  /** Where in the definition a place of the query is, or in which plain view, for an error; null where that is not known. */
  readonly written: (index: number) => Parameters | null;
  /** The versions that score its rows; another one makes other rows. */
  readonly models: readonly UsedModel[];
  /** The plain views that the definition names, directly or through each other. */
  readonly through: readonly string[];
  /** What was written after PARTITION BY, or null. */
  readonly partition: string | null;
  /** The view's columns that hold the partition; null: each refresh recomputes the whole. */
  readonly columns: readonly string[] | null;
  /** `column` names `columns`, for people; `reasons` say why it is recomputed as a whole. */
  readonly plan: { readonly column: string | null; readonly reasons: readonly string[] };
  /** A column in PARTITION BY that no table which is read and not the view itself has: a new definition is refused for it. */
  readonly unknown: { readonly name: string; readonly place: Parameters } | null;
  /** Every place where the query names a table. */
  readonly inputs: readonly Input[];
  /** Tables whose rows don't say which batch brought them (loaded ones, CREATE TABLE AS): any change recomputes the whole view. */
  readonly untold: ReadonlySet<string>;
  /** The table over whose columns the partition is. */
  readonly source: string;
  readonly refresh: Millis;
  /** A refresh that takes longer is ended. */
  readonly timeLimit: Millis;
  readonly lookback: Lookback | null;
  readonly lateness: Lateness | null;
}

/** When a partition is frozen: once the watermark, the newest time seen before, is `span` past the end of its time. */
export interface Lateness {
  readonly span: Millis;
  /** Which part of the partition is a time. */
  readonly part: number;
  readonly time: Time;
}

/** A row of the view at `column` depends on its key's rows of the source from that time less `span` on. */
export interface Lookback {
  readonly span: Millis;
  readonly column: string;
}

/** Functions that give another answer each time; a view on them would never equal its batch. */
const CHANGING = new Set([
  ...['ago', 'reservoir_quantile', 'current_time', 'localtime', 'localtimestamp', 'current_query', 'nextval', 'getvariable'],
  ...['random', 'uuid', 'uuidv4', 'uuidv7', 'gen_random_uuid', 'now', 'today', 'get_current_timestamp', 'get_current_time'],
  ...['current_date', 'current_localtime', 'current_localtimestamp', 'current_timestamp', 'transaction_timestamp', 'txid_current'],
]);

const aggregates = new Set(
  Object.entries(functionFamilies).flatMap(([family, names]) => (/aggregat/i.test(family) ? names.split(' ') : [])),
);
aggregates.add('count_star');

/** Errors: SQL_*, VIEW_*. `definition` is a CREATE MATERIALIZED VIEW statement. */
export async function readView(
  definition: string,
  engine: Engine,
  who: {
    role: Role;
    mayRead: (schema: string | null, name: string) => boolean;
    mayWrite: (schema: string, name: string | null) => boolean;
  },
): Promise<View> {
  const statement = await readStatement(engine.calls.readable(engine.calls.plain(definition)), engine.serialize);
  if (statement.kind !== 'create_materialized_view') return fail('SQL_KIND', { kind: statement.kind.toUpperCase().replaceAll('_', ' ') });
  checkStatement(statement, who);
  return viewOf({ ...statement, text: definition }, engine);
}

/** `statement` was read from its text as `plain` and `readable` give it; `readable` leaves what is before the body. */
export async function viewOf(statement: CreateMaterializedViewStatement, engine: Engine): Promise<View> {
  const refuse: Refuse = (option, problem) => fail('VIEW_OPTION', { option, problem, ...placeOfOption(statement.text, option) });
  const options = optionsOf(statement.options, refuse);
  const scored = await withScores(statement, engine);
  const spelled = await spelledOut(scored.query, engine);
  const { query: body, through } = spelled;
  const query = await readStatement(body, engine.serialize);
  const written = placesIn(
    statement,
    (index) => {
      const from = spelled.origin(index);
      if ('view' in from) return from;
      const given = scored.origin(from.index);
      return given === null ? null : { index: given };
    },
    engine,
  );
  const tree = queryOf(await engine.serialize(body));
  for (const { name, position } of query.reads.functions)
    if (CHANGING.has(name.toLowerCase())) fail('VIEW_NOT_DETERMINISTIC', { function: name, ...written(position) });
  const tables = query.reads.tables.map((table) => ({
    table: `${table.schema ?? 'main'}.${table.name}`.toLowerCase(),
    at: table.position,
  }));
  // No write says that it changed them, but for what is stored in quarantine.
  const system = tables.find(({ table }) => /^(?:millrace|change|late)\./.test(table) && table !== 'millrace.quarantine');
  if (system !== undefined)
    fail('VIEW_QUERY', {
      view: `${statement.target.schema}.${statement.target.name}`,
      problem: `${system.table} does not say when it changes`,
      ...written(system.at),
    });
  const own = await columnsOf([...new Set(tables.map(({ table }) => table))], engine);
  const changing = changingIn(tree, new Set([...own.values()].flatMap((names) => [...names])));
  if (changing !== null)
    fail('VIEW_NOT_DETERMINISTIC', { function: changing.name, ...(changing.at !== null && written(charOf(body, changing.at))) });
  const planned = await planOf(statement, { body, written }, tables, engine);
  const columns = await columnsOf(
    planned.inputs.map((input) => input.table),
    engine,
  );
  const view = {
    name: { schema: statement.target.schema, name: statement.target.name },
    full: `${statement.target.schema}.${statement.target.name}`,
    definition: statement.text,
    body: bodyOf(statement, engine.calls),
    query: body,
    written,
    models: scored.models,
    through,
    partition: statement.partitionBy === null ? null : partitionText(statement.partitionBy),
    ...planned,
    untold: new Set(planned.inputs.flatMap(({ table }) => (columns.get(table)?.has('_batch') === true ? [] : [table]))),
    refresh: options.refresh,
    timeLimit: options.timeLimit,
  };
  const lookback = await lookbackOf(options.lookback, view, engine, refuse);
  return { ...view, lookback, lateness: await latenessOf(options.lateness, { ...view, lookback }, engine, refuse) };
}

/** What gives another answer each time and is no call that names it: `current_date` without parentheses, `age` of one time, a sample. */
function changingIn(query: Node, columns: ReadonlySet<string>): { name: string; at: number | null } | null {
  const aliases = new Set(find(query, (node) => node['alias'] !== '', true).map((node) => String(node['alias']).toLowerCase()));
  const placed = (name: string, node: Node) => ({ name, at: typeof node['query_location'] === 'number' ? node['query_location'] : null });
  const isWord = (node: Node) => {
    const [name, ...more] = isColumn(node) ? namesOf(node) : [''];
    return more.length === 0 && CHANGING.has(name!) && !columns.has(name!) && !aliases.has(name!);
  };
  const [word] = find(query, isWord, true);
  if (word !== undefined) return placed(namesOf(word)[0]!, word);
  const [age] = find(query, (node) => node['function_name'] === 'age' && (node['children'] as Node[]).length === 1, true);
  if (age !== undefined) return placed('age', age);
  const [sample] = find(query, (node) => node['sample'] != null, true);
  return sample === undefined ? null : placed('SAMPLE', sample);
}

/** The body with SQL in place of its calls of models. Errors: those of models, VIEW_QUERY. */
async function withScores(statement: CreateMaterializedViewStatement, engine: Engine) {
  const { body, target } = statement;
  const scored = await spelledBody(bodyOf(statement, engine.calls), engine.calls, engine.rows);
  if ('objection' in scored) {
    const { problem, at, thrown } = scored.objection;
    const place = at === null ? null : placesIn(statement, (index) => ({ index }), engine)(at);
    return fail('VIEW_QUERY', { view: `${target.schema}.${target.name}`, problem, ...place }, thrown);
  }
  return scored.models.length === 0 ? { query: body, models: [], origin: (index: number) => index } : scored;
}

/** Would the engine run it? Errors: VIEW_QUERY with the place where it would not, VIEW_PARTITION. Cost: none of its rows is read. */
export async function checkRuns(view: View, { rows }: Engine): Promise<void> {
  const objection = await objectionTo(view.query, rows);
  if (objection !== null) {
    const { problem, at, thrown } = objection;
    fail('VIEW_QUERY', { view: view.full, problem, ...(at !== null && view.written(at)) }, thrown);
  }
  if (view.unknown === null) return;
  fail('VIEW_PARTITION', {
    problem: `neither a table that it reads nor the view has a column ${view.unknown.name}`,
    ...view.unknown.place,
  });
}

/** It comes in parentheses that close on a line of their own. */
const partitionText = (partitionBy: string) => partitionBy.replace(/^\(([\s\S]*)\n\)$/, '$1');

/** Where in the definition a place of its query is, or in which plain view; null for what stands in neither, or was moved by a feature function. */
function placesIn(
  { text: written, bodyAt }: CreateMaterializedViewStatement,
  origin: (index: number) => ReturnType<Spelled['origin']> | null,
  { calls }: Engine,
): View['written'] {
  const moved = calls.plain(written) !== written;
  return (index) => {
    const from = origin(index);
    if (from === null || 'view' in from) return from === null ? null : { through: from.view };
    return moved ? null : placeIn(written, bodyAt + from.index);
  };
}

type Planned = Pick<View, 'columns' | 'plan' | 'inputs' | 'source' | 'unknown'>;
/** By one of the tables that are read. */
type PlannedBy = Omit<Planned, 'unknown'> & Pick<PartitionPlan, 'namesSource' | 'unknown'>;
type Place = { readonly table: string; readonly at: number };

/** The partition may be over the columns of any table that is read; the best is one by which every other is kept up with. */
async function planOf(
  { partitionBy, partitionAt, text: definition }: CreateMaterializedViewStatement,
  { body, written }: { body: string; written: (index: number) => Parameters | null },
  tables: readonly Place[],
  engine: Engine,
): Promise<Planned> {
  const names = [...new Set(tables.map(({ table }) => table))];
  const source = names[0] ?? fail('VIEW_PARTITION', { problem: 'the query reads no table' });
  if (partitionBy === null) return { ...whole(source, tables, 'there is no PARTITION BY'), unknown: null };
  const planning = {
    query: await engine.serialize(body),
    partition: await engine.serialize(`SELECT ${partitionBy}`),
    written: partitionText(partitionBy),
    columns: await columnsOf(names, engine),
    aggregates,
  };
  const plans: PlannedBy[] = [];
  const said = ({ words, at }: Reason) => {
    const place = at === null ? null : written(charOf(body, at));
    if (place === null) return words;
    return 'through' in place
      ? `${words} (in the view ${place['through']})`
      : `${words} (line ${place['line']}, column ${place['column']})`;
  };
  for (const candidate of names) plans.push(await planBy({ ...planning, source: candidate, said }, body, tables, engine));
  const found = plans.filter((plan) => plan.columns !== null);
  const kept = [...found.filter((plan) => plan.namesSource), ...found.filter((plan) => !plan.namesSource)];
  const best = kept.find((plan) => plan.inputs.every((input) => input.by !== 'whole')) ?? kept[0] ?? plans[0]!;
  const [unknown] = plans.every((plan) => plan.unknown !== null) ? plans.map((plan) => plan.unknown!) : [];
  if (unknown === undefined) return { ...best, unknown: null };
  const place = placeIn(definition, partitionAt + charOf(`SELECT ${partitionBy}`, unknown.at) - 'SELECT ('.length);
  return { ...best, unknown: { name: unknown.name, place } };
}

function whole(source: string, tables: readonly Place[], reason: string): Omit<Planned, 'unknown'> {
  const inputs = tables.map((table) => ({ ...table, asked: [], ...WHOLE }) as Input);
  return { columns: null, plan: { column: null, reasons: [reason] }, inputs, source };
}

async function planBy(
  planning: Planning & { said: (reason: Reason) => string },
  body: string,
  tables: readonly Place[],
  engine: Engine,
): Promise<PlannedBy> {
  const { columns, uses, namesSource, unknown, ...refused } = planPartition(planning);
  const reasons = refused.reasons.map(planning.said);
  if (columns === null) return { ...whole(planning.source, tables, ''), plan: { column: null, reasons }, namesSource, unknown };
  const places = new Map(uses.map((use) => [charOf(body, use.at), use]));
  const inputs: Input[] = [];
  for (const place of tables) {
    const use = places.get(place.at);
    const reading = use?.reading ?? WHOLE;
    inputs.push({
      ...place,
      asked: askedOf(reading, planning.columns.get(place.table)),
      ...(await printed(reading, place.table, engine)),
    } as Input);
  }
  const differing = await differingTypes(inputs, engine);
  if (differing !== null) return { ...whole(planning.source, tables, differing), namesSource, unknown };
  return { columns, plan: { column: columns.join(', '), reasons }, inputs, source: planning.source, namesSource, unknown };
}

/** A place in DuckDB's UTF-8 as an index into the text. */
function charOf(body: string, byte: number): number {
  return Buffer.from(body).subarray(0, byte).toString().length;
}

async function columnsOf(tables: readonly string[], { rows }: Engine): Promise<Map<string, Set<string>>> {
  const columns = new Map<string, Set<string>>();
  if (tables.length === 0) return columns;
  const found = await rows(
    `SELECT lower(schema_name || '.' || table_name) AS t, lower(column_name) AS c FROM duckdb_columns() WHERE t IN (${tables.map(text).join(', ')})`,
  );
  for (const { t, c } of found) columns.set(String(t), (columns.get(String(t)) ?? new Set()).add(String(c)));
  return columns;
}

function askedOf(reading: Reading, columns: ReadonlySet<string> = new Set()): readonly string[] {
  const asked = reading.by === 'partition' ? reading.parts : reading.by === 'key' ? [reading.key] : [];
  // What a lambda calls its parameters looks like a column too.
  return [...new Set(find(asked, isColumn).map((node) => namesOf(node)[0]!))].filter((name) => columns.has(name));
}

async function printed(reading: Reading, table: string, engine: Engine): Promise<Record<string, unknown>> {
  const all = (nodes: readonly Node[], from: string) => Promise.all(nodes.map((node) => partOf(node, from, engine)));
  switch (reading.by) {
    case 'partition':
      return { by: 'partition', parts: await all(reading.parts, table) };
    case 'key': {
      const { table: from, key, parts } = reading.of;
      const of = { table: from, key: await print(key, engine), parts: await all(parts, from) };
      return { by: 'key', key: await print(reading.key, engine), of };
    }
    case 'whole':
      return { ...reading };
  }
}

async function partOf(node: Node, table: string, engine: Engine): Promise<Part> {
  const unnested = node['function_name'] === 'unnest' || node['function_name'] === 'unlist' ? (node['children'] as Node[])[0]! : null;
  return {
    sql: await print(node, engine),
    list: unnested === null ? null : await print(unnested, engine),
    time: await timeOf(node, unnested, table, engine),
  };
}

/** Equality between columns of different types compares what a cast makes of them; a partition is compared as it stands. */
async function differingTypes(inputs: readonly Input[], engine: Engine): Promise<string | null> {
  const keys = inputs.flatMap((input) => {
    if (input.by === 'partition') return [{ table: input.table, sql: input.parts.map((part) => part.sql).join(', '), group: 'partition' }];
    if (input.by !== 'key') return [];
    const group = `key of ${input.table} at ${input.at}`;
    return [
      { table: input.table, sql: input.key, group },
      { table: input.of.table, sql: input.of.key, group },
    ];
  });
  const types = new Map<string, string>();
  for (const { table, sql, group } of keys) {
    const described = await engine.rows(`DESCRIBE SELECT ${sql} FROM ${quotedName(table)}`).catch((thrown: Error) =>
      // With the engine's words, and without the query that they show.
      fail('VIEW_PARTITION', { problem: `${table} is not read by ${sql}: ${thrown.message.split('\n', 1)[0]}` }, thrown),
    );
    const type = described.map((column) => String(column['column_type'])).join(', ');
    const other = types.get(group) ?? type;
    if (other !== type) return `${table} is joined by ${sql}, which is ${type} there and ${other} elsewhere`;
    types.set(group, type);
  }
  return null;
}

/** A view with a lookback must pass the source's time on, so that its rows after the first touched time can be told. */
async function lookbackOf(
  span: Millis | null,
  view: Omit<View, 'lookback' | 'lateness'>,
  engine: Engine,
  refused: Refuse,
): Promise<Lookback | null> {
  if (span === null) return null;
  const refuse = (problem: string): never => refused('lookback', problem);
  const [first, ...rest] = view.inputs;
  if (view.columns === null) return refuse(`needs a view that is kept by partition (${view.plan.reasons.join('; ')})`);
  if (rest.length > 0 || first?.by !== 'partition') return refuse('is for views of one table that is read once');
  const query = queryOf(await engine.serialize(view.query));
  if (find(query, looksAhead, true).length > 0)
    return refuse('needs windows in which a row depends on no later one (ORDER BY a time, no DESC, lead or FOLLOWING)');
  const column = timeColumn(query);
  return column === null ? refuse("needs the source's _time among the columns of a query without GROUP BY") : { span, column };
}

/** Rows before the first touched time are left as they are. */
function looksAhead(node: Node): boolean {
  if (node['class'] !== 'WINDOW') return false;
  const [first] = node['orders'] as readonly Node[];
  const ahead = ['WINDOW_LEAD', 'WINDOW_NTILE', 'WINDOW_PERCENT_RANK', 'WINDOW_CUME_DIST'];
  return (
    ahead.includes(String(node['type'])) ||
    String(node['start']).includes('FOLLOWING') ||
    String(node['end']).includes('FOLLOWING') ||
    first === undefined ||
    first['type'] === 'DESCENDING'
  );
}

/** Which part of a partition is a time, if one is. */
export function timePart(parts: readonly Part[]): { part: number; time: Time } | null {
  const part = parts.findIndex(({ time }) => time !== null);
  return part < 0 ? null : { part, time: parts[part]!.time! };
}

/** How the source is read by partition; null for a view that is kept as a whole. */
export function sourceParts(view: Pick<View, 'columns' | 'inputs' | 'source'>): readonly Part[] | null {
  if (view.columns === null) return null;
  const input = view.inputs.find((each) => each.by === 'partition' && each.table === view.source);
  return input?.by === 'partition' ? input.parts : null;
}

async function latenessOf(span: Millis | null, view: Omit<View, 'lateness'>, engine: Engine, refused: Refuse): Promise<Lateness | null> {
  if (span === null) return null;
  const refuse = (problem: string): never => refused('lateness', problem);
  const parts = sourceParts(view);
  if (parts === null) return refuse(`needs a view that is kept by partition (${view.plan.reasons.join('; ')})`);
  const carried = (await columnsOf([view.source], engine)).get(view.source);
  if (carried?.has('_batch') !== true) return refuse(`needs a table whose rows say which batch brought them; ${view.source} has no _batch`);
  if (view.lookback !== null) return refuse('and lookback can’t be said together');
  const time = timePart(parts);
  return time === null
    ? refuse("needs date_trunc('…', <time>), time_bucket(<interval>, <time>) or hopping windows of these in PARTITION BY")
    : { span, ...time };
}

function timeColumn(query: Node): string | null {
  const list = (query['select_list'] as Node[] | undefined) ?? [];
  const grouped = ((query['group_expressions'] as Node[] | undefined) ?? []).length > 0;
  const isTime = (item: Node) => item['class'] === 'COLUMN_REF' && (item['column_names'] as string[]).at(-1)!.toLowerCase() === '_time';
  const item = grouped ? undefined : list.find(isTime);
  if (item !== undefined) return String(item['alias'] || '_time');
  return !grouped && list.some((each) => each['class'] === 'STAR') ? '_time' : null;
}

const UNITS: Readonly<Record<string, Millis>> = { millisecond: 1, second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const DAY: Millis = 86_400_000;
/** Deliveries wait for a refresh. */
const TIME_LIMIT: Millis = 300_000;

/** VIEW_OPTION, with the place. */
type Refuse = (option: string, problem: string) => never;

function optionsOf(
  options: CreateMaterializedViewStatement['options'],
  refuse: Refuse,
): {
  refresh: Millis;
  timeLimit: Millis;
  lookback: Millis | null;
  lateness: Millis | null;
} {
  for (const option of Object.keys(options))
    if (!['refresh', 'time_limit', 'lookback', 'lateness'].includes(option)) refuse(option, 'is unknown');
  const span = (option: string, least: Millis, most: Millis) => spanIn(options, option, [least, most], refuse);
  return {
    refresh: span('refresh', 100, 7 * DAY) ?? 1000,
    timeLimit: span('time_limit', 100, DAY) ?? TIME_LIMIT,
    lookback: span('lookback', 1, 3660 * DAY),
    lateness: span('lateness', 0, 3660 * DAY),
  };
}

/** A span of time that a definition names, as in '5 minutes'; null where it names none. */
export function spanIn(
  options: Readonly<Record<string, unknown>>,
  option: string,
  [least, most]: readonly [Millis, Millis],
  refuse: Refuse,
): Millis | null {
  const wanted = options[option];
  if (wanted === undefined) return null;
  const match = /^(\d+)\s*(millisecond|second|minute|hour|day)s?$/i.exec(String(wanted));
  const span = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
  return span >= least && span <= most ? span : refuse(option, `can't be ${String(wanted).slice(0, 50)}`);
}

const refuseCircle = (path: string) => fail('VIEW_CYCLE', { path });

/** Views in an order in which each comes after those that it reads. Errors: VIEW_CYCLE, if `circle` does not let one pass. */
export function inOrder(views: readonly View[], circle: (path: string) => unknown = refuseCircle): View[] {
  const byName = new Map(views.map((view) => [view.full.toLowerCase(), view]));
  const done = new Set<View>();
  const ordered: View[] = [];
  const visit = (view: View, path: readonly string[]): void => {
    if (done.has(view)) return;
    if (path.includes(view.full)) {
      circle([...path.slice(path.indexOf(view.full)), view.full].join(' → '));
      return;
    }
    for (const read of new Set(view.inputs.map((input) => input.table))) {
      const upstream = byName.get(read);
      if (upstream !== undefined) visit(upstream, [...path, view.full]);
    }
    done.add(view);
    ordered.push(view);
  };
  for (const view of views) visit(view, []);
  return ordered;
}

/** Every table that a view reads, and the plain views between, once. */
export const tablesOf = (view: View): ReadonlySet<string> => new Set([...view.inputs.map((input) => input.table), ...view.through]);
