/**
 * Views kept fresh: Nexmark events/s with the results of one query fresh after every delivery, beside DuckDB running the
 * view's own query once in batch over the same rows in the same process; freshness of a stack of three views at 20,000 records a second.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Keeper, openKeeper } from '#process';
import { readStatement } from '#sql';
import { openStore, type Store } from '#store';
import { type NexmarkEvent, nexmark, topics } from '../test/process/nexmark/generator.ts';
import { quantile } from './load.ts';
import { type Figure, report } from './report.ts';

const quick = process.argv.includes('--quick');
const EVENTS = quick ? 20_000 : 200_000;
const DELIVERY = 4000;
const RATE = 20_000;
const SECONDS = quick ? 3 : 15;
const cases = new URL('../test/process/nexmark/', import.meta.url);
const figures: Record<string, Figure> = {};

interface Bench {
  readonly store: Store;
  readonly keeper: Keeper;
  sql(text: string): Promise<void>;
}

async function withViews<T>(work: (bench: Bench) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-stream-'));
  const store = await openStore({ dataPath: folder, memory: 2e9, threads: 2 });
  const saved = new Map<string, string>();
  const files = {
    list: () => [...saved].map(([name, text]) => ({ name, file: name, text })),
    save: (name: string, text: string) => void saved.set(name, text),
    remove: (name: string) => void saved.delete(name),
  };
  // A paused view would never be fresh again.
  const onProblem = (problem: unknown) => {
    process.stderr.write(`${problem}\n`);
    process.exit(1);
  };
  const keeper = await openKeeper({ store, files, onProblem });
  const reader = await store.reader();
  const sql = async (text: string) => {
    const statement = await readStatement(text, (part) => reader.serialize(part));
    if (statement.kind === 'create_materialized_view') await keeper.create(statement);
  };
  try {
    return await work({ store, keeper, sql });
  } finally {
    reader.close();
    await keeper.stop();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const positions = new Map<string, number>();

function deliveryOf(events: readonly NexmarkEvent[]): Parameters<Store['deliver']>[0] {
  return (['person', 'auction', 'bid'] as const).flatMap((name) => {
    const own = events.filter((event) => event.topic === name);
    const from = positions.get(name) ?? 0;
    const lines = own.map(({ id, micros, json }, k) => `${from + k}\t${micros}\t${micros}\t${id}\t0\t\t${JSON.stringify(json)}\n`);
    positions.set(name, from + own.length);
    return own.length === 0 ? [] : [{ topic: topics[name], from, to: from + own.length, lines: [Buffer.from(lines.join(''))] }];
  });
}

/** Every delivery is followed by the refreshes that it makes due: the next begins when all results are fresh. Several at once share what they read. */
async function nexmarkQueries(query: string, names: readonly string[]): Promise<void> {
  // Behind -- BATCH stands another query that gives the same rows, for the tests: the limit is the view's own, computed once.
  const statements = names.map((name) => readFileSync(new URL(name, cases), 'utf8').split('-- BATCH')[0]!).join(';');
  const definitions = statements.split(';').filter((text) => text.trim() !== '');
  await withViews(async ({ store, keeper, sql }) => {
    positions.clear();
    const parts = chunks(nexmark({ seed: 1, events: EVENTS, perSecond: 10_000, start: Date.parse('2026-01-01T00:00:00Z') }), DELIVERY);
    await store.deliver(deliveryOf(parts.next().value!));
    for (const definition of definitions) await sql(definition);
    let taken = 0;
    let delivering = 0;
    let refreshing = 0;
    for (const part of parts) {
      const delivery = deliveryOf(part);
      const began = performance.now();
      await store.deliver(delivery);
      const delivered = performance.now();
      await keeper.settle(60_000);
      taken += part.length;
      delivering += delivered - began;
      refreshing += performance.now() - delivered;
    }
    const began = performance.now();
    for (const view of keeper.states())
      await store.rows(`CREATE TEMP TABLE ${inBatch(view.name)} AS (${inBatch(keeper.definitionOf(view.name)!)}\n)`);
    const once = performance.now() - began;
    const speed = (title: string, millis: number, events = taken): Figure => ({
      title: `${query}: ${title}`,
      unit: 'events/s',
      value: (events / millis) * 1000,
    });
    figures[`${query}_fresh`] = speed(`delivered, and fresh after every ${DELIVERY.toLocaleString('en-US')}`, delivering + refreshing);
    figures[`${query}_refresh`] = speed('the refreshes alone', refreshing);
    figures[`${query}_batch`] = speed('DuckDB, the same query once in batch, over all rows, its answer kept', once, EVENTS);
    const [fresh, limit] = [figures[`${query}_refresh`]!.value, figures[`${query}_batch`]!.value];
    figures[`${query}_share`] = {
      title: `${query}: the refreshes, ${Math.ceil((EVENTS - DELIVERY) / DELIVERY)} times fresh, against one batch`,
      unit: '×',
      value: fresh / limit,
    };
  });
}

/** A view on a view is computed on what that one is in batch. */
const inBatch = (text: string) => text.replace(/\bnexmark\.(\w+)/g, 'batch_$1');

function* chunks(events: Iterable<NexmarkEvent>, size: number): Generator<NexmarkEvent[]> {
  let part: NexmarkEvent[] = [];
  for (const event of events) {
    part.push(event);
    if (part.length < size) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

const bidTime = Date.parse('2026-01-01T00:00:00Z');

function bids(first: number, count: number, micros: (k: number) => number): NexmarkEvent[] {
  return Array.from({ length: count }, (_, k) => {
    const id = `n${first + k}`;
    const ts = new Date(micros(k) / 1000).toISOString();
    return {
      topic: 'bid',
      id,
      micros: micros(k),
      json: { bid_id: id, auction: (first + k) % 1000, bidder: k % 500, price: k, channel: 'Google', url: '/', ts },
    };
  });
}

/** From the moment in which a record is made to the moment in which a question to the third view counts it. Delivery's tick is taken as 100 ms. */
async function stackFreshness(): Promise<void> {
  await withViews(async ({ store, sql }) => {
    positions.clear();
    await store.deliver(deliveryOf(bids(0, 1, () => bidTime * 1000)));
    const options = `OPTIONS (refresh = '100 milliseconds')`;
    await sql(`CREATE MATERIALIZED VIEW mart.seconds PARTITION BY date_trunc('second', _time) ${options} AS
      SELECT date_trunc('second', _time) AS second, auction, count(*) AS n, sum(price) AS price FROM raw.bid GROUP BY 1, 2`);
    await sql(`CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', second) ${options} AS
      SELECT date_trunc('minute', second) AS minute, auction, sum(n) AS n, sum(price) AS price FROM mart.seconds GROUP BY 1, 2`);
    await sql(`CREATE MATERIALIZED VIEW mart.days PARTITION BY date_trunc('day', minute) ${options} AS
      SELECT date_trunc('day', minute) AS day, sum(n) AS n FROM mart.minutes GROUP BY 1`);
    const waiting: { upTo: number; made: number }[] = [];
    const waits: number[] = [];
    let sent = 1;
    const began = performance.now();
    let over = false;
    const watch = (async () => {
      while (!over || waiting.length > 0) {
        const [row] = await store.rows('SELECT sum(n)::BIGINT AS n FROM mart.days');
        const seen = performance.now();
        while (waiting.length > 0 && waiting[0]!.upTo <= Number(row!['n'])) waits.push(seen - waiting.shift()!.made);
        await sleep(5);
      }
    })();
    for (let tick = 0; tick < SECONDS * 10; tick++) {
      // By the clock, whatever deliveries take: one that is behind is not given a rest, and its records' waits count in full.
      const made = began + tick * 100;
      const count = RATE / 10;
      const now = bidTime + tick * 100;
      await sleep(Math.max(0, made + 100 - performance.now()));
      const events = bids(sent, count, (k) => Math.floor((now + k / (count / 100)) * 1000));
      sent += count;
      for (let part = 1; part <= 10; part++) waiting.push({ upTo: sent - count + (part * count) / 10, made: made + (part - 1) * 10 });
      await store.deliver(deliveryOf(events));
    }
    const took = (performance.now() - began) / 1000;
    over = true;
    await watch;
    waits.sort((a, b) => a - b);
    figures['stack_rate'] = { title: 'records/s into a stack of three views', unit: 'records/s', value: sent / took };
    figures['stack_p50'] = { title: 'freshness of the third view, p50', unit: 'ms', value: quantile(waits, 0.5) };
    figures['stack_p99'] = { title: 'freshness of the third view, p99', unit: 'ms', value: quantile(waits, 0.99) };
  });
}

const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7);
const wanted = (part: string) => only === undefined || only === part;
const queries = readdirSync(cases).filter((file) => file.endsWith('.sql'));
if (wanted('nexmark')) for (const name of queries) await nexmarkQueries(name.replace('.sql', ''), [name]);
if (wanted('nexmark')) await nexmarkQueries('all ten', queries);
if (wanted('stack')) await stackFreshness();
report({
  bench: 'stream',
  figures,
  goals: wanted('stack') ? [{ figure: 'stack_p99', at: 'most', value: 1000 }] : [],
});
