/**
 * Changes of a PostgreSQL and a MariaDB table, 2,000 rows a second (inserts, updates and deletes) in small transactions, followed by a
 * whole Millrace: from the commit at the source until a SELECT over HTTP shows the change. --quick: 5 seconds of it, else 60.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError } from '#core';
import { residentTreeBytes } from '#run';
import { type QueryAnswer, startMillrace } from '#server';
import { type Client, clientFor } from '../src/cli/client.ts';
import { absent as mariaAbsent, startLoggedMariaDb } from '../test/transfer/mariadb.ts';
import { absent as postgresAbsent, startPostgres } from '../test/transfer/postgres-server.ts';
import { type Figure, type Goal, report } from './report.ts';

const quick = process.argv.includes('--quick');
const SECONDS = quick ? 5 : 60;
const RATE = 2_000;
const TICK_MS = 50;
const PATIENCE_MS = 60_000;
const HISTORY = quick ? 20_000 : 1_000_000;
const SERIES: Readonly<Record<string, (rows: number) => string>> = {
  postgres: (rows) => `INSERT INTO live SELECT -k, 0, 'history' FROM generate_series(1, ${rows}) k`,
  mysql: (rows) => `INSERT INTO live SELECT -seq, 0, 'history' FROM seq_1_to_${rows}`,
};

interface Side {
  readonly source: string;
  readonly connection: string;
  ask(sql: string): Promise<unknown>;
  stop(): Promise<void>;
}

async function postgres(): Promise<Side> {
  const db = await startPostgres();
  return {
    source: 'postgres',
    ask: db.ask,
    stop: db.stop,
    connection: `{ host: ${db.host}, port: ${db.port}, user: admin, database: ${db.database} }`,
  };
}

async function mariadb(): Promise<Side> {
  const db = await startLoggedMariaDb();
  process.env['BENCH_CDC_PASSWORD'] = db.password;
  const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { env: BENCH_CDC_PASSWORD }, database: ${db.database} }`;
  return { source: 'mysql', ask: db.ask, stop: db.stop, connection };
}

/** Milliseconds from commit to visible, for each transaction. */
async function lags(side: Side): Promise<{ lags: number[]; rate: number; above: number }> {
  const workspace = mkdtempSync(join(tmpdir(), 'millrace-bench-cdc-'));
  mkdirSync(join(workspace, 'transfers'));
  writeFileSync(join(workspace, 'millrace.yaml'), 'name: bench\ntime_zone: UTC\ncurrency: EUR\nmemory: 1GB\n');
  const tables = 'tables: { live: { target: bench.live, mode: cdc } }';
  writeFileSync(join(workspace, 'transfers', 'live.yaml'), `source: ${side.source}\nconnection: ${side.connection}\n${tables}\n`);
  await side.ask('CREATE TABLE live (id BIGINT PRIMARY KEY, tick BIGINT, s TEXT)');
  await side.ask(SERIES[side.source]!(HISTORY));
  const millrace = await startMillrace({ workspace, log: null });
  try {
    const client = clientFor({ ...millrace.local, token: millrace.adminToken });
    await until(async () => (await client.open('GET', '/ready').then((answer) => answer.resume())).statusCode === 200);
    const idle = residentTreeBytes(process.pid) ?? 0;
    await until(
      async () => (await newest(client)) === 0,
      () => client.json('GET', '/v1/transfers'),
    );
    return { ...(await followed(side, client)), above: (residentTreeBytes(process.pid) ?? 0) - idle };
  } finally {
    await millrace.stop();
    rmSync(workspace, { recursive: true, force: true });
  }
}

async function followed(side: Side, client: Client): Promise<{ lags: number[]; rate: number }> {
  const committed = new Map<number, number>();
  const found: number[] = [];
  let shown = 0;
  let ticks = 0;
  let done = false;
  const watch = (async () => {
    while (!done || shown < ticks) {
      const now = await newest(client);
      const at = performance.now();
      for (let tick = shown + 1; tick <= now; tick++) found.push(Math.max(0, at - (committed.get(tick) ?? at)));
      shown = Math.max(shown, now);
      await sleep(20);
    }
  })();
  const rows = (RATE * TICK_MS) / 1000;
  const began = performance.now();
  while (performance.now() - began < SECONDS * 1000) {
    const tick = ++ticks;
    await side.ask(transaction(tick, rows));
    committed.set(tick, performance.now());
    await sleep(Math.max(0, began + tick * TICK_MS - performance.now()));
  }
  const rate = (ticks * rows) / ((performance.now() - began) / 1000);
  done = true;
  await watch;
  return { lags: found.sort((a, b) => a - b), rate };
}

/** Half inserts, a quarter updates of the rows before, a quarter deletes of those before them. */
function transaction(tick: number, rows: number): string {
  const quarter = rows / 4;
  const first = tick * 2 * quarter;
  const values = Array.from({ length: 2 * quarter }, (_, k) => `(${first + k}, ${tick}, 'row ${tick} ${k}')`).join(', ');
  const before = first - 2 * quarter;
  return `BEGIN; INSERT INTO live VALUES ${values}; UPDATE live SET s = 'changed', tick = ${tick} WHERE id >= ${before} AND id < ${before + quarter};
    DELETE FROM live WHERE id >= ${before + quarter} AND id < ${first}; COMMIT`;
}

/** The newest tick that is seen; −1 while the table is not there or empty. */
async function newest(client: Client): Promise<number> {
  try {
    const answer = await client.json<QueryAnswer>('POST', '/v1/query', { sql: 'SELECT max(tick) FROM bench.live' });
    return Number(answer.rows[0]![0] ?? -1);
  } catch (thrown) {
    if (asMillraceError(thrown).code === 'SQL_TABLE') return -1;
    throw thrown;
  }
}

async function until(holds: () => Promise<boolean>, otherwise: () => Promise<unknown> = async () => null): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${JSON.stringify(await otherwise())}`);
    await sleep(100);
  }
}

async function main(): Promise<void> {
  const figures: Record<string, Figure> = {};
  const goals: Goal[] = [];
  for (const [name, open, absent] of [
    ['postgres', postgres, postgresAbsent],
    ['mariadb', mariadb, mariaAbsent],
  ] as const) {
    if (absent !== null) {
      process.stdout.write(`bench cdc leaves ${name} out: ${absent}\n`);
      continue;
    }
    const side = await open();
    try {
      const { lags: sorted, rate, above } = await lags(side);
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
      figures[`${name}_rows_per_second`] = { value: rate, unit: 'rows/s', title: `${name}: row changes committed` };
      figures[`${name}_p50_ms`] = { value: at(0.5), unit: 'ms', title: `${name}: commit to visible, p50` };
      figures[`${name}_p99_ms`] = { value: at(0.99), unit: 'ms', title: `${name}: commit to visible, p99` };
      figures[`${name}_memory_mb`] = { value: above / 1e6, unit: 'MB', title: `${name}: memory above idle, at the end` };
      goals.push(
        { figure: `${name}_p99_ms`, at: 'most', value: 2_000 },
        { figure: `${name}_rows_per_second`, at: 'least', value: 0.95 * RATE },
      );
    } finally {
      await side.stop();
    }
  }
  report({ bench: 'cdc', figures, goals });
}

await main();
