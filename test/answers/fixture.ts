import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { type Answers, type DefinitionKind, openAnalyst, openAnswers } from '#analyze';
import type { Principal, Topic, Weekday } from '#core';
import { recogniseExport, type ShopOptions, shopDataset, simulateShop, type Truth } from '#simulate';
import { openStore, type Store } from '#store';
import type { ChartSpec, Data } from '#visualize';
import { parseTopic } from '#workspace';

// biome-ignore lint/suspicious/noExplicitAny: a row's cells are whatever the answer gives.
export type Row = Readonly<Record<string, any>>;

export interface Ran {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly facts: Readonly<Record<string, string>>;
  readonly sql: string;
  /** The chart that the answer names. */
  readonly chart: ChartSpec | null;
  /** The rows as they were answered. */
  readonly data: Data;
}

interface Body {
  readonly columns: Data['columns'] & { name: string }[];
  readonly rows: unknown[][];
  readonly evidence: { facts: { fact: string; value: string }[] };
  readonly sql: string;
  readonly chart: ChartSpec | null;
}

export interface Warehouse {
  readonly store: Store;
  readonly answers: Answers;
  readonly definitions: Readonly<Record<DefinitionKind, Map<string, string>>>;
  run(answer: string, options?: Readonly<Record<string, unknown>>): Promise<Ran>;
  /** Any statement, with calls of answers.* expanded. */
  ask(sql: string): Promise<Row[]>;
  make(...statements: string[]): Promise<void>;
  deliver(topic: Topic, records: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  close(): Promise<void>;
}

const who: Principal = { name: 'test', role: 'viewer', topics: null };
const limit = { seconds: 120, rows: 1_000_000, concurrency: 4 };

/** A warehouse in a folder of its own, with the answers over it as a viewer may ask them. */
export async function openWarehouse(timeZone = 'UTC', weekStart: Weekday = 'monday'): Promise<Warehouse> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-answers-'));
  const store = await openStore({ dataPath: folder, memory: 800e6, threads: 2 });
  const analyst = openAnalyst({ store, limits: { admin: limit, editor: limit, viewer: limit, write: limit }, own: async () => null });
  const definitions = {
    metrics: new Map<string, string>(),
    journeys: new Map<string, string>(),
    experiments: new Map<string, string>(),
    segments: new Map<string, string>(),
  };
  const files = (kind: DefinitionKind) => ({
    list: () => [...definitions[kind]].map(([name, text]) => ({ name, file: `${kind}/${name}.yaml`, text })),
  });
  const answers = openAnswers({
    store,
    analyst,
    timeZone,
    weekStart,
    definitions: { metrics: files('metrics'), journeys: files('journeys'), experiments: files('experiments'), segments: files('segments') },
  });
  const positions = new Map<string, number>();
  const named = ({ columns, rows }: Body): Row[] => rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
  return {
    store,
    answers,
    definitions,
    async run(answer, options = {}) {
      const body = (await json((await answers.run({ who, answer, options })).body)) as Body;
      return {
        columns: body.columns.map((column) => column.name),
        rows: named(body),
        facts: Object.fromEntries(body.evidence.facts.map(({ fact, value }) => [fact, value])),
        sql: body.sql,
        chart: body.chart,
        data: { columns: body.columns, rows: body.rows },
      };
    },
    async ask(sql) {
      const body = (await json((await analyst.ask({ who, sql: (await answers.expand(sql, who)).sql, format: 'json' })).body)) as Body;
      return named(body);
    },
    async make(...statements) {
      await store.write(async (tx) => {
        for (const statement of statements) await tx.run(statement);
        tx.changed({ kind: 'statement', target: 'main.made', rows: 0 });
      });
    },
    async deliver(topic, records) {
      const from = positions.get(topic.name) ?? 0;
      const lines = records.map((record, at) => {
        const raw = record[topic.time!.field];
        const millis = typeof raw === 'number' ? raw : Date.parse(String(raw));
        return `${from + at}\t${Date.UTC(2030, 0, 1) * 1000}\t${millis * 1000}\t${record[topic.id!]}\t0\t\t${JSON.stringify(record)}\n`;
      });
      const to = from + records.length;
      positions.set(topic.name, to);
      await store.deliver([{ topic, from, to, lines: [Buffer.from(lines.join(''))] }]);
    },
    async close() {
      await analyst.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The simulated shop, delivered: records that intake would refuse are left out, retries stay in. */
export async function fillShop(warehouse: Warehouse, options: ShopOptions): Promise<Truth> {
  const dataset = shopDataset(options.timeZone);
  const topics = Object.fromEntries(Object.entries(dataset.topics).map(([name, text]) => [name, parseTopic(name, text, name)]));
  const shop = simulateShop(options);
  const waiting: Record<string, Record<string, unknown>[]> = { events: [], refunds: [] };
  for (const { topic, json } of shop.records) {
    const record = parsed(json);
    if (record !== null) waiting[topic]!.push(record);
  }
  for (const [topic, records] of Object.entries(waiting)) await warehouse.deliver(topics[topic]!, records);
  const rows = [...shop.orders].map((row) => {
    const text = (value: string | null) => (value === null ? 'NULL' : `'${value}'`);
    return `(${text(row.order_id)}, ${text(row.ordered_at)}, ${text(row.customer_id)}, ${row.amount}, ${text(row.currency)}, ${text(row.payment_type)}, ${text(row.status)}, ${row.refund_amount}, ${text(row.refunded_at)}, ${row.item_count}, ${row.is_test})`;
  });
  await warehouse.make('CREATE SCHEMA IF NOT EXISTS shop', dataset.ordersTable.sql, `INSERT INTO shop.orders VALUES ${rows.join(', ')}`);
  return shop.truth;
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    const id = String(record['event_id'] ?? record['refund_id'] ?? 'broken-');
    return id.startsWith('broken-') ? null : record;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const data = process.env['MILLRACE_DATA'] ?? resolve(import.meta.dirname, '../../../shared/data');
export const dataFile = (path: string) => join(data, path);
/** For a test's `skip`: the reason, or false where the file is there. */
export const absent = (path: string): string | false => (existsSync(dataFile(path)) ? false : `${path} is not among the data`);

/** Google Analytics' sessions as hits in raw.ga_hits, by the demo's own SQL. */
export async function fillGoogle(warehouse: Warehouse): Promise<void> {
  const file = dataFile('ga-merch-sessions/ga_sample.parquet');
  const scan = `'${file.replaceAll("'", "''")}'`;
  const engine = await (await import('@duckdb/node-api')).DuckDBInstance.create(':memory:');
  const connection = await engine.connect();
  await connection.run(`CREATE SCHEMA staging; CREATE TABLE staging.export AS SELECT * FROM ${scan}`);
  const columns = (await connection.runAndReadAll(`DESCRIBE staging.export`))
    .getRows()
    .map((row) => ({ name: String(row[0]), type: String(row[1]) }));
  const kind = recogniseExport(file, columns);
  const rows = (await connection.runAndReadAll(`SELECT CAST(to_json(x) AS VARCHAR) FROM (${kind.records}) AS x`)).getRows();
  connection.closeSync();
  engine.closeSync();
  const topic = parseTopic(kind.topic, kind.topics[kind.topic]!, kind.topic);
  await warehouse.deliver(
    topic,
    rows.map((row) => JSON.parse(String(row[0])) as Record<string, unknown>),
  );
}
