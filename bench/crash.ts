// Real clients that retry, kill -9 of each process at random moments, and with --faults a machine that fails (bench/faults.ts):
// is every acknowledged record in the warehouse exactly once?
import { cpSync, existsSync, readdirSync, readlinkSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Client, type Ledger, type Made, newLedger, startClient } from './clients.ts';
import { type Fault, type FaultKind, newFaults, signal, smallDisk } from './faults.ts';
import {
  ask,
  buildProgram,
  launchProgram,
  newWorkspace,
  processTree,
  query,
  type Running,
  tempFolder,
  untilDelivered,
  untilReady,
} from './program.ts';
import { type Figure, type Goal, report } from './report.ts';

const CLIENTS = 6;
const TOPICS = ['orders', 'visits'] as const;

type Target = 'front' | 'warehouse' | 'launcher';
type Moment = 'any' | 'start' | 'transaction' | 'checkpoint' | 'recovery' | 'stop';

/** One kill of the plan, drawn before the run begins. */
interface Kill {
  readonly target: Target;
  readonly moment: Moment;
  /** ms after the start, or after the moment was seen. */
  readonly after: number;
  readonly fault: Fault | null;
}

/** What the frozen process was doing when it was killed, by what it had left on disk. */
interface Evidence {
  target: Target;
  start: boolean;
  transaction: boolean;
  checkpoint: boolean;
  recovery: boolean;
  /** Null as well where the fault of the plan hit nothing. */
  fault: FaultKind | null;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string' },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean' },
      long: { type: 'boolean' },
      faults: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  });
  const kills = Number(values.kills ?? (values.quick ? 10 : values.long ? 1000 : 60));
  const random = newRandom(Number(values.seed));
  const ledger = newLedger();
  const house = await newHouse(values.faults ?? values.long ?? false, random, ledger);
  const plan = planOf(kills, random, house.faultKinds);
  const evidence: Evidence[] = [];
  const endedAlone: FaultKind[] = [];

  await house.start('built');
  const running = await house.listening();
  const token = await writeKey(running);
  // Every record that was sent is kept here until the end, and a thousand kills take half an hour.
  const pause = kills <= 200 ? 12 : 120;
  const clients = Array.from({ length: CLIENTS }, (_, k) => newClient(k, house.port, token, Number(values.seed), ledger, pause));
  for (const [n, kill] of plan.entries()) {
    if (n % 4 === 3) changeDefinition(house.workspace, n);
    let hit = await house.kill(kill, plan[n + 1]?.target);
    // It had ended by itself before it could be killed; of the plan's moments only `stop` asks it to.
    if (hit === null && kill.fault !== null) endedAlone.push(kill.fault.kind);
    while (hit === null) hit = await house.kill({ ...kill, moment: 'any', fault: null }, plan[n + 1]?.target);
    evidence.push(hit);
    if (n % 25 === 24) showProgress(n + 1, kills, ledger);
  }
  for (const client of clients) client.stop();
  await house.ensure();
  await Promise.all(clients.map((client) => client.done));
  const found = await compare(await house.settled(), ledger);
  await house.stop();
  show(ledger, found, { evidence, endedAlone, cutBytes: house.cutBytes(), faultKinds: house.faultKinds });
}

function showProgress(done: number, kills: number, { accepted, refusals }: Ledger): void {
  const refused = [...refusals].map(([code, count]) => `${code} ${count}`).join(', ');
  const seconds = Math.round(performance.now() / 1000);
  process.stderr.write(`${done} of ${kills} kills in ${seconds} s, ${accepted.size} acknowledged${refused && `; refused: ${refused}`}\n`);
}

/** mulberry32: 32 bits of state are plenty for a plan. */
function newRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function planOf(kills: number, random: () => number, faults: readonly FaultKind[]): Kill[] {
  const targets: readonly Target[] = ['front', 'warehouse', 'warehouse', 'front', 'launcher'];
  const moments: readonly Moment[] = [
    'any',
    'start',
    'transaction',
    'any',
    'recovery',
    'start',
    'checkpoint',
    'any',
    'stop',
    'transaction',
  ];
  return Array.from({ length: kills }, (_, n) => {
    // Every third, so that in the course of the run a fault meets what each of the ten moments leaves behind.
    if (faults.length > 0 && n % 3 === 1) return killWithFault(faults[Math.floor(n / 3) % faults.length]!, random);
    const moment = moments[n % moments.length]!;
    const target = targets[Math.floor(random() * targets.length)]!;
    const longest = moment === 'start' ? 500 : moment === 'any' ? 900 : 8;
    return { target, moment, after: Math.floor(random() * longest), fault: null };
  });
}

function killWithFault(kind: FaultKind, random: () => number): Kill {
  // Room on the disk is looked at once a second.
  const lasts = kind === 'full' ? 1200 + random() * 800 : kind === 'standstill' ? 300 + random() * 1700 : 100 + random() * 500;
  const fault: Fault = { kind, lasts, endsFirst: random() < 0.5 };
  // The log can be torn only while the front is dead.
  const target: Target = kind === 'torn' || random() < 0.5 ? 'front' : 'warehouse';
  return { target, moment: 'any', after: Math.floor(random() * 400), fault };
}

/** The definition of a topic changes while records come: fields are added, and drift makes columns of those that nobody declared. */
function changeDefinition(workspace: string, n: number): void {
  const path = join(workspace, 'topics', 'visits.yaml');
  writeFileSync(`${path}.new`, definition('discard', Math.min(12, 1 + Math.floor(n / 4))));
  renameSync(`${path}.new`, path);
}

function definition(drift: 'evolve' | 'discard', added: number): string {
  const fields = ['event_id: text', 'at: timestamp', 'n: integer', 'big: integer', 'amount: decimal(18,2)', 'note: text'];
  for (let k = 0; k < added; k++) fields.push(`added_${k}: integer`);
  return `id: event_id\ntime: at\ndrift: ${drift}\nfields:\n${fields.map((field) => `  ${field}\n`).join('')}`;
}

function newClient(k: number, port: number, token: string, seed: number, ledger: Ledger, pause: number): Client {
  const random = newRandom(seed * 1000 + k);
  const topic = TOPICS[k % TOPICS.length]!;
  let count = 0;
  const next = (): Made[] => {
    const size = random() < 0.6 ? 1 : 2 + Math.floor(random() * 38);
    return Array.from({ length: size }, () => newRecord(`c${k}-${count++}`, count, random));
  };
  return startClient({ port, path: `/v1/topics/${topic}/records`, token, random, next, ledger, pause });
}

const BAD: readonly ((good: string) => string)[] = [
  (good) => good.replace(/"n":\d+/, '"n":1.5'),
  (good) => good.replace(/"amount":[\d.]+/, '"amount":"much"'),
  (good) => good.replace(/"at":"[^"]+"/, '"at":"1970-01-02T00:00:00Z"'),
  (good) => good.replace(/"n":(\d+)/, '"n":$1,"n":$1'),
  (good) => good.replace(/"big":\d+/, '"big":'),
];

function newRecord(id: string, count: number, random: () => number): Made {
  const at = new Date(Date.now() - Math.floor(random() * 3_600_000)).toISOString();
  const big = 9_000_000_000_000_000_000n + BigInt(Math.floor(random() * 1e15));
  const amount = `${Math.floor(random() * 1e12)}.${String(Math.floor(random() * 100)).padStart(2, '0')}`;
  const drifted = Math.floor(count / 400);
  const extra = `"x_${drifted % 40}":${drifted % 3 === 2 ? `"t${count}"` : count},"added_${drifted % 12}":${count}`;
  const note = Math.floor(random() * 2 ** 32)
    .toString(36)
    .repeat(30 + Math.floor(random() * 300));
  const good = `{"event_id":"${id}","at":"${at}","n":${count},"big":${big},"amount":${amount},${extra},"note":"${note}"}`;
  if (random() > 0.012) return { id, json: good, good: true };
  return { id, json: BAD[Math.floor(random() * BAD.length)]!(good), good: false };
}

async function writeKey(running: Running): Promise<string> {
  const { text } = await ask(running, 'POST', '/v1/tokens', JSON.stringify({ name: 'shop', role: 'write', topics: TOPICS }));
  return (JSON.parse(text) as { token: string }).token;
}

/** The program under the hammer: started, frozen, looked at, killed and started again. */
async function newHouse(failing: boolean, random: () => number, ledger: Ledger) {
  const built = buildProgram();
  const source = copySource();
  const disk = failing ? smallDisk() : null;
  const topics = { orders: definition('evolve', 0), visits: definition('discard', 0) };
  // A small reserve, so that the last byte is met as well as the refusal before it.
  const workspace = newWorkspace(built, topics, failing ? 'limits:\n  disk_reserve: 1MiB\n' : '', disk ?? undefined);
  const data = join(workspace, '.millrace');
  const refusals = () => (ledger.refusals.get('DISK_FULL') ?? 0) + (ledger.refusals.get('LOG_FAILED') ?? 0);
  const faults = failing ? newFaults(disk, data, random, refusals) : null;
  const port = await freePort();
  const lives: ReturnType<typeof launchProgram>[] = [];
  let launched = false;

  const life = () => lives.at(-1)!;
  const alive = () => life().child.exitCode === null && life().child.signalCode === null;

  async function start(how: 'built' | 'launcher'): Promise<void> {
    launched = how === 'launcher';
    const launcher = launched ? { launcher: process.execPath } : {};
    lives.push(launchProgram({ home: launched ? source : built, workspace, port, env: faults?.env ?? {}, ...launcher }));
  }

  /** Waits until it listens; a predecessor that is still ending holds the workspace for a moment. */
  async function listening(): Promise<Running> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await life().listening;
      } catch (cause) {
        if (attempt >= 100 || !/WORKSPACE_BUSY|PORT_TAKEN/.test(String(cause))) throw cause;
        await sleep(100);
        await start(launched ? 'launcher' : 'built');
      }
    }
  }

  function processes(): { launcher: number | null; front: number | null; warehouse: number | null } {
    if (!alive()) return { launcher: null, front: null, warehouse: null };
    const [first, second, third] = processTree(life().child.pid!);
    return launched
      ? { launcher: first!, front: second ?? null, warehouse: third ?? null }
      : { launcher: null, front: first!, warehouse: second ?? null };
  }

  function wal(): { bytes: number; checkpointing: boolean } {
    const log = join(data, 'warehouse.duckdb.wal');
    const main = join(data, 'warehouse.duckdb');
    const other = readdirSync(data).some((name) => /warehouse\.duckdb\..*checkpoint|checkpoint\.wal/.test(name));
    const size = statSync(log, { bigint: true, throwIfNoEntry: false });
    const written = statSync(main, { bigint: true, throwIfNoEntry: false });
    if (size === undefined || size.size === 0n || written === undefined) return { bytes: 0, checkpointing: other };
    return { bytes: Number(size.size), checkpointing: other || written.mtimeNs > size.mtimeNs };
  }

  function slicing(): boolean {
    try {
      return readdirSync(join(data, 'tmp', 'slices')).length > 0;
    } catch (cause) {
      // A warehouse that starts makes the folder anew.
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw cause;
    }
  }

  /** Has the warehouse process opened the file, but not yet said that it is ready? Then it replays the WAL. */
  function recovering(): boolean {
    const { warehouse } = processes();
    if (warehouse === null || wal().bytes === 0) return false;
    const last = life().lines.findLast((line) => /"event":"warehouse\.(ready|exit)"/.test(line));
    return !last?.includes('warehouse.ready') && openFiles(warehouse).some((path) => path.includes('warehouse.duckdb'));
  }

  async function wait(until: () => boolean, patience: number): Promise<void> {
    const deadline = performance.now() + patience;
    while (!until() && alive() && performance.now() < deadline) await sleep(1);
  }

  /** Waits for the moment; it is not sure to come (a checkpoint is rare), and then whatever is going on is hit. */
  async function come({ target, moment, after }: Kill): Promise<void> {
    if (moment === 'start' || moment === 'recovery') {
      if (target === 'warehouse' && alive()) {
        const before = processes().warehouse;
        if (before !== null) end(before);
        await wait(() => ![null, before].includes(processes().warehouse), 7_000);
      } else {
        if (alive()) for (const pid of processTree(life().child.pid!)) end(pid);
        await life().ended;
        await start(target === 'launcher' ? 'launcher' : 'built');
      }
      if (moment === 'recovery') await wait(recovering, 2_000);
    } else {
      if (!alive()) await start(target === 'launcher' ? 'launcher' : 'built');
      await listening();
      if (moment === 'transaction') await wait(slicing, 3_000);
      if (moment === 'checkpoint') await wait(() => wal().checkpointing, 4_000);
      if (moment === 'stop') {
        life().child.kill('SIGTERM');
        await wait(() => wal().checkpointing, 1_500);
      }
    }
    await sleep(after);
  }

  return {
    workspace,
    port,
    faultKinds: faults?.kinds ?? [],
    start,
    listening,
    cutBytes: () => lives.flatMap(({ lines }) => lines.map(cutOf)),
    async kill(kill: Kill, next: Target | undefined): Promise<Evidence | null> {
      await come(kill);
      const { fault } = kill;
      let met = 0;
      if (fault !== null) {
        await faults!.begin(fault, processes());
        if (fault.endsFirst && fault.kind !== 'torn') {
          met = await faults!.end(fault);
          await sleep(fault.lasts);
        }
      }
      const before = processes();
      for (const pid of [before.front, before.warehouse]) if (pid !== null) signal(pid, 'SIGSTOP');
      const target = before[kill.target] !== null ? kill.target : before.front !== null ? 'front' : 'launcher';
      const victim = before[target];
      const evidence: Evidence = {
        target,
        start: !existsSync(join(data, 'running.json')),
        transaction: before.warehouse !== null && slicing(),
        checkpoint: before.warehouse !== null && !recovering() && wal().checkpointing,
        recovery: recovering(),
        fault: null,
      };
      if (victim !== null) end(victim);
      for (const pid of [before.front, before.warehouse]) if (pid !== null && pid !== victim) signal(pid, 'SIGCONT');
      if (target !== 'warehouse') await life().ended;
      if (fault !== null && (fault.kind === 'torn' || !fault.endsFirst)) met = await faults!.end(fault);
      if (fault !== null && met > 0) evidence.fault = fault.kind;
      if (target !== 'warehouse') {
        await start(next === 'launcher' ? 'launcher' : 'built');
      }
      return victim === null ? null : evidence;
    },
    /** Running and delivered: after a thousand kills that let hardly a delivery through, beside whatever else the machine does. */
    async settled(): Promise<Running> {
      const running = await listening();
      try {
        await untilReady(running, 300_000);
        await untilDelivered(running, 900_000);
      } catch (cause) {
        throw new Error(`the program does not settle; its last words:\n${life().lines.slice(-40).join('\n')}`, { cause });
      }
      return running;
    },
    async ensure(): Promise<void> {
      if (!alive()) await start('built');
      await listening();
    },
    stop: () => life().stop(),
  };
}

function end(pid: number): void {
  signal(pid, 'SIGKILL');
}

/** A process that is gone already takes no signal. */
function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((name) => readlinkSync(join(folder, name)));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // The process, or one of its files, went while we looked.
    if (code === 'ENOENT' || code === 'ESRCH') return [];
    throw cause;
  }
}

function cutOf(line: string): number {
  return line.includes('"event":"log.recovered"') ? (JSON.parse(line) as { cut_bytes: number }).cut_bytes : 0;
}

/** A checkout of its own, whose launcher hands over to another process: the only way in which there is one to kill. */
function copySource(): string {
  const home = tempFolder();
  const checkout = fileURLToPath(new URL('..', import.meta.url));
  for (const name of ['bin', 'src', 'package.json']) cpSync(join(checkout, name), join(home, name), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(home, 'node_modules'));
  return home;
}

/** Clients must find the program again after a restart. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

interface Found {
  present: number;
  lost: string[];
  doubled: string[];
  /** Rows whose values are not those that were sent. */
  altered: string[];
  /** Rows that no client was told of. */
  foreign: string[];
  /** Rejected records that are not in quarantine with their bytes. */
  unquarantined: string[];
}

async function compare(running: Running, ledger: Ledger): Promise<Found> {
  const found: Found = { present: 0, lost: [], doubled: [], altered: [], foreign: [], unquarantined: [] };
  const seen = new Set<string>();
  for (let k = 0; k < CLIENTS; k++) {
    const sql = `SELECT _id, CAST(n AS VARCHAR), CAST(big AS VARCHAR), CAST(amount AS VARCHAR), epoch_ms(_time), note, data
      FROM raw.${TOPICS[k % TOPICS.length]} WHERE starts_with(_id, 'c${k}-')`;
    for (const row of await query(running, sql)) {
      const [id, ...values] = row as [string, ...unknown[]];
      found.present++;
      if (seen.has(id)) found.doubled.push(id);
      seen.add(id);
      const sent = ledger.accepted.get(id);
      if (sent === undefined) found.foreign.push(id);
      else if (JSON.stringify(values) !== JSON.stringify(valuesOf(sent))) found.altered.push(id);
    }
  }
  for (const id of ledger.accepted.keys()) if (!seen.has(id)) found.lost.push(id);
  const quarantined = new Set<string>();
  for (const topic of TOPICS) {
    const { text } = await ask(running, 'GET', `/v1/quarantine?topic=${topic}&limit=10000`);
    for (const { body } of (JSON.parse(text) as { rows: { body: string }[] }).rows) quarantined.add(body);
  }
  for (const [id, json] of ledger.rejected) if (!quarantined.has(json)) found.unquarantined.push(id);
  return found;
}

/** What stands in a record's own text, read without any number becoming a double. */
function valuesOf(json: string): unknown[] {
  const match = /^\{"event_id":"[^"]+","at":"([^"]+)","n":(\d+),"big":(\d+),"amount":([\d.]+),.*"note":"([^"]+)"\}$/.exec(json)!;
  const [, at, n, big, amount, note] = match as unknown as [string, string, string, string, string, string];
  return [n, big, amount, Date.parse(at), note, json];
}

const FAULTS: Readonly<Record<FaultKind, string>> = {
  full: '  beside a full disk',
  sync: '  beside syncs that failed',
  readonly: '  beside files that were read-only',
  standstill: '  beside a process that stood still',
  torn: '  with a torn tail put behind the log',
};

function show(
  ledger: Ledger,
  found: Found,
  {
    evidence,
    endedAlone,
    cutBytes,
    faultKinds,
  }: {
    evidence: readonly Evidence[];
    endedAlone: readonly FaultKind[];
    cutBytes: readonly number[];
    faultKinds: readonly FaultKind[];
  },
): void {
  for (const [what, ids] of Object.entries({ ...found, wrong: ledger.wrong })) {
    if (typeof ids !== 'number' && ids.length > 0) process.stderr.write(`${what}: ${ids.slice(0, 10).join('\n  ')}\n`);
  }
  const count = (title: string, value: number): Figure => ({ title, value });
  const hits = (what: (evidence: Evidence) => boolean) => evidence.filter(what).length;
  const figures: Record<string, Figure> = {
    kills: count('kill -9', evidence.length),
    kills_front: count(
      '  of the front',
      hits(({ target }) => target === 'front'),
    ),
    kills_warehouse: count(
      '  of the warehouse',
      hits(({ target }) => target === 'warehouse'),
    ),
    kills_launcher: count(
      '  of the launcher',
      hits(({ target }) => target === 'launcher'),
    ),
    kills_starting: count(
      '  before it listened',
      hits(({ start }) => start),
    ),
    kills_transaction: count(
      '  that hit a transaction',
      hits(({ transaction }) => transaction),
    ),
    kills_checkpoint: count(
      '  that hit a checkpoint',
      hits(({ checkpoint }) => checkpoint),
    ),
    kills_recovery: count(
      '  that hit a recovery',
      hits(({ recovery }) => recovery),
    ),
    ...Object.fromEntries(
      Object.entries(FAULTS).map(([kind, title]) => [
        `faults_${kind}`,
        count(
          title,
          hits(({ fault }) => fault === kind),
        ),
      ]),
    ),
    fault_kinds: count('kinds of faults that this machine lets us make', faultKinds.length),
    ended_alone: count('programs that a fault ended before the kill', endedAlone.length),
    cut_groups: count('groups torn by a kill and cut at recovery', cutBytes.filter((bytes) => bytes > 0).length),
    requests: count('requests answered', ledger.requests),
    retries: count('requests that had to be sent again', ledger.retries),
    acknowledged: count('records acknowledged', ledger.accepted.size),
    present: count('records in the warehouse', found.present),
    lost: count('lost', found.lost.length),
    doubled: count('doubled', found.doubled.length),
    altered: count('altered', found.altered.length),
    foreign: count('in the warehouse without having been acknowledged', found.foreign.length),
    rejected: count('records rejected', ledger.rejected.size),
    unquarantined: count('  not in quarantine with their bytes', found.unquarantined.length),
    wrong: count('answers that contradict what was sent', ledger.wrong.length),
  };
  const none = ['lost', 'doubled', 'altered', 'foreign', 'unquarantined', 'wrong'];
  // A short run may meet none of what is rare.
  const rare = evidence.length < 50 ? [] : ['kills_starting', 'kills_transaction', 'kills_checkpoint', 'kills_recovery'];
  const goals: Goal[] = [
    ...none.map((figure): Goal => ({ figure, at: 'most', value: 0 })),
    ...rare.map((figure): Goal => ({ figure, at: 'least', value: 1 })),
  ];
  const met = report({ bench: 'crash', figures, goals });
  // Loss is loss, however short the run.
  if (!met) process.exitCode = 1;
}

await main();
