// Ten times what the machine takes offered by many connections with large bodies, beside slow readers, 2,000 idle connections and a thousand small
// queries at a heavy one: is what is too much refused with a word, is nothing acknowledged lost, is --memory kept?
import { connect, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fire, ID, isWhole, newShot, prepare, quantile, type Shot, TIME } from './load.ts';
import { pace } from './pace.ts';
import {
  ask,
  buildProgram,
  newWorkspace,
  processTree,
  query,
  type Running,
  residentBytes,
  startProgram,
  untilDelivered,
  untilReady,
} from './program.ts';
import { type Figure, report } from './report.ts';

/** What a new workspace says. */
const MEMORY = 1_000_000_000;
const TIMES = 10;
/** With bodies of 400 kB: if all were taken in at once, they and their copies would be more than half of --memory. */
const CONNECTIONS = 500;
const PER_REQUEST = 2_500;
const IDLE = 2_000;
const LARGE_READERS = 8;
/** Their answers have 1.3 MB. */
const SMALL_READERS = 300;
const ASKERS = 30;
const BURST = 1_000;

const topic =
  'id: event_id\ntime: at\nfields:\n  event_id: text\n  at: timestamp\n  user_id: text\n  page: text\n  item: integer\n  amount: decimal(18,2)\n';
const record = (n: number) =>
  `{"event_id":"e-${ID}","at":"${TIME}","user_id":"u-${1000 + n}","page":"/shop/kitchen/cups?size=${n % 7}","item":${n % 90},"amount":${n % 200}.95}`;
const records = Array.from({ length: PER_REQUEST }, (_, n) => record(n));

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const seconds = quick ? 10 : 300;
  const home = buildProgram();
  const workspace = newWorkspace(home, { visits: topic, warm: topic });
  const { running, child, lines, stop } = await startProgram({ home, workspace });
  await untilReady(running);
  await query(running, 'CREATE TABLE main.heap AS SELECT k, random() AS v, md5(k::VARCHAR) AS w FROM range(1000000) t(k)');
  const port = Number(new URL(running.address).port);
  const taken = (await fire(port, () => newShot('/v1/topics/warm/records', running.token, records.slice(0, 500)), 8, quick ? 2 : 10))
    .records;
  await untilDelivered(running);

  const peak = watchPeak(child.pid!);
  const lag = monitorEventLoopDelay({ resolution: 5 });
  const [editor, viewer] = [await asRole(running, 'editor'), await asRole(running, 'viewer')];
  let until = Number.POSITIVE_INFINITY;
  const over = () => performance.now() > until;
  const idle = keepIdle(port);
  const readers = [
    ...Array.from({ length: LARGE_READERS }, () => readSlowly(viewer, 'SELECT * FROM main.heap LIMIT 1000000')),
    ...Array.from({ length: SMALL_READERS }, () => readSlowly(viewer, 'SELECT * FROM main.heap LIMIT 20000')),
  ];
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(50))
    if (idle.open() === IDLE && readers.every((reader) => reader.reading())) break;
  until = performance.now() + seconds * 1000;
  const small: Asked = { waits: [], refused: 0, wrong: [] };
  const beside = [
    askAgain(running, 'SELECT count(DISTINCT w), count(DISTINCT v) FROM main.heap a', over),
    ...Array.from({ length: ASKERS }, () => askMany(editor, over, small)),
    burst(editor, until - (seconds * 1000) / 2, small),
  ];
  lag.enable();
  const load = offer(port, running.token, (TIMES * taken) / PER_REQUEST, over);
  await Promise.all(beside);
  lag.disable();
  const offered = await load;
  const reading = readers.filter((reader) => reader.reading()).length;
  const held = idle.open();
  idle.stop();

  const after = await asUsual(running, editor, quick ? 3 : 10);
  for (const reader of readers) reader.stop();
  const caughtUp = performance.now();
  await untilDelivered(running, 1_800_000);
  const caught = (performance.now() - caughtUp) / 1000;
  const { lost, doubled } = await compare(running, offered.accepted);
  const top = peak.stop();
  await stop();

  const wrong = [...offered.wrong, ...small.wrong];
  for (const [what, count] of countsOf(wrong)) process.stderr.write(`${count} × ${what}\n`);
  if (process.argv.includes('--verbose')) process.stderr.write(`${lines.slice(-40).join('\n')}\n`);
  const acks = [...offered.waits].sort((a, b) => a - b);
  const asked = [...small.waits].sort((a, b) => a - b);
  const ms = (title: string, value: number): Figure => ({ title, unit: 'ms', value });
  report({
    bench: 'overload',
    figures: {
      taken: { title: 'what the machine takes with nothing beside', unit: 'records/s', value: taken },
      offered: { title: 'sent', unit: 'records/s', value: (offered.sent * PER_REQUEST) / seconds },
      times: { title: '  times what the machine takes', value: (offered.sent * PER_REQUEST) / seconds / taken },
      accepted: { title: '  acknowledged', unit: 'records/s', value: (offered.accepted.size * PER_REQUEST) / seconds },
      refused: { title: '  requests refused with a code and Retry-After', value: offered.refused },
      unheard: { title: '  requests cut before they were answered', value: offered.cut },
      waiting: { title: '  requests that were not sent, as no connection was free', value: offered.waiting },
      wrong: { title: 'other answers, to records and questions', value: wrong.length },
      lost: { title: 'records lost', value: lost },
      doubled: { title: 'records doubled', value: doubled },
      ack_p50: ms('acknowledgement p50', quantile(acks, 0.5)),
      ack_p99: ms('  p99', quantile(acks, 0.99)),
      ack_longest: ms('  longest', acks.at(-1) ?? Number.NaN),
      lag: ms('what the bench itself came late, p99', lag.percentile(99) / 1e6),
      small_answered: { title: 'small queries answered beside a heavy one', value: asked.length },
      small_refused: { title: '  refused with a code and Retry-After', value: small.refused },
      small_p50: ms('  p50', quantile(asked, 0.5)),
      small_p99: ms('  p99', quantile(asked, 0.99)),
      readers: { title: 'slow readers that were still reading at the end', value: reading / readers.length },
      idle: { title: 'idle connections that were held', value: held },
      peak: { title: 'peak of all processes, of --memory', value: top / MEMORY },
      restarts: { title: 'restarts of the warehouse', value: lines.filter((line) => line.includes('memory.restart')).length },
      after_ack: ms('right after it: acknowledgement p99', after.ack),
      after_small: ms('  small query p99', after.small),
      caught_up: { title: '  until all is delivered', unit: 's', value: caught },
    },
    goals: [
      { figure: 'times', at: 'least', value: 0.9 * TIMES },
      { figure: 'wrong', at: 'most', value: 0 },
      { figure: 'lost', at: 'most', value: 0 },
      { figure: 'doubled', at: 'most', value: 0 },
      { figure: 'ack_p99', at: 'most', value: 1000 },
      { figure: 'small_p99', at: 'most', value: 1000 },
      { figure: 'readers', at: 'least', value: 1 },
      { figure: 'idle', at: 'least', value: IDLE },
      { figure: 'peak', at: 'most', value: 1.1 },
      { figure: 'after_ack', at: 'most', value: 50 },
      { figure: 'after_small', at: 'most', value: 500 },
    ],
  });
}

interface Offered {
  /** The first id of each request that was acknowledged. */
  readonly accepted: Set<number>;
  readonly waits: number[];
  readonly wrong: string[];
  /** Due by the rate, and those of them that were sent. */
  tries: number;
  sent: number;
  refused: number;
  cut: number;
  waiting: number;
}

/**
 * Sends so many requests a second whatever the answers are, as long as one of the connections is free; a refused or cut one is sent again with
 * the same ids, at once: clients that don't keep to Retry-After.
 */
async function offer(port: number, token: string, perSecond: number, over: () => boolean): Promise<Offered> {
  const offered: Offered = { accepted: new Set(), waits: [], wrong: [], tries: 0, sent: 0, refused: 0, cut: 0, waiting: 0 };
  const shot = newShot('/v1/topics/visits/records', token, records);
  const free = Array.from({ length: CONNECTIONS }, () => newSender(port, { ...shot, bytes: Buffer.from(shot.bytes) }, offered));
  const under = new Set<Promise<void>>();
  const began = performance.now();
  while (!over()) {
    const due = ((performance.now() - began) / 1000) * perSecond;
    for (; offered.tries < due; offered.tries++) {
      const sender = free.shift();
      if (sender === undefined) {
        offered.waiting++;
        continue;
      }
      offered.sent++;
      const sent = sender.send().then(() => {
        free.push(sender);
        under.delete(sent);
      });
      under.add(sent);
    }
    await sleep(5);
  }
  await Promise.all(under);
  for (const sender of free) sender.close();
  return offered;
}

let nextRequest = 0;

function newSender(port: number, shot: Shot, offered: Offered): { send(): Promise<void>; close(): void } {
  let first = -1;
  let socket: Socket | null = null;

  return {
    send: () =>
      new Promise((resolve) => {
        if (first < 0) {
          first = nextRequest;
          nextRequest += PER_REQUEST;
          prepare(shot, first);
        }
        const own = (socket ??= connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1'));
        const sent = performance.now();
        let answer = '';
        const done = () => {
          own.removeAllListeners();
          own.on('error', () => {});
          resolve();
        };
        const hear = (text: string) => {
          answer += text;
          if (!isWhole(answer)) return;
          const status = answer.slice(9, 12);
          if (status === '200') {
            offered.waits.push(performance.now() - sent);
            offered.accepted.add(first);
            first = -1;
          } else if (isRefusal(Number(status), /\r\nretry-after: \d/i.test(answer))) offered.refused++;
          else offered.wrong.push(answer.slice(answer.indexOf('\r\n\r\n') + 4, 200) || answer);
          if (/\r\nconnection: close\r\n/i.test(answer)) leave();
          done();
        };
        const leave = () => {
          socket = null;
          own.destroy();
        };
        own.on('data', hear);
        own.once('error', leave);
        own.once('close', () => {
          socket = null;
          offered.cut++;
          done();
        });
        own.write(shot.bytes);
      }),
    close: () => socket?.destroy(),
  };
}

const isRefusal = (status: number, retryAfter: boolean): boolean => (status === 429 || status === 503) && retryAfter;

/** Each opens again when the program closes it, which it does with those that say nothing for a minute. */
function keepIdle(port: number): { open(): number; stop(): void } {
  const open = new Set<Socket>();
  let stopped = false;
  const one = () => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.write('GET /health HTTP/1.1\r\nHost: bench\r\n\r\n'));
    socket.once('data', () => open.add(socket));
    socket.on('error', () => {});
    socket.once('close', () => {
      open.delete(socket);
      if (!stopped) one();
    });
  };
  for (let k = 0; k < IDLE; k++) one();
  return {
    open: () => open.size,
    stop() {
      stopped = true;
      for (const socket of open) socket.destroy();
    },
  };
}

/** Asks for a result and reads 4 kB of it a second. */
function readSlowly(to: Running, sql: string): { reading(): boolean; stop(): void } {
  const body = JSON.stringify({ sql, limits: { rows: 1_000_000 } });
  const request = `POST /v1/query HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${to.token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  let socket: Socket;
  let got = '';
  let stopped = false;
  const begin = () => {
    got = '';
    socket = connect(Number(new URL(to.address).port), '127.0.0.1');
    socket.once('connect', () => socket.write(request));
    socket.on('error', () => {});
    socket.once('close', () => {
      // Refused for now.
      if (!stopped && !got.startsWith('HTTP/1.1 200')) setTimeout(begin, 1000);
    });
  };
  begin();
  const timer = setInterval(() => {
    const piece = socket.read(4096) ?? socket.read();
    if (piece !== null && got.length < 1000) got += (piece as Buffer).toString('latin1');
    if (/^HTTP\/1.1 (429|503)/.test(got)) socket.destroy();
  }, 1000);
  return {
    reading: () => got.startsWith('HTTP/1.1 200') && !socket.destroyed,
    stop() {
      stopped = true;
      clearInterval(timer);
      socket.destroy();
    },
  };
}

interface Asked {
  readonly waits: number[];
  readonly wrong: string[];
  refused: number;
}

async function askSmall(to: Running, asked: Asked): Promise<boolean> {
  const k = Math.floor(asked.waits.length % 1000);
  const at = performance.now();
  const answer = await ask(to, 'POST', '/v1/query', JSON.stringify({ sql: `SELECT v, w FROM main.heap WHERE k = ${k}` })).catch(
    (cause: Error) => ({ status: 0, text: cause.message, retryAfter: false }),
  );
  if (answer.status === 200) asked.waits.push(performance.now() - at);
  else if (isRefusal(answer.status, answer.retryAfter)) asked.refused++;
  else asked.wrong.push(answer.text);
  return answer.status === 200;
}

/** One after another; who is refused waits as long as he was told. */
async function askMany(to: Running, over: () => boolean, asked: Asked): Promise<void> {
  while (!over()) if (!(await askSmall(to, asked))) await sleep(1000);
}

/** All at the same moment. */
async function burst(to: Running, at: number, asked: Asked): Promise<void> {
  await sleep(at - performance.now());
  await Promise.all(Array.from({ length: BURST }, () => askSmall(to, asked)));
}

async function askAgain(to: Running, sql: string, over: () => boolean): Promise<void> {
  while (!over()) {
    const { status } = await ask(to, 'POST', '/v1/query', JSON.stringify({ sql, limits: { seconds: 60 } })).catch(() => ({ status: 0 }));
    if (status !== 200) await sleep(100);
  }
}

/** A load that the machine takes easily, while what was too much before is still being delivered. */
async function asUsual(to: Running, editor: Running, seconds: number): Promise<{ ack: number; small: number }> {
  await untilReady(to);
  await sleep(1000);
  let n = 0;
  const sending = pace(to, 20, () => {
    const body = JSON.stringify({ event_id: `after-${n++}`, at: new Date().toISOString(), page: '/' });
    return { path: '/v1/topics/warm/records', body, records: 1, note: null };
  });
  const asked: Asked = { waits: [], refused: 0, wrong: [] };
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(20)) await askSmall(editor, asked);
  await sending.stop();
  if (sending.refused > 0 || asked.refused > 0 || asked.wrong.length > 0) return { ack: Number.NaN, small: Number.NaN };
  return {
    ack: sending.wait(0.99),
    small: quantile(
      asked.waits.sort((a, b) => a - b),
      0.99,
    ),
  };
}

/** By request: how many records, and that they are the ones that were sent, by their sum and the sum of their squares. */
async function compare(to: Running, accepted: ReadonlySet<number>): Promise<{ lost: number; doubled: number }> {
  const found = new Map<number, number>();
  let doubled = 0;
  const k = `(CAST(substr(_id, 3) AS BIGINT) % ${PER_REQUEST})`;
  const rows = await query(
    to,
    `SELECT CAST(substr(_id, 3) AS BIGINT) // ${PER_REQUEST} AS request, count(*), sum(${k}), sum(${k} * ${k}) FROM raw.visits GROUP BY request`,
  );
  const n = PER_REQUEST - 1;
  const sums = [(n * (n + 1)) / 2, (n * (n + 1) * (2 * n + 1)) / 6];
  for (const [request, count, ...found_] of rows.map((row) => row.map(Number)) as [number, number, number, number][]) {
    found.set(request * PER_REQUEST, count);
    if (count > PER_REQUEST) doubled += count - PER_REQUEST;
    else if (count === PER_REQUEST && found_.some((sum, at) => sum !== sums[at])) doubled++;
  }
  let lost = 0;
  for (const first of accepted) lost += Math.max(0, PER_REQUEST - (found.get(first) ?? 0));
  return { lost, doubled };
}

function watchPeak(pid: number): { stop(): number } {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(
      peak,
      processTree(pid).reduce((sum, each) => sum + residentBytes(each), 0),
    );
  }, 20);
  return {
    stop() {
      clearInterval(timer);
      return peak;
    },
  };
}

async function asRole(to: Running, role: 'editor' | 'viewer'): Promise<Running> {
  const { text } = await ask(to, 'POST', '/v1/tokens', JSON.stringify({ name: role, role }));
  return { ...to, token: (JSON.parse(text) as { token: string }).token };
}

function countsOf(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const each of texts) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}

await main();
