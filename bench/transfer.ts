/**
 * Rows of TPC-H's lineitem (scale 1: 6 M, --quick: 0.3 M) into the warehouse of a whole Millrace, until all are visible:
 * from MariaDB beside its own client that writes the same rows to nowhere (`mariadb --quick --batch`), from PostgreSQL beside
 * `COPY … TO STDOUT` to nowhere, and from a CSV file of 1 GB beside DuckDB's read_csv (all rows sniffed) into a table of the same schema;
 * each pair in the same run. A server that is not installed is left out; --only=mariadb, postgres or csv measures one of them.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Millis } from '#core';
import type { TransferAnswer, TransferReport, TransferStateAnswer } from '#server';
import { type MariaDb, absent as mariaAbsent, startMariaDb } from '../test/transfer/mariadb.ts';
import { type Postgres, absent as postgresAbsent, startPostgres } from '../test/transfer/postgres-server.ts';
import { ask, buildProgram, processTree, type Running, residentBytes, startProgram, untilReady } from './program.ts';
import { type Figure, type Goal, report } from './report.ts';

const quick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const ROWS = quick ? 300_000 : 6_000_000;
const CSV_ROWS = quick ? 300_000 : 8_000_000;

const LINEITEM = `CREATE TABLE lineitem (l_orderkey INT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, l_linenumber INT NOT NULL,
  l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL,
  l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
  l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`;

/** Widths and value ranges of dbgen's; the texts are not its own. */
const FILL = {
  mysql: `INSERT INTO lineitem SELECT seq DIV 4 + 1, seq * 7919 % 200000 + 1, seq * 104729 % 10000 + 1, seq % 4 + 1, seq % 50 + 1, seq * 31 % 9490000 / 100 + 901,
  seq % 11 / 100, seq % 9 / 100, ELT(seq % 3 + 1, 'N', 'R', 'A'), ELT(seq % 2 + 1, 'O', 'F'), DATE_ADD('1992-01-02', INTERVAL seq * 13 % 2500 DAY),
  DATE_ADD('1992-01-31', INTERVAL seq * 17 % 2450 DAY), DATE_ADD('1992-01-04', INTERVAL seq * 13 % 2500 DAY),
  ELT(seq % 4 + 1, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'), ELT(seq % 7 + 1, 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'),
  LEFT(CONCAT('carefully regular deposits ', MD5(seq)), 10 + seq % 34) FROM seq_0_to_${ROWS - 1}`,
  postgres: `INSERT INTO lineitem SELECT s / 4 + 1, s * 7919 % 200000 + 1, s * 104729 % 10000 + 1, s % 4 + 1, s % 50 + 1, s * 31 % 9490000 / 100.0 + 901,
  s % 11 / 100.0, s % 9 / 100.0, (ARRAY['N', 'R', 'A'])[s % 3 + 1], (ARRAY['O', 'F'])[s % 2 + 1], DATE '1992-01-02' + (s * 13 % 2500)::int,
  DATE '1992-01-31' + (s * 17 % 2450)::int, DATE '1992-01-04' + (s * 13 % 2500)::int,
  (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[s % 4 + 1], (ARRAY['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'])[s % 7 + 1],
  left('carefully regular deposits ' || md5(s::text), (10 + s % 34)::int) FROM generate_series(0::bigint, ${ROWS - 1}) s`,
};

interface Half {
  readonly figures: Record<string, Figure>;
  readonly goals: readonly Goal[];
}

async function main(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-bench-transfer-'));
  const home = buildProgram();
  const halves: Half[] = [];
  try {
    for (const [name, absent, measure] of [
      ['mariadb', mariaAbsent, fromMariaDb],
      ['postgres', postgresAbsent, fromPostgres],
    ] as const) {
      if (only !== undefined && only !== name) continue;
      if (absent === null) halves.push(await measure(home, root));
      else process.stderr.write(`bench transfer leaves ${name} out: ${absent}\n`);
    }
    if (only === undefined || only === 'csv') halves.push(await fromFile(home, root));
    report({
      bench: 'transfer',
      figures: Object.assign({}, ...halves.map(({ figures }) => figures)),
      goals: halves.flatMap(({ goals }) => goals),
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  ask(sql: string): Promise<unknown>;
  stop(): Promise<void>;
}

async function fromMariaDb(home: string, root: string): Promise<Half> {
  const db = await startMariaDb();
  return fromServer({ home, root }, db, {
    name: 'mariadb',
    title: 'MariaDB',
    source: 'mysql',
    peer: 'mariadb --quick --batch',
    wire: () => batch(db),
  });
}

async function fromPostgres(home: string, root: string): Promise<Half> {
  const db = await startPostgres();
  return fromServer({ home, root }, db, {
    name: 'postgres',
    title: 'PostgreSQL',
    source: 'postgres',
    peer: 'COPY … TO STDOUT',
    wire: () => copied(db),
  });
}

interface Places {
  readonly home: string;
  readonly root: string;
}

interface Kind {
  readonly name: string;
  readonly title: string;
  readonly source: 'mysql' | 'postgres';
  readonly peer: string;
  /** The same rows by the server's own client, to nowhere. */
  readonly wire: () => void;
}

async function fromServer({ home, root }: Places, db: Server, { name, title, source, peer, wire: run }: Kind): Promise<Half> {
  try {
    await db.ask(LINEITEM);
    await db.ask(FILL[source]);
    const began = performance.now();
    run();
    const wire = (performance.now() - began) / 1000;
    const workspace = workspaceIn(root, name);
    const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { env: BENCH_TRANSFER_PASSWORD }, database: ${db.database} }`;
    define(workspace, `source: ${source}\nconnection: ${connection}\ntables: { lineitem: { target: bench.lineitem } }\n`);
    const { seconds, above, equal } = await transferred(home, workspace, { BENCH_TRANSFER_PASSWORD: db.password });
    return {
      figures: {
        [`${name}_rows_per_second`]: { value: ROWS / seconds, unit: 'rows/s', title: `${title} → warehouse, until all is visible` },
        [`${name}_wire_rows_per_second`]: { value: ROWS / wire, unit: 'rows/s', title: `${peer} to nowhere` },
        [`${name}_of_wire`]: { value: wire / seconds, title: `${title}: share of the wire’s limit` },
        [`${name}_memory_mb`]: { value: above / 1e6, unit: 'MB', title: `${title}: peak memory of all processes above idle` },
        [`${name}_parity`]: { value: equal ? 1 : 0, title: `${title}: both sides equal` },
      },
      goals: [
        { figure: `${name}_rows_per_second`, at: 'least', value: 150_000 },
        { figure: `${name}_of_wire`, at: 'least', value: 0.5 },
        { figure: `${name}_memory_mb`, at: 'most', value: 256 },
        { figure: `${name}_parity`, at: 'least', value: 1 },
      ],
    };
  } finally {
    await db.stop();
  }
}

function batch(db: MariaDb): void {
  const who = [`--host=${db.host}`, `--port=${db.port}`, `--user=${db.user}`];
  execFileSync(
    'mariadb',
    ['--no-defaults', ...who, '--quick', '--batch', '--skip-column-names', db.database, '-e', 'SELECT * FROM lineitem'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, MYSQL_PWD: db.password },
    },
  );
}

function copied(db: Postgres): void {
  const who = ['--no-psqlrc', `--host=${db.host}`, `--port=${db.port}`, `--username=${db.user}`, `--dbname=${db.database}`];
  execFileSync('psql', [...who, '--command=COPY lineitem TO STDOUT'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PGPASSWORD: db.password },
  });
}

async function fromFile(home: string, root: string): Promise<Half> {
  const workspace = workspaceIn(root, 'csv');
  const csv = join(workspace, 'lineitem.csv');
  const made = fork(fileURLToPath(new URL('./made-csv.ts', import.meta.url)), [csv, String(CSV_ROWS)]);
  const [own] = (await once(made, 'message')) as [number];
  define(workspace, 'source: csv\nconnection: { path: lineitem.csv }\ntables: { lineitem: { target: bench.lineitem } }\n');
  const { seconds, above, equal } = await transferred(home, workspace);
  return {
    figures: {
      csv_mb_per_second: {
        value: statSync(csv).size / 1e6 / seconds,
        unit: 'MB/s',
        title: 'CSV → warehouse, types guessed over the whole file',
      },
      csv_of_read_csv: { value: own / seconds, title: 'share of DuckDB’s read_csv (all rows sniffed) into a table' },
      csv_memory_mb: { value: above / 1e6, unit: 'MB', title: 'CSV: peak memory of all processes above idle' },
      csv_parity: { value: equal ? 1 : 0, title: 'CSV: both sides equal' },
    },
    goals: [
      { figure: 'csv_of_read_csv', at: 'least', value: 0.7 },
      { figure: 'csv_memory_mb', at: 'most', value: 256 },
      { figure: 'csv_parity', at: 'least', value: 1 },
    ],
  };
}

function workspaceIn(root: string, name: string): string {
  const workspace = join(root, name);
  mkdirSync(join(workspace, 'transfers'), { recursive: true });
  writeFileSync(join(workspace, 'millrace.yaml'), 'name: bench\ntime_zone: UTC\ncurrency: EUR\nmemory: 1GB\n');
  return workspace;
}

function define(workspace: string, text: string): void {
  writeFileSync(join(workspace, 'transfers', 'bench.yaml'), text);
}

/** A look at all processes takes some milliseconds of a core: many would be part of what they measure. */
const LOOK: Millis = 250;

interface Transferred {
  /** From the request until the rows are visible, a look at all records of a file included; the parity report comes after. */
  readonly seconds: number;
  readonly above: number;
  readonly equal: boolean;
}

/** One run in a Millrace of its own. */
async function transferred(home: string, workspace: string, env: NodeJS.ProcessEnv = {}): Promise<Transferred> {
  const { running, stop } = await startProgram({ home, workspace, env });
  const resident = () => processTree(running.pid).reduce((sum, pid) => sum + residentBytes(pid), 0);
  await untilReady(running);
  await sleep(1_000);
  const idle = resident();
  let peak = idle;
  const watch = setInterval(() => {
    peak = Math.max(peak, resident());
  }, LOOK);
  try {
    const began = Date.now();
    const [table] = (await run(running)).tables;
    const { states } = await answer<TransferStateAnswer>(running, 'GET', '/v1/transfers/bench/state');
    return { seconds: (Date.parse(states[0]!.at) - began) / 1000, equal: table!.parity?.equal === true, above: peak - idle };
  } finally {
    clearInterval(watch);
    await stop();
  }
}

async function run(running: Running): Promise<TransferReport> {
  await answer(running, 'POST', '/v1/transfers/bench/run', '{}');
  for (;;) {
    const { last } = await answer<TransferAnswer>(running, 'GET', '/v1/transfers/bench');
    if (last?.report?.error) throw new Error(`the run failed: ${last.report.error.message}`);
    if (last?.report) return last.report;
    await sleep(100);
  }
}

async function answer<T>(running: Running, method: string, path: string, body?: string): Promise<T> {
  const { status, text } = await ask(running, method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text) as T;
}

await main();
