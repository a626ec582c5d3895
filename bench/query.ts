// The 22 questions of TPC-H through HTTP beside DuckDB alone, and a result of a million rows: what does the way through Millrace cost?
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { warehouseShare } from '../src/platform/memory-watch.ts';
import { tpch } from '../test/sql/tpch.ts';
import { buildProgram, newWorkspace, processTree, type Running, residentBytes, startProgram, tempFolder, untilReady } from './program.ts';
import { type Figure, report } from './report.ts';
import { tpchFile } from './tpch.ts';

/** A workspace's default. */
const MEMORY = 1e9;

const agent = new Agent({ keepAlive: true });

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const scale = quick ? 0.05 : 1;
  const times = quick ? 3 : 7;
  const file = await tpchFile(scale);
  const home = buildProgram();
  const workspace = newWorkspace(home, {});
  mkdirSync(join(workspace, '.millrace'), { recursive: true, mode: 0o700 });
  copyFileSync(file, join(workspace, '.millrace', 'warehouse.duckdb'));
  const { running, stop } = await startProgram({ home, workspace });
  await untilReady(running);
  const alone = await startAlone(file);

  const pairs: Pair[] = [];
  for (const [k, sql] of tpch.entries()) {
    pairs.push(await measure(k + 1, sql, times, running, alone));
    process.stderr.write(`Q${k + 1}: ${pairs.at(-1)!.alone.toFixed(1)} ms alone, ${pairs.at(-1)!.http.toFixed(1)} ms through HTTP\n`);
  }
  alone.disconnect();
  const million = await large(running, quick ? 50_000 : 1_000_000);
  agent.destroy();
  await stop();
  show(pairs, million, scale);
}

interface Pair {
  readonly number: number;
  /** ms; the fastest of several, since whatever else the machine does only adds. */
  readonly alone: number;
  readonly http: number;
}

/** In turns, each time with the other way around first. */
async function measure(number: number, sql: string, times: number, running: Running, alone: ChildProcess): Promise<Pair> {
  const took = { alone: Number.POSITIVE_INFINITY, http: Number.POSITIVE_INFINITY };
  let rows = [0, 0];
  for (let n = 0; n <= times; n++) {
    const runs = [
      async () => {
        const answer = await askAlone(alone, sql);
        if (n > 0) took.alone = Math.min(took.alone, answer.took);
        rows[0] = answer.rows;
      },
      async () => {
        const answer = await askHttp(running, sql);
        if (n > 0) took.http = Math.min(took.http, answer.took);
        rows[1] = answer.rows;
      },
    ];
    for (const run of n % 2 === 0 ? runs : runs.reverse()) await run();
    if (rows[0] !== rows[1]) throw new Error(`Q${number}: ${rows[0]} rows alone, ${rows[1]} through HTTP`);
    rows = [0, 0];
  }
  return { number, ...took };
}

/** A copy of its own, opened as Millrace opens its. */
async function startAlone(file: string): Promise<ChildProcess> {
  const copy = join(tempFolder(), 'alone.duckdb');
  copyFileSync(file, copy);
  const threads = Math.max(2, availableParallelism());
  const child = fork(new URL('./alone.ts', import.meta.url), [copy, String(threads), `${Math.floor(warehouseShare(MEMORY) / 1e6)}MB`]);
  await once(child, 'message');
  return child;
}

async function askAlone(alone: ChildProcess, sql: string): Promise<{ took: number; rows: number }> {
  alone.send(sql);
  const [answer] = (await once(alone, 'message')) as [{ took: number; rows: number }];
  return answer;
}

/** From the request to the last byte of its answer. */
function askHttp(to: Running, sql: string): Promise<{ took: number; rows: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const body = JSON.stringify({ sql });
    const headers = { authorization: `Bearer ${to.token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request(`${to.address}/v1/query`, { agent, method: 'POST', headers }, (answer) => {
      let bytes = 0;
      let refusal = '';
      answer.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (answer.statusCode !== 200) refusal += piece.toString();
      });
      answer.once('error', reject);
      answer.once('end', () => {
        if (answer.statusCode !== 200) reject(new Error(`${sql}\n${refusal}`));
        else resolve({ took: performance.now() - began, rows: Number(answer.headers['x-millrace-rows']), bytes });
      });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

interface Large {
  readonly rows: number;
  readonly bytes: number;
  readonly took: number;
  /** Largest resident memory of all processes meanwhile. */
  readonly peak: number;
  /** By how much a result four times as large goes beyond that. */
  readonly growth: number;
}

async function large(running: Running, rows: number): Promise<Large> {
  const columns = 'l_orderkey, l_partkey, l_quantity, l_extendedprice, l_shipdate, l_shipmode, l_comment';
  // The engine's own cache of the table is no part of the result: it is filled beforehand.
  const warm = columns.split(', ').map((column) => `max(${column})`);
  await askHttp(running, `SELECT ${warm.join(', ')} FROM lineitem`);
  const ofSize = (size: number) => peakWhile(running, () => askHttp(running, `SELECT ${columns} FROM lineitem LIMIT ${size}`));
  const { result, peak } = await ofSize(rows);
  const larger = await ofSize(4 * rows);
  return { ...result, peak, growth: larger.peak - peak };
}

async function peakWhile<T>({ pid }: Running, work: () => Promise<T>): Promise<{ result: T; peak: number }> {
  let peak = 0;
  let over = false;
  const watch = async () => {
    while (!over) {
      peak = Math.max(
        peak,
        processTree(pid).reduce((sum, each) => sum + residentBytes(each), 0),
      );
      await sleep(20);
    }
  };
  const watching = watch();
  const result = await work().finally(() => {
    over = true;
  });
  await watching;
  return { result, peak };
}

function show(pairs: readonly Pair[], large: Large, scale: number): void {
  const excess = ({ alone, http }: Pair) => http - alone * 1.05;
  const worst = pairs.reduce((a, b) => (excess(b) > excess(a) ? b : a));
  const ratio = Math.exp(pairs.reduce((sum, { alone, http }) => sum + Math.log(http / alone), 0) / pairs.length);
  const figures: Record<string, Figure> = {
    scale: { title: 'TPC-H scale', value: scale },
    alone: { title: 'the 22 questions, DuckDB alone', value: pairs.reduce((sum, { alone }) => sum + alone, 0), unit: 'ms' },
    http: { title: 'the 22 questions, through HTTP', value: pairs.reduce((sum, { http }) => sum + http, 0), unit: 'ms' },
    ratio: { title: 'through HTTP beside alone, geometric mean', value: ratio },
    overhead: {
      title: 'more than alone, mean of the questions',
      value: pairs.reduce((sum, { alone, http }) => sum + http - alone, 0) / pairs.length,
      unit: 'ms',
    },
    worst: { title: `more than alone + 5 %, worst question (Q${worst.number})`, value: excess(worst), unit: 'ms' },
    rows: { title: 'large result as JSON, rows', value: large.rows },
    bytes: { title: '  size', value: large.bytes / 1e6, unit: 'MB' },
    rows_per_second: { title: '  rows a second', value: large.rows / (large.took / 1000), unit: 'rows/s' },
    peak: { title: '  largest memory of all processes meanwhile', value: large.peak / 1e6, unit: 'MB' },
    growth: { title: '  more than that with four times the rows', value: large.growth / 1e6, unit: 'MB' },
  };
  report({
    bench: 'query',
    figures,
    goals: [
      { figure: 'worst', at: 'most', value: 3 },
      { figure: 'growth', at: 'most', value: 64 },
    ],
  });
}

await main();
