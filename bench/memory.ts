// Twelve hostile queries and slow readers against a running program that takes records: is --memory kept by all processes together, do
// acknowledgements stay quick, is nothing lost?
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pace } from './pace.ts';
import { ask, buildProgram, newWorkspace, processTree, query, residentBytes, startProgram, untilDelivered, untilReady } from './program.ts';
import { report } from './report.ts';

/** What a new workspace says. */
const MEMORY = 1_000_000_000;
const topic = 'id: event_id\ntime: at\nfields:\n  event_id: text\n  at: timestamp\n  page: text\n';
const hostile = [
  'SELECT k, approx_quantile(v, 0.5) FROM main.heap GROUP BY k',
  'SELECT k % 1500000 AS g, approx_quantile(v, [0.1, 0.5, 0.9]) FROM main.heap GROUP BY g',
  'SELECT list(w) FROM main.heap',
  'SELECT k % 1000 AS g, list(w ORDER BY v) FROM main.heap GROUP BY g',
  "SELECT string_agg(w, ',') FROM main.heap",
  "SELECT k % 7 AS g, string_agg(w || w || w, ',' ORDER BY v) FROM main.heap GROUP BY g",
  'SELECT * FROM main.heap ORDER BY w DESC, v',
  'SELECT k, row_number() OVER (PARTITION BY k % 3 ORDER BY w), quantile_cont(v, 0.9) OVER (PARTITION BY k % 5) FROM main.heap',
  'SELECT a.k, b.k, a.w || b.w AS w FROM main.heap a CROSS JOIN main.heap b ORDER BY w LIMIT 900000',
  'SELECT count(DISTINCT a.w || b.w) FROM main.heap a JOIN main.heap b ON a.k % 1000 = b.k % 1000',
  'SELECT histogram(w) FROM main.heap',
  'SELECT k, mode(w), median(v), mad(v) FROM main.heap GROUP BY k',
];

/** Ends that the contract knows: its memory, its time, and the warehouse's end. */
const STOPS: readonly string[] = ['QUERY_MEMORY', 'QUERY_TIMEOUT', 'STORE_UNAVAILABLE', 'QUERY_ROOM'];

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const seconds = quick ? 40 : 300;
  const home = buildProgram();
  const workspace = newWorkspace(home, { visits: topic });
  const { running, child, lines, stop } = await startProgram({ home, workspace });
  await untilReady(running);
  const rows = quick ? 1_500_000 : 3_000_000;
  await query(running, `CREATE TABLE main.heap AS SELECT k, random() AS v, md5(k::VARCHAR) AS w FROM range(${rows}) t(k)`);

  let peak = 0;
  const watching = setInterval(() => {
    peak = Math.max(
      peak,
      processTree(child.pid!).reduce((sum, pid) => sum + residentBytes(pid), 0),
    );
  }, 10);
  let n = 0;
  const sending = pace(running, 50, () => {
    const at = new Date().toISOString();
    const body = JSON.stringify(Array.from({ length: 40 }, () => ({ event_id: `e-${n++}`, at, page: '/shop/cups' })));
    return { path: '/v1/topics/visits/records', body, records: 40, note: null };
  });
  const outcomes = hostile.map(() => new Map<string, number>());
  const until = performance.now() + seconds * 1000;
  const clients = Array.from({ length: 3 }, (_, client) => askOn(running, client * 4, until, outcomes));
  const slow = Array.from({ length: 4 }, () => slowReader(running));
  await Promise.all(clients);
  const held = slow.map((each) => each.end());
  await sending.stop();
  clearInterval(watching);
  await untilReady(running);
  await untilDelivered(running);
  const [[stored]] = (await query(running, 'SELECT count(*) FROM raw.visits')) as [[number]];
  await stop();
  if (process.argv.includes('--verbose')) {
    const counts = outcomes.map((each, k) => `${hostile[k]}: ${[...each].map(([code, count]) => `${code} ${count}`).join(', ')}`);
    process.stderr.write(`${[...counts, ...lines.slice(-40)].join('\n')}\n`);
  }
  const answered = outcomes.map((each) => each.get('answered') ?? 0);
  const stopped = outcomes.map((each) => STOPS.reduce((sum, code) => sum + (each.get(code) ?? 0), 0));
  const others = outcomes.flatMap((each) => [...each].filter(([code]) => code !== 'answered' && !STOPS.includes(code)));
  for (const [code, count] of others) process.stderr.write(`${count} × ${code}\n`);

  report({
    bench: 'memory',
    figures: {
      peak: { title: 'peak of all processes, of --memory', value: peak / MEMORY },
      ack_p50: { title: 'acknowledgement p50', unit: 'ms', value: sending.wait(0.5) },
      ack_p99: { title: 'acknowledgement p99', unit: 'ms', value: sending.wait(0.99) },
      ack_longest: { title: '  longest', unit: 'ms', value: sending.wait(1) },
      accepted: { title: 'records acknowledged', value: sending.accepted },
      refused: { title: 'requests refused or cut', value: sending.refused },
      lost: { title: 'records lost or doubled', value: Math.abs(sending.accepted - Number(stored)) },
      tried: {
        title: 'of the twelve hostile queries, answered or stopped at least once',
        value: hostile.filter((_, k) => answered[k]! + stopped[k]! > 0).length,
      },
      answered: { title: '  times answered', value: sumOf(answered) },
      stopped: { title: '  times stopped', value: sumOf(stopped) },
      others: { title: '  other ends', value: sumOf(others.map(([, count]) => count)) },
      held: { title: 'time in which results waited for slow readers, mean share', value: held.reduce((a, b) => a + b, 0) / held.length },
      restarts: { title: 'restarts of the warehouse', value: lines.filter((line) => line.includes('memory.restart')).length },
    },
    goals: [
      { figure: 'peak', at: 'most', value: 1.1 },
      { figure: 'ack_p99', at: 'most', value: 50 },
      { figure: 'lost', at: 'most', value: 0 },
      { figure: 'refused', at: 'most', value: 0 },
      { figure: 'tried', at: 'least', value: hostile.length },
      { figure: 'others', at: 'most', value: 0 },
    ],
  });
}

type To = Parameters<typeof ask>[0];

/** So soon a question is told that there is no warehouse to run it: it was not tried. */
const AT_ONCE = 100;

/** One after another, from the `first` on. Each ends by itself, by its time limit, or is stopped; one that finds no warehouse is asked again. */
async function askOn(to: To, first: number, until: number, outcomes: readonly Map<string, number>[]): Promise<void> {
  for (let k = first; performance.now() < until; ) {
    const at = k % hostile.length;
    const asked = performance.now();
    const body = JSON.stringify({ sql: hostile[at]!, limits: { seconds: 30, rows: 1000 } });
    const { status, text } = await ask(to, 'POST', '/v1/query', body).catch(() => ({ status: 0, text: '' }));
    const outcome = status === 200 ? 'answered' : (/"code":"(\w+)"/.exec(text)?.[1] ?? `status ${status}`);
    if (status !== 200) await sleep(50);
    if (outcome === 'STORE_UNAVAILABLE' && performance.now() - asked < AT_ONCE + 50) continue;
    outcomes[at]!.set(outcome, (outcomes[at]!.get(outcome) ?? 0) + 1);
    k++;
  }
}

/**
 * Asks for a large result until it gets one, and reads no more than its head; when that is lost with the warehouse, again. `held` is the
 * share of the time in which a result waited for it.
 */
function slowReader(to: To): { end(): number } {
  const body = JSON.stringify({ sql: 'SELECT * FROM main.heap', limits: { rows: 1_000_000 } });
  const head = `POST /v1/query HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${to.token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const began = performance.now();
  let held = 0;
  let since: number | null = null;
  let over = false;
  let socket: ReturnType<typeof connect>;
  const lost = () => {
    if (since !== null) held += performance.now() - since;
    since = null;
  };
  const begin = () => {
    socket = connect(Number(new URL(to.address).port), '127.0.0.1', () => socket.write(head + body));
    socket.once('data', (first: Buffer) => {
      if (!first.toString('latin1').startsWith('HTTP/1.1 200')) return void socket.destroy();
      socket.pause();
      since = performance.now();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      lost();
      if (!over) setTimeout(begin, 500);
    });
  };
  begin();
  return {
    end() {
      over = true;
      lost();
      socket.destroy();
      return held / (performance.now() - began);
    },
  };
}

await main();
