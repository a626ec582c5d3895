// How soon an acknowledged record is seen by SELECT: beside heavy queries, clients that take large results, and checkpoints.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { belowFrom } from '../test/random.ts';
import { quantile } from './load.ts';
import { type Paced, pace } from './pace.ts';
import { ask, buildProgram, newWorkspace, query, type Running, startProgram, untilDelivered, untilReady } from './program.ts';
import { type Figure, type Goal, report } from './report.ts';

const RATE = 20_000;
const PER_REQUEST = 200;
const topic =
  'id: event_id\ntime: at\ntype: kind\nfields:\n  event_id: text\n  at: timestamp\n  kind: text\n  page: text\n  probe: integer\n';
/** Fields that records of one type have and others have not; they come undeclared. Beyond 200 columns a topic's stay in its JSON. */
const OWN_FIELDS = 3;
const heavy = [
  'SELECT k % 100000 AS g, count(*), avg(v), max(w) FROM main.history GROUP BY g ORDER BY 2 DESC LIMIT 100',
  'SELECT count(DISTINCT w) FROM main.history',
  'SELECT k, sum(v) OVER (PARTITION BY k % 100 ORDER BY k) AS s FROM main.history ORDER BY s DESC LIMIT 1000',
  'SELECT count(*) FROM main.history a JOIN main.history b ON a.k = b.k * 2 WHERE a.v > b.v',
];
const large = 'SELECT k, v, w FROM main.history LIMIT 1000000';

interface Setting {
  readonly key: string;
  readonly title: string;
  readonly topics: number;
  readonly types: number;
  /** For all processes together. */
  readonly memory: string;
}

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const seconds = quick ? 60 : 900;
  const home = buildProgram();
  const settings: Setting[] = [
    { key: '', title: '', topics: 1, types: 3, memory: '1GB' },
    { key: 'sparse_', title: '1,000 types in one topic: ', topics: 1, types: 1000, memory: '1GB' },
    { key: 'wide_', title: '1,000 types in 200 topics (2 GB): ', topics: 200, types: 1000, memory: '2GB' },
  ];
  const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7);
  const figures: Record<string, Figure> = {};
  const goals: Goal[] = [];
  for (const setting of settings.filter(({ key }) => only === undefined || key === (only === 'narrow' ? '' : `${only}_`))) {
    await measure(home, setting, quick && only === undefined ? seconds / 3 : seconds, figures);
    for (const [figure, value] of [
      ['fresh_p99', 500],
      ['fresh_longest', 1000],
      ['lost', 0],
      ['refused', 0],
      ['unseen', 0],
    ] as const)
      goals.push({ figure: setting.key + figure, at: 'most', value });
    for (const [figure, value] of [
      ['rate', 0.98 * RATE],
      ['checkpoints', 5],
      ['fewest_heavy', 1],
      ['fewest_large', 1],
      // Of ten a second.
      ['probes', 5 * (quick ? seconds / 3 : seconds)],
    ] as const)
      goals.push({ figure: setting.key + figure, at: 'least', value });
  }
  for (const problem of problems) process.stderr.write(`a look failed: ${problem}\n`);
  report({ bench: 'fresh', figures, goals });
}

async function measure(
  home: string,
  { key, title, topics, types, memory }: Setting,
  seconds: number,
  figures: Record<string, Figure>,
): Promise<void> {
  const names = Array.from({ length: topics }, (_, k) => `visits_${k}`);
  const workspace = newWorkspace(home, Object.fromEntries(names.map((name) => [name, topic])));
  const settings = join(workspace, 'millrace.yaml');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace(/^memory:.*$/m, `memory: ${memory}`));
  const { running, stop } = await startProgram({ home, workspace });
  await untilReady(running);
  await query(running, 'CREATE TABLE main.history AS SELECT k, random() AS v, md5(k::VARCHAR) AS w FROM range(2000000) t(k)');

  /** Probes that are not seen yet: when each was acknowledged, and in which topic it is. */
  const waiting = new Map<number, { readonly name: string; readonly at: number }>();
  const waits: number[] = [];
  const random = belowFrom(20_261_130);
  let n = 0;
  let probe = 0;
  let probed = 0;
  const newRequest = (note: { readonly probe: number; readonly name: string }) => {
    const at = new Date().toISOString();
    const records = Array.from({ length: PER_REQUEST }, (_, k) => {
      // Each topic has types of its own.
      const type = topics === 1 ? n % types : names.indexOf(note.name) + topics * (n % (types / topics));
      const own = types > 3 ? Array.from({ length: OWN_FIELDS }, (_, f) => [`f${type}_${f}`, f === 0 ? n : `v${n % 97}`]) : [];
      return {
        event_id: `e-${n}`,
        at,
        kind: `kind_${type}`,
        page: `/shop/cups?size=${n++ % 977}`,
        ...Object.fromEntries(own),
        ...(note.probe > 0 && k === 0 ? { probe: note.probe } : {}),
      };
    });
    return { path: `/v1/topics/${note.name}/records`, body: JSON.stringify(records), records: PER_REQUEST, note };
  };
  // Every type has come once: a field's first record makes a column, which is done once and not in each second.
  let before = 0;
  while (n < Math.max(types, topics * PER_REQUEST)) {
    const { path, body, records } = newRequest({ probe: 0, name: names[Math.floor(n / PER_REQUEST) % topics]! });
    const { status } = await ask(running, 'POST', path, body);
    if (status === 200) before += records;
  }
  await untilDelivered(running);
  const sending: Paced = pace<{ probe: number; name: string }>(
    running,
    RATE / PER_REQUEST,
    () => {
      // Ten times a second a request carries a probe, to any of the topics.
      const probes = performance.now() - probed >= 100;
      if (probes) probed = performance.now();
      return newRequest({ probe: probes ? ++probe : 0, name: names[probes ? random(topics) : Math.floor(n / PER_REQUEST) % topics]! });
    },
    ({ probe: note, name }, at) => {
      if (note > 0) waiting.set(note, { name, at });
    },
  );
  const until = performance.now() + seconds * 1000;
  const over = () => performance.now() > until;
  const checkpoints = watchWal(join(workspace, '.millrace', 'warehouse.duckdb.wal'));
  // Each by a role of its own: of one role's questions only so many run at once, and the looks would wait behind the heavy ones.
  const [analysts, readers] = [await asRole(running, 'editor'), await asRole(running, 'viewer')];
  let done = false;
  const looking = Promise.all(Array.from({ length: LOOKERS }, () => look(running, waiting, waits, () => done)));
  const [heavyAnswered, largeAnswered] = await Promise.all([
    Promise.all(heavy.map((sql) => loop(analysts, sql, over))),
    Promise.all([loop(readers, large, over), loop(readers, large, over)]),
  ]);
  const took = (performance.now() - until) / 1000 + seconds;
  await sending.stop();
  done = true;
  const looks = (await looking).reduce((sum, each) => sum + each, 0);
  const unseen = waiting.size;
  for (const { at } of waiting.values()) waits.push(performance.now() - at);
  const counted = checkpoints.stop();
  await untilDelivered(running);
  let stored = 0;
  for (const name of names) stored += Number((await query(running, `SELECT count(*) FROM raw.${name}`))[0]![0]);
  await stop();
  waits.sort((a, b) => a - b);
  figures[`${key}rate`] = { title: `${title}acknowledged`, unit: 'records/s', value: sending.accepted / took };
  figures[`${key}ack_p99`] = { title: `${title}acknowledgement p99`, unit: 'ms', value: sending.wait(0.99) };
  figures[`${key}fresh_p50`] = { title: `${title}acknowledged to visible, p50`, unit: 'ms', value: quantile(waits, 0.5) };
  figures[`${key}fresh_p99`] = { title: `${title}  p99`, unit: 'ms', value: quantile(waits, 0.99) };
  figures[`${key}fresh_longest`] = { title: `${title}  longest`, unit: 'ms', value: waits.at(-1) ?? Number.NaN };
  figures[`${key}probes`] = { title: `${title}  of so many probes`, value: waits.length };
  figures[`${key}unseen`] = { title: `${title}  never seen`, value: unseen };
  figures[`${key}looks`] = { title: `${title}looks for them`, value: looks };
  figures[`${key}fewest_heavy`] = { title: `${title}heavy questions answered, each at least`, value: Math.min(...heavyAnswered) };
  figures[`${key}fewest_large`] = { title: `${title}large results read, each client at least`, value: Math.min(...largeAnswered) };
  figures[`${key}refused`] = { title: `${title}requests refused or cut`, value: sending.refused };
  figures[`${key}checkpoints`] = { title: `${title}checkpoints`, value: counted };
  figures[`${key}lost`] = { title: `${title}records lost or doubled`, value: Math.abs(before + sending.accepted - stored) };
}

/** Why a look for the newest probe was not answered. */
const problems = new Set<string>();
/** So long after the end a probe may still come. */
const PATIENCE = 120_000;

async function asRole(to: Running, role: 'editor' | 'viewer'): Promise<Running> {
  const { text } = await ask(to, 'POST', '/v1/tokens', JSON.stringify({ name: role, role }));
  return { ...to, token: (JSON.parse(text) as { token: string }).token };
}

/** How often it was answered. */
async function loop(to: Running, sql: string, over: () => boolean): Promise<number> {
  let answered = 0;
  while (!over()) {
    const { status } = await ask(to, 'POST', '/v1/query', JSON.stringify({ sql })).catch(() => ({ status: 0 }));
    if (status === 200) answered++;
    else await sleep(100);
  }
  return answered;
}

/** Each at another topic, so that none of the many waits for the look at another. */
const LOOKERS = 4;
const looked = new Set<string>();

/**
 * Asks the topic of the probe that has waited longest for its newest one, again and again; a probe's wait ends when an answer that shows it is
 * here. What is not seen at the end is waited for, so that no wait is counted too short. How often it asked.
 */
async function look(
  to: Running,
  waiting: Map<number, { readonly name: string; readonly at: number }>,
  waits: number[],
  done: () => boolean,
): Promise<number> {
  let looks = 0;
  let ended: number | null = null;
  for (;;) {
    if (done()) ended ??= performance.now();
    if (ended !== null && (waiting.size === 0 || performance.now() - ended > PATIENCE)) return looks;
    const first = [...waiting.values()].find(({ name }) => !looked.has(name));
    if (first === undefined) {
      await sleep(5);
      continue;
    }
    looked.add(first.name);
    // The newest rows only: a question about all of them would measure itself.
    const since = 15 + Math.ceil((performance.now() - first.at) / 1000);
    const sql = `SELECT coalesce(max(probe), 0) FROM raw.${first.name} WHERE _received > now() - INTERVAL ${since} SECOND`;
    const answered = await query(to, sql).catch((cause: Error) => {
      problems.add(cause.message);
      return null;
    });
    looks++;
    const now = performance.now();
    const seen = Number(answered?.[0]?.[0] ?? 0);
    for (const [probe, { name, at }] of waiting) {
      if (name !== first.name || probe > seen) continue;
      waits.push(Math.max(0, now - at));
      waiting.delete(probe);
    }
    await sleep(15);
    looked.delete(first.name);
  }
}

/** A checkpoint empties the file. */
function watchWal(path: string): { stop(): number } {
  let size = 0;
  let count = 0;
  const timer = setInterval(() => {
    const now = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (now < size) count++;
    size = now;
  }, 20);
  return {
    stop() {
      clearInterval(timer);
      return count;
    },
  };
}

await main();
