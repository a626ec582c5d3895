import type { FastifyInstance } from 'fastify';
import { fail, MillraceError, type Principal, type Table } from '#core';
import type { Front } from '#platform';
import { fullName, named, wordsOf } from '#sql';
import type { ColumnLineage, QueryAnswer, WhyAnswer, WhyRequest, WhyTable } from '../api.ts';
import { filledBy } from './lineage.ts';
import { told } from './pipe.ts';

const sampled = 5;
const behindShown = 50;
const mostTables = 30;
const seconds = 20;

interface ViewFacts {
  readonly name: string;
  readonly reads: readonly string[];
  readonly state: string;
  readonly batch: number | null;
  readonly refreshed: string | null;
  readonly definition?: string;
}
type Ask = (sql: string, values?: WhyRequest['params'], rows?: number) => Promise<QueryAnswer>;

/** What a figure stands on. Everything is asked as the asker, so that it shows nothing that he could not read himself, but says that it is there. */
export function whyRoutes(app: FastifyInstance, front: Front): void {
  app.post<{ Body: unknown }>('/v1/why', { config: { action: 'query' } }, async (request): Promise<WhyAnswer> => {
    const { sql, params, row } = checked(request.body);
    const gone = new AbortController();
    request.raw.socket.once('close', () => gone.abort());
    const ask = asker(front, request.principal, gone.signal);
    const trace = await told<Trace>(front, { who: request.principal, path: '/trace', body: { sql } });
    const [answer, tables, own, { views }] = await Promise.all([
      ask(onlyShape(trace.sql), params, 1),
      front.warehouse.json<Table[]>('GET', '/tables'),
      told<Table[]>(front, { who: request.principal, method: 'GET', path: '/tables' }),
      front.warehouse.json<{ views: ViewFacts[] }>('GET', '/views'),
    ]);
    const readable = new Set(own.map(fullName));
    const { found } = named(
      trace.sql,
      tables.filter((table) => readable.has(fullName(table))),
    );
    const models = trace.models.flatMap((spelled) => modelOf(spelled, front.models.models()));
    const learnedFrom = models.flatMap(({ model, query }) => named(query, tables).found.map((table) => ({ table, of: model })));
    const all = upstream([...found.map((table) => ({ table, of: null })), ...learnedFrom], tables, views).slice(0, mostTables);
    const lines = all.filter(({ table }) => readable.has(fullName(table)));
    const words = wordsOf(trace.sql);
    const result = { sql: trace.sql, columns: answer.columns.map(({ name }) => name), transfers: filledBy(front) };
    const [lineage, ...shown] = await Promise.all([
      told<ColumnLineage>(front, { who: request.principal, path: '/lineage/result', body: result }),
      ...lines.map(({ table, of }) => why(table, of, { ask, views, words, front })),
    ]);
    const withheld = all.map(({ table }) => fullName(table)).filter((name) => !readable.has(name));
    const { behind, untold } =
      row === undefined ? { behind: null, untold: null } : await rowsBehind(trace, row, { columns: answer.columns, params, ask });
    const made = trace.outputs.map(({ name, ...facts }, at) => ({ name: name ?? answer.columns[at]?.name ?? '', ...facts }));
    const { called } = named(sql, []);
    const facts = { columns: answer.columns, sql: trace.sql, made, lineage, behind, untold, models, tables: shown, called, withheld };
    return { ...facts, read_at: new Date().toISOString() };
  });
}

/** What the warehouse's parser tells of a statement (src/analyze/trace.ts). */
interface Trace {
  /** With its calls of answers opened: all else here is of this text. */
  readonly sql: string;
  readonly outputs: readonly { readonly name: string | null; readonly sql: string; readonly reads: string[] }[];
  readonly behind: string | null;
  /** Places among the columns that are told apart by: the others are figures. */
  readonly beside: readonly number[];
  readonly models: readonly string[];
  readonly untold: WhyAnswer['untold'];
}

/** The version that answers to a name; none of a contribution analysis, which is no model with versions. */
function modelOf(spelled: string, models: ReturnType<Front['models']['models']>): WhyAnswer['models'] {
  const [name, tag = 'champion'] = spelled.toLowerCase().split('@') as [string, string?];
  const entry = models.find((each) => each.name.toLowerCase() === (name.includes('.') ? name : `main.${name}`));
  const number = /^\d+$/.test(tag) ? Number(tag) : entry?.aliases[tag];
  const found = entry?.versions.find(({ version }) => version === number);
  if (entry === undefined || found === undefined) return [];
  const { version, type, created, by, query, batch, rows } = found;
  return [{ model: entry.name, version, type, created, by, query, batch, rows }];
}

/** A column's value is compared as its own type; NULL is the same as NULL. A column that the row leaves out may have any value. */
async function rowsBehind(
  { behind, beside, untold }: Trace,
  row: NonNullable<WhyRequest['row']>,
  { columns, params, ask }: { columns: readonly QueryAnswer['columns'][number][]; params: WhyRequest['params']; ask: Ask },
): Promise<Pick<WhyAnswer, 'behind' | 'untold'>> {
  if (behind === null) return { behind, untold };
  const conditions = beside.flatMap((at) => {
    const { name, type } = columns[at]!;
    if (!Object.hasOwn(row, name)) return [];
    const value = row[name] ?? null;
    return [`"behind ${at}" IS NOT DISTINCT FROM ${value === null ? 'NULL' : `CAST('${String(value).replaceAll("'", "''")}' AS ${type})`}`];
  });
  const names = beside.map((at) => `"behind ${at}"`).join(', ');
  const from = `(\n${behind}\n)${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''}`;
  const values = Array.isArray(params) ? params : readBy(behind, params ?? {});
  try {
    const [counted, sample] = await Promise.all([
      ask(`SELECT count(*) FROM ${from}`, values, 1),
      ask(`SELECT *${names === '' ? '' : ` EXCLUDE (${names})`} FROM ${from} LIMIT ${behindShown}`, values, behindShown),
    ]);
    return { behind: { rows: Number(counted.rows[0]![0]), columns: sample.columns, sample: sample.rows }, untold: null };
  } catch (thrown) {
    // The statement was asked already, and is right: only its rows, taken by themselves, have no meaning (two columns of one name).
    if (thrown instanceof MillraceError && thrown.code === 'SQL_FAILED') return { behind: null, untold: 'statement' };
    throw thrown;
  }
}

/** The engine refuses a value that nothing reads: one of HAVING, say, which the rows come before. */
const readBy = (sql: string, params: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(params).filter(([name]) => new RegExp(`\\$${name}\\b`).test(sql)));

function asker(front: Front, who: Principal, signal: AbortSignal): Ask {
  return (sql, values, rows = 1000) => {
    const body = { sql, values, format: 'json', rows, seconds, job: `why_${crypto.randomUUID()}` };
    return told<QueryAnswer>(front, { who, path: '/query', body, signal });
  };
}

interface Line {
  readonly table: Table;
  readonly of: string | null;
}

/** Its columns without its rows; and only of a query, since nothing else stands in a subquery. */
function onlyShape(sql: string): string {
  return `SELECT * FROM (\n${sql.trim().replace(/;\s*$/, '')}\n) LIMIT 0`;
}

/** Each table with those that a kept view reads behind it; each once. */
function upstream(found: readonly Line[], tables: readonly Table[], views: readonly ViewFacts[]): Line[] {
  const lines = found.filter(({ table }, at) => found.findIndex((each) => each.table === table) === at);
  for (const { table } of lines) {
    for (const read of views.find(({ name }) => name === fullName(table))?.reads ?? []) {
      const next = tables.find((each) => fullName(each) === read);
      if (next !== undefined && !lines.some((line) => line.table === next)) lines.push({ table: next, of: fullName(table) });
    }
  }
  return lines;
}

async function why(
  table: Table,
  of: string | null,
  { ask, views, words, front }: { ask: Ask; views: readonly ViewFacts[]; words: ReadonlySet<string>; front: Front },
): Promise<WhyTable> {
  const name = fullName(table);
  const source = `${quoted(table.schema)}.${quoted(table.name)}`;
  const positioned = table.columns.some((column) => column.name === '_position');
  const [batches, sample] = await Promise.all([
    ask(
      `SELECT count(*), min(batch), max(batch), max(committed), sum("rows"), sum(duplicates), sum(quarantined), min(from_position), max(to_position), max(topic)
       FROM millrace.batch WHERE target = $1`,
      [name],
    ),
    ask(`SELECT * FROM ${source}${positioned ? ' ORDER BY _position DESC' : ''} LIMIT ${sampled}`),
  ]);
  const [count, first, last, committed, rows, duplicates, quarantined, from, to, topic] = batches.rows[0]!;
  const view = views.find((each) => each.name === name);
  const flow = topic === null ? undefined : front.flow.topics()[String(topic)];
  return {
    table: name,
    origin: table.origin,
    rows: table.rows,
    of,
    columns: of === null ? table.columns.map((column) => column.name).filter((column) => words.has(column.toLowerCase())) : [],
    batches:
      Number(count) === 0
        ? null
        : {
            count: Number(count),
            first: Number(first),
            last: Number(last),
            committed: String(committed),
            rows: Number(rows),
            duplicates: Number(duplicates),
            quarantined: Number(quarantined),
          },
    topic:
      flow === undefined
        ? null
        : { name: String(topic), from: Number(from), to: Number(to), durable: flow.durable, lag_ms: front.flow.lag(String(topic)) },
    view:
      view === undefined ? null : { definition: view.definition ?? null, state: view.state, batch: view.batch, refreshed: view.refreshed },
    sample: { columns: sample.columns, rows: sample.rows },
  };
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

function checked(body: unknown): WhyRequest {
  const refuse = (problem: string): never => fail('QUERY_BODY', { problem });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('it is not a JSON object');
  const { sql, params, row, ...rest } = body as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) refuse(`"${unknown.slice(0, 50)}" is unknown; there are sql, params and row`);
  if (typeof sql !== 'string' || sql.length > 100_000) return refuse('"sql" is not text of at most 100000 characters');
  if (params !== undefined && (typeof params !== 'object' || params === null)) refuse('"params" is neither an array nor an object');
  for (const value of Object.values((params ?? {}) as object))
    if (typeof value === 'object' && value !== null) refuse('a parameter is not text, a number, a boolean or null');
  if (row !== undefined && (typeof row !== 'object' || row === null || Array.isArray(row))) refuse('"row" is not an object');
  for (const value of Object.values((row ?? {}) as object))
    if (typeof value === 'object' && value !== null) refuse('a value of "row" is neither text, a number, a boolean nor null');
  return {
    sql,
    ...(row !== undefined && { row: row as NonNullable<WhyRequest['row']> }),
    ...(params !== undefined && { params: params as NonNullable<WhyRequest['params']> }),
  };
}
