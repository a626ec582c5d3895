// How many records a second are acknowledged durably, beside a bare node:http server that only appends and syncs, in turns.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fire, ID, type Measured, median, newShot, TIME } from './load.ts';
import {
  ask,
  buildProgram,
  newWorkspace,
  processTree,
  query,
  type Running,
  startProgram,
  tempFolder,
  untilDelivered,
  untilReady,
} from './program.ts';
import { type Figure, type Goal, report } from './report.ts';

const CONNECTIONS = 50;
const BATCH = 100;

const topic = `id: event_id
time: at
fields:
  event_id: text
  at: timestamp
  user_id: text
  page: text
  item: integer
  amount: decimal(18,2)
  returning: boolean
  referrer: text
`;

const record = (n: number) =>
  `{"event_id":"e-${ID}","at":"${TIME}","user_id":"u-${1000 + n}","page":"/shop/kitchen/cups?size=${n % 7}","item":${n % 90},` +
  `"amount":${n % 200}.95,"returning":${n % 3 === 0},"referrer":"https://search.example/?q=cup+${n % 11}"}`;

interface Target {
  readonly port: number;
  readonly path: string;
  readonly token: string;
}

type Started = { readonly running: Running };
type Delivery = 'running' | 'paused';

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const rounds = quick ? 1 : 4;
  const seconds = quick ? 1 : 1.5;
  const home = buildProgram();
  const workspace = newWorkspace(home, { visits: topic });
  const program = await startProgram({ home, workspace });
  const bare = await startBare();
  await untilReady(program.running);
  const millrace: Target = {
    port: Number(new URL(program.running.address).port),
    path: '/v1/topics/visits/records',
    token: program.running.token,
  };

  const results = new Map<string, Measured[]>();
  const measure = async (name: string, to: Target, size: number, length: number) => {
    let n = 0;
    const makeShot = () =>
      newShot(
        to.path,
        to.token,
        Array.from({ length: size }, () => record(n++)),
      );
    const measured = await fire(to.port, makeShot, CONNECTIONS, length);
    results.set(name, [...(results.get(name) ?? []), measured]);
  };

  for (const size of [1, BATCH]) {
    await measure('warm', bare.target, size, 1);
    await measure('warm', millrace, size, 2);
  }
  for (let round = 0; round < rounds; round++) {
    for (const size of [1, BATCH]) {
      await untilDelivered(program.running);
      await measure(`bare ${size}`, bare.target, size, seconds);
      for (const delivery of ['running', 'paused'] as const) {
        await untilDelivered(program.running);
        await whileDelivery(delivery, program, () => measure(`${delivery} ${size}`, millrace, size, seconds));
      }
    }
  }
  await untilDelivered(program.running);
  await sameCount(program);
  bare.child.disconnect();
  await program.stop();
  show(results);
}

async function startBare(): Promise<{ child: ChildProcess; target: Target }> {
  const child = fork(new URL('./bare.ts', import.meta.url), [join(tempFolder(), 'bare.log')]);
  const [port] = (await once(child, 'message')) as [number];
  return { child, target: { port, path: '/', token: 'none' } };
}

/** A stopped warehouse process leaves the log to itself: what intake can do when the second core is not taken by delivery. */
async function whileDelivery(delivery: Delivery, { running }: Started, work: () => Promise<void>): Promise<void> {
  const children = delivery === 'paused' ? processTree(running.pid).slice(1) : [];
  for (const pid of children) process.kill(pid, 'SIGSTOP');
  try {
    await work();
  } finally {
    for (const pid of children) process.kill(pid, 'SIGCONT');
  }
}

/** What was measured must have been kept. */
async function sameCount({ running }: Started): Promise<void> {
  const { text } = await ask(running, 'GET', '/v1/status');
  const { accepted } = (JSON.parse(text) as { topics: { name: string; accepted: number }[] }).topics.find(({ name }) => name === 'visits')!;
  let [rows, ids] = [0, 0];
  // As numbers and in parts, since the ids of millions of records together are more than a query's share of memory.
  for (let part = 0; part < 4; part++) {
    const id = 'CAST(substr(_id, 3) AS BIGINT)';
    const [row] = await query(running, `SELECT count(*), count(DISTINCT ${id}) FROM raw.visits WHERE ${id} % 4 = ${part}`);
    rows += Number(row![0]);
    ids += Number(row![1]);
  }
  if (rows !== accepted || ids !== accepted)
    throw new Error(`${accepted} records were acknowledged, in the warehouse are ${rows} with ${ids} ids`);
}

function show(results: ReadonlyMap<string, readonly Measured[]>): void {
  const of = (name: string, what: keyof Measured) => median(results.get(name)!.map((measured) => measured[what]));
  /** Round by round, since the machine's other work changes between rounds more than within one. */
  const ratio = (name: string, size: number) =>
    median(results.get(`${name} ${size}`)!.map((measured, round) => measured.records / results.get(`bare ${size}`)![round]!.records));
  const figures: Record<string, Figure> = {};
  for (const [key, size] of [
    ['singles', 1],
    ['batches', BATCH],
  ] as const) {
    const what = size === 1 ? 'single records' : `batches of ${size}`;
    figures[`${key}_bare`] = { title: `${what}, bare node:http, append and sync`, value: of(`bare ${size}`, 'records'), unit: 'records/s' };
    figures[key] = {
      title: `${what}, acknowledged durably while they are delivered`,
      value: of(`running ${size}`, 'records'),
      unit: 'records/s',
    };
    figures[`${key}_ratio`] = { title: '  beside bare', value: ratio('running', size) };
    figures[`${key}_p50`] = { title: '  acknowledgement, p50', value: of(`running ${size}`, 'p50'), unit: 'ms' };
    figures[`${key}_p99`] = { title: '  acknowledgement, p99', value: of(`running ${size}`, 'p99'), unit: 'ms' };
    figures[`${key}_alone`] = { title: `${what}, delivery stopped meanwhile`, value: of(`paused ${size}`, 'records'), unit: 'records/s' };
    figures[`${key}_alone_ratio`] = { title: '  beside bare', value: ratio('paused', size) };
    figures[`${key}_alone_p50`] = { title: '  acknowledgement, p50', value: of(`paused ${size}`, 'p50'), unit: 'ms' };
    figures[`${key}_alone_p99`] = { title: '  acknowledgement, p99', value: of(`paused ${size}`, 'p99'), unit: 'ms' };
  }
  const goals: Goal[] = [
    { figure: 'singles_ratio', at: 'least', value: 0.7 },
    { figure: 'batches_ratio', at: 'least', value: 0.5 },
  ];
  report({ bench: 'intake', figures, goals });
}

await main();
