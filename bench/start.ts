// How soon after "millrace up" records are taken and questions answered with a 1 GB warehouse, also after kill -9 at the largest write-ahead log,
// and what all processes hold when idle.
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { MOST_UNSAVED } from '../src/platform/unsaved.ts';
import { fire, ID, median, newShot, TIME } from './load.ts';
import { pace } from './pace.ts';
import { ask, buildProgram, newWorkspace, processTree, query, residentBytes, startProgram, untilDelivered, untilReady } from './program.ts';
import { type Figure, machine, report } from './report.ts';

const topic = 'id: event_id\ntime: at\nfields:\n  event_id: text\n  at: timestamp\n  page: text\n';
const record = (n: number) => `{"event_id":"e-${ID}","at":"${TIME}","page":"/shop/cups?size=${n}"}`;

interface Start {
  /** ms since the command. */
  readonly acknowledged: number;
  readonly ready: number;
}

interface Killed extends Start {
  /** Bytes that were to be replayed. */
  readonly wal: number;
}

interface Idle {
  /** Of each process, started and left alone. */
  readonly started: readonly { readonly name: string; readonly resident: number }[];
  /** Of all together, after a record came and was delivered: the blocks of the tables that it touched stay in memory for the next. */
  readonly worked: number;
}

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const home = buildProgram();
  const workspace = newWorkspace(home, { visits: topic });
  const file = await warehouseFile(quick ? 50_000_000 : 1_000_000_000);
  mkdirSync(join(workspace, '.millrace'), { recursive: true, mode: 0o700 });
  copyFileSync(file, join(workspace, '.millrace', 'warehouse.duckdb'), constants.COPYFILE_FICLONE);
  const launcher = launcherNode();
  const starting = { home, workspace, launcher };

  await fillLog(starting);
  const starts: Start[] = [];
  for (let n = 0; n < (quick ? 2 : 7); n++) starts.push(await oneStart(starting));
  const killed: Killed[] = [];
  for (let n = 0; n < (quick ? 1 : 3); n++) killed.push(await startAfterKill(starting));
  const idle = await idleMemory(starting, quick ? 6_000 : 10_000);
  show({ starts, killed, idle }, statSync(file).size, launcher);
}

type Starting = Parameters<typeof startProgram>[0];

/** So that the log has something to recover and the topic a table. */
async function fillLog(starting: Starting): Promise<void> {
  const { running, stop } = await startProgram(starting);
  await untilReady(running);
  const port = Number(new URL(running.address).port);
  const makeShot = () =>
    newShot(
      '/v1/topics/visits/records',
      running.token,
      Array.from({ length: 100 }, (_, n) => record(n)),
    );
  await fire(port, makeShot, 2, 2);
  await untilDelivered(running);
  await stop();
}

async function oneStart(starting: Starting): Promise<Start> {
  const { running, began, stop } = await startProgram(starting);
  const sent = JSON.stringify({ event_id: `first-${began}`, at: new Date().toISOString(), page: '/' });
  const { status, text } = await ask(running, 'POST', '/v1/topics/visits/records', sent);
  const acknowledged = performance.now() - began;
  if (status !== 200) throw new Error(text);
  await untilReady(running);
  const ready = performance.now() - began;
  await query(running, 'SELECT count(*) FROM main.history');
  await stop();
  return { acknowledged, ready };
}

/**
 * Deliveries, while a long question reads what was updated after it began: then no checkpoint comes to pass, and the log grows. At the size
 * from which on the question is ended every process is killed.
 */
async function startAfterKill(starting: Starting): Promise<Killed> {
  const { running, child, ended } = await startProgram(starting);
  await untilReady(running);
  const wal = join(starting.workspace, '.millrace', 'warehouse.duckdb.wal');
  const size = () => statSync(wal, { throwIfNoEntry: false })?.size ?? 0;
  await query(running, 'CREATE OR REPLACE TABLE main.small AS SELECT k, 0 AS v FROM range(100000) t(k)');
  const long = 'SELECT max(hash(s.k, b.range)) FROM main.small s, range(10000000) b WHERE hash(s.k, b.range) % 7 = 3';
  const asking = ask(running, 'POST', '/v1/query', JSON.stringify({ sql: long })).catch(() => null);
  await sleep(1_000);
  await query(running, 'UPDATE main.small SET v = 1');
  const sending = pace(running, 100, () => {
    const body = `[${Array.from({ length: 100 }, (_, n) => record(n).replace(ID, `k-${made++}`).replace(TIME, new Date().toISOString())).join(',')}]`;
    return { path: '/v1/topics/visits/records', body, records: 100, note: null };
  });
  let largest = 0;
  for (const patience = performance.now() + 120_000; performance.now() < patience; await sleep(2)) {
    const now = size();
    if (now < largest || now > MOST_UNSAVED) break;
    largest = now;
  }
  const tree = processTree(child.pid!);
  for (const pid of tree) process.kill(pid, 'SIGKILL');
  await Promise.all([ended, asking, sending.stop()]);
  while (tree.some((pid) => residentBytes(pid) > 0 || existsSync(`/proc/${pid}`))) await sleep(5);
  const left = size();
  return { ...(await oneStart(starting)), wal: left };
}

let made = 0;

async function idleMemory(starting: Starting, rest: number): Promise<Idle> {
  // What the starts before left to be delivered is no part of it.
  const before = await startProgram(starting);
  await untilDelivered(before.running);
  await before.stop();
  const { running, child, stop } = await startProgram(starting);
  await untilReady(running);
  await sleep(rest);
  const tree = () => processTree(child.pid!).map((pid) => ({ name: nameOf(pid, running.pid), resident: residentBytes(pid) }));
  const started = tree();
  const sent = JSON.stringify({ event_id: `idle-${performance.now()}`, at: new Date().toISOString(), page: '/' });
  const { status, text } = await ask(running, 'POST', '/v1/topics/visits/records', sent);
  if (status !== 200) throw new Error(text);
  await untilDelivered(running);
  await sleep(rest);
  const worked = tree().reduce((sum, { resident }) => sum + resident, 0);
  await stop();
  return { started, worked };
}

function nameOf(pid: number, front: number): string {
  if (pid === front) return 'front';
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('warehouse.js') ? 'warehouse' : 'launcher';
}

/** A DuckDB file of about that size which does not compress; kept in the temporary folder for the next run. */
async function warehouseFile(bytes: number): Promise<string> {
  const folder = join(tmpdir(), `millrace-start-${machine().duckdb}`);
  const file = join(folder, `${bytes}.duckdb`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  const columns = Array.from({ length: 8 }, (_, c) => `hash(k, ${c}) AS c${c}`);
  const instance = await DuckDBInstance.create(unfinished);
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE history AS SELECT ${columns.join(', ')} FROM range(${Math.round(bytes / 64)}) t(k)`);
  await connection.run('CHECKPOINT');
  connection.closeSync();
  instance.closeSync();
  renameSync(unfinished, file);
  return file;
}

/** A shell's `node` is often older than 24, and then the launcher stays as a process of its own: that costs most, so it is measured. */
function launcherNode(): string {
  const nodes = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return nodes.find((path) => existsSync(path) && majorOf(path) < 24) ?? process.execPath;
}

function majorOf(node: string): number {
  return Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8' }))?.[1]);
}

interface Measured {
  readonly starts: readonly Start[];
  readonly killed: readonly Killed[];
  readonly idle: Idle;
}

function show({ starts, killed, idle }: Measured, bytes: number, launcher: string): void {
  const figures: Record<string, Figure> = {
    warehouse: { title: 'size of the warehouse', value: bytes / 1e6, unit: 'MB' },
    launcher: { title: 'major version of the Node that ran the launcher', value: majorOf(launcher) },
    acknowledged: {
      title: 'from the command to the first acknowledged record',
      value: median(starts.map((start) => start.acknowledged)),
      unit: 'ms',
    },
    ready: { title: 'from the command to ready for questions', value: median(starts.map((start) => start.ready)), unit: 'ms' },
    ready_slowest: { title: '  slowest', value: Math.max(...starts.map((start) => start.ready)), unit: 'ms' },
    wal: {
      title: 'write-ahead log at a kill -9 of all processes',
      value: Math.min(...killed.map((start) => start.wal)) / 1e6,
      unit: 'MB',
    },
    killed_acknowledged: {
      title: '  from the command after it to the first acknowledged record',
      value: median(killed.map((start) => start.acknowledged)),
      unit: 'ms',
    },
    killed_ready: {
      title: '  to ready for questions',
      value: median(killed.map((start) => start.ready)),
      unit: 'ms',
    },
    killed_slowest: { title: '  slowest', value: Math.max(...killed.map((start) => start.ready)), unit: 'ms' },
    idle: {
      title: 'resident when idle, all processes',
      value: idle.started.reduce((sum, { resident }) => sum + resident, 0) / 1e6,
      unit: 'MB',
    },
  };
  for (const { name, resident } of idle.started) figures[`idle_${name}`] = { title: `  ${name}`, value: resident / 1e6, unit: 'MB' };
  figures['idle_worked'] = { title: '  all of them, after a record was delivered', value: idle.worked / 1e6, unit: 'MB' };
  report({
    bench: 'start',
    figures,
    goals: [
      { figure: 'ready', at: 'most', value: 1500 },
      { figure: 'wal', at: 'least', value: (0.95 * MOST_UNSAVED) / 1e6 },
      { figure: 'killed_ready', at: 'most', value: 1500 },
      { figure: 'idle', at: 'most', value: 250 },
    ],
  });
}

await main();
