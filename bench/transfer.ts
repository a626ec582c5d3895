/**
 * MariaDB → warehouse: rows of TPC-H's lineitem (scale 1: 6 M, --quick: 0.3 M) by a whole Millrace, beside the server's own client that
 * writes the same rows to nowhere (`mariadb --quick --batch`), in the same run. CSV of the same rows beside DuckDB's read_csv into a table.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { residentTreeBytes } from '#run';
import { startMillrace, type TransferAnswer, type TransferReport } from '#server';
import { type Client, clientFor } from '../src/cli/client.ts';
import { absent, type MariaDb, startMariaDb } from '../test/transfer/mariadb.ts';
import { report } from './report.ts';

const quick = process.argv.includes('--quick');
const ROWS = quick ? 300_000 : 6_000_000;

const LINEITEM = `CREATE TABLE lineitem (l_orderkey INT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, l_linenumber INT NOT NULL,
  l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL,
  l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
  l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`;

/** Widths and value ranges of dbgen's; the texts are not its own. */
const FILL = `INSERT INTO lineitem SELECT seq DIV 4 + 1, seq * 7919 % 200000 + 1, seq * 104729 % 10000 + 1, seq % 4 + 1, seq % 50 + 1, seq * 31 % 9490000 / 100 + 901,
  seq % 11 / 100, seq % 9 / 100, ELT(seq % 3 + 1, 'N', 'R', 'A'), ELT(seq % 2 + 1, 'O', 'F'), DATE_ADD('1992-01-02', INTERVAL seq * 13 % 2500 DAY),
  DATE_ADD('1992-01-31', INTERVAL seq * 17 % 2450 DAY), DATE_ADD('1992-01-04', INTERVAL seq * 13 % 2500 DAY),
  ELT(seq % 4 + 1, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'), ELT(seq % 7 + 1, 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'),
  LEFT(CONCAT('carefully regular deposits ', MD5(seq)), 10 + seq % 34) FROM seq_0_to_${ROWS - 1}`;

async function main(): Promise<void> {
  if (absent !== null) {
    process.stdout.write(`bench transfer is skipped: ${absent}\n`);
    return;
  }
  const root = mkdtempSync(join(tmpdir(), 'millrace-bench-transfer-'));
  const db = await startMariaDb();
  try {
    await db.ask(LINEITEM);
    await db.ask(FILL);
    const wire = wireSeconds(db);
    const { table, seconds, above } = await transferred(root, db);
    const csv = join(root, 'w', 'lineitem.csv');
    await exported(db, csv);
    const own = await duckSeconds(root, csv);
    const file = await fromFile(root);
    report({
      bench: 'transfer',
      figures: {
        rows_per_second: { value: ROWS / seconds, unit: 'rows/s', title: 'MariaDB → warehouse, until all is visible' },
        wire_rows_per_second: { value: ROWS / wire, unit: 'rows/s', title: 'mariadb --quick --batch to nowhere' },
        of_wire: { value: wire / seconds, title: 'share of the wire’s limit' },
        memory_mb: { value: above / 1e6, unit: 'MB', title: 'peak memory of all processes above idle' },
        parity: { value: table.parity?.equal === true ? 1 : 0, title: 'both sides equal' },
        csv_mb_per_second: {
          value: statSync(csv).size / 1e6 / file,
          unit: 'MB/s',
          title: 'CSV → warehouse, types guessed over the whole file',
        },
        of_read_csv: { value: own / file, title: 'share of DuckDB’s read_csv (all rows sniffed) into a table' },
      },
      goals: [
        { figure: 'rows_per_second', at: 'least', value: 150_000 },
        { figure: 'of_wire', at: 'least', value: 0.5 },
        { figure: 'memory_mb', at: 'most', value: 256 },
        { figure: 'parity', at: 'least', value: 1 },
        { figure: 'of_read_csv', at: 'least', value: 0.7 },
      ],
    });
  } finally {
    await db.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

function clientArguments(db: MariaDb): string[] {
  return [
    '--no-defaults',
    `--host=${db.host}`,
    `--port=${db.port}`,
    `--user=${db.user}`,
    '--quick',
    '--batch',
    '--skip-column-names',
    db.database,
  ];
}

function wireSeconds(db: MariaDb): number {
  const began = performance.now();
  execFileSync('mariadb', [...clientArguments(db), '-e', 'SELECT * FROM lineitem'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, MYSQL_PWD: db.password },
  });
  return (performance.now() - began) / 1000;
}

async function exported(db: MariaDb, file: string): Promise<void> {
  const sql = `SELECT CONCAT_WS(',', l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag, l_linestatus,
    l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment) FROM lineitem`;
  const client = spawn('mariadb', [...clientArguments(db), '-e', sql], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MYSQL_PWD: db.password },
  });
  await pipeline(client.stdout, createWriteStream(file));
}

async function transferred(root: string, db: MariaDb) {
  const workspace = join(root, 'w');
  mkdirSync(join(workspace, 'transfers'), { recursive: true });
  writeFileSync(join(workspace, 'millrace.yaml'), 'name: bench\ntime_zone: UTC\ncurrency: EUR\nmemory: 1GB\n');
  const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { env: MILLRACE_BENCH_PASSWORD }, database: ${db.database} }`;
  writeFileSync(
    join(workspace, 'transfers', 'db.yaml'),
    `source: mysql\nconnection: ${connection}\ntables: { lineitem: { target: bench.lineitem } }\n`,
  );
  writeFileSync(
    join(workspace, 'transfers', 'file.yaml'),
    'source: csv\nconnection: { path: lineitem.csv }\ntables: { lineitem: { target: bench.from_file } }\n',
  );
  process.env['MILLRACE_BENCH_PASSWORD'] = db.password;
  return withMillrace(workspace, 'db');
}

async function fromFile(root: string): Promise<number> {
  return (await withMillrace(join(root, 'w'), 'file')).seconds;
}

/** One run in a Millrace of its own. Seconds are those until the rows are visible: the parity report comes after. */
async function withMillrace(workspace: string, name: string) {
  const millrace = await startMillrace({ workspace, log: null });
  const client = clientFor(millrace.address, millrace.adminToken);
  for (;;) {
    const ready = await client.open('GET', '/ready');
    ready.resume();
    if (ready.statusCode === 200) break;
    await sleep(100);
  }
  await sleep(1_000);
  const idle = residentTreeBytes(process.pid) ?? 0;
  let peak = idle;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentTreeBytes(process.pid) ?? 0);
  }, 50);
  try {
    const done = await run(client, name);
    const [table] = done.tables;
    if (done.error !== null || table === undefined) throw new Error(`the run failed: ${JSON.stringify(done.error)}`);
    return { table, seconds: table.seconds, above: peak - idle };
  } finally {
    clearInterval(watch);
    await millrace.stop();
  }
}

async function run(client: Client, name: string): Promise<TransferReport> {
  await client.json('POST', `/v1/transfers/${name}/run`, {});
  for (;;) {
    const { last } = await client.json<TransferAnswer>('GET', `/v1/transfers/${name}`);
    if (last?.report) return last.report;
    await sleep(100);
  }
}

async function duckSeconds(root: string, csv: string): Promise<number> {
  const instance = await DuckDBInstance.create(join(root, 'peer.duckdb'), { threads: '2', memory_limit: '500MB' });
  const connection = await instance.connect();
  const began = performance.now();
  await connection.run(`CREATE TABLE t AS SELECT * FROM read_csv('${csv}', sample_size = -1, header = false)`);
  const seconds = (performance.now() - began) / 1000;
  connection.closeSync();
  instance.closeSync();
  return seconds;
}

await main();
