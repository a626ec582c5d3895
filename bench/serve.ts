/** Predictions of 200 trees on adult-census: over HTTP one row at 500/s and in batches, and ML.PREDICT in SQL beside reading the same rows without it. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { DATA, withoutData } from '../test/models/fixture.ts';
import { ask, buildProgram, newWorkspace, query, type Running, startProgram, untilReady } from './program.ts';
import { report } from './report.ts';

const RATE = 500;
const BATCH = 1000;
const COPIES = 10;
const NAMES = 'age,workclass,fnlwgt,education,education_num,marital,occupation,relationship,race,sex,gain,loss,hours,country,income';

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const home = buildProgram();
  const program = await startProgram({ home, workspace: newWorkspace(home, {}) });
  try {
    await untilReady(program.running);
    const { running } = program;
    const rows = await prepare(running);
    await singles(running, rows, 1);
    const single = await singles(running, rows, quick ? 2 : 10);
    const before = cpuSeconds(running.pid);
    const batch = await batches(running, rows, quick ? 2 : 8);
    const spent = cpuSeconds(running.pid) - before;
    const predicted = await fastest(
      running,
      'SELECT sum(predicted_income_probs[2].prob) AS s FROM ML.PREDICT(MODEL income, TABLE many)',
      quick ? 1 : 3,
    );
    const read = await fastest(
      running,
      `SELECT ${NAMES.split(',')
        .map((name) => `count("${name}")`)
        .join(', ')} FROM many`,
      quick ? 1 : 3,
    );
    const total = rows.length * COPIES;
    report({
      bench: 'serve',
      figures: {
        single_p50: { value: single.p50, unit: 'ms', title: `one row over HTTP at ${RATE}/s, p50` },
        single_p99: { value: single.p99, unit: 'ms', title: `one row over HTTP at ${RATE}/s, p99` },
        batch: { value: batch.perSecond, unit: 'rows/s', title: `batches of ${BATCH} over HTTP, two connections` },
        batch_cpu: { value: batch.rows / spent, unit: 'rows/s', title: 'the same for each second of the front’s CPU' },
        sql: { value: total / predicted, unit: 'rows/s', title: `ML.PREDICT in SQL on ${total.toLocaleString('en-US')} rows` },
        sql_to_reading: { value: predicted / read, title: 'times as long as reading the same columns' },
      },
      goals: [
        { figure: 'single_p99', at: 'most', value: 5 },
        { figure: 'batch', at: 'least', value: 100_000 },
        { figure: 'sql', at: 'least', value: 300_000 },
      ],
    });
  } finally {
    await program.stop();
  }
}

/** Loads adult-census, trains on it and multiplies it; its rows as JSON objects. */
async function prepare(running: Running): Promise<string[]> {
  const csv = gunzipSync(readFileSync(join(DATA, 'adult-census/adult-train.csv.gz'))).toString();
  const lines = csv.split('\n').filter((line) => line.includes(','));
  const clean = `${NAMES}\n${lines.map((line) => line.replaceAll(/, */g, ',').replaceAll('?', '')).join('\n')}\n`;
  const loaded = await ask(running, 'POST', '/v1/load/adult?format=csv&mode=replace', clean);
  if (loaded.status !== 200) throw new Error(loaded.text);
  await query(
    running,
    `CREATE MODEL income OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 200, input_label_cols = ['income']) AS SELECT * FROM adult`,
  );
  await query(running, `CREATE TABLE many AS SELECT adult.* FROM adult, range(${COPIES})`);
  const names = NAMES.split(',');
  return lines.map((line) => {
    const cells = line.split(/, */).map((cell) => cell.trim());
    return JSON.stringify(
      Object.fromEntries(
        names.slice(0, -1).map((name, k) => [name, cells[k] === '?' ? null : Number.isNaN(Number(cells[k])) ? cells[k] : Number(cells[k])]),
      ),
    );
  });
}

const agent = new Agent({ keepAlive: true });

function predict(running: Running, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${running.token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(`${running.address}/v1/models/income/predict`, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${answer.statusCode}`))));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** Open loop: each request has its time, and waiting for it counts from then, so that a stall is not left out of the figures. */
async function singles(running: Running, rows: readonly string[], seconds: number): Promise<{ p50: number; p99: number }> {
  const waits: number[] = [];
  const under: Promise<void>[] = [];
  const began = performance.now();
  for (let n = 0; n < RATE * seconds; n++) {
    const due = began + (n * 1000) / RATE;
    // A timer's parts of a ms are cut off: none is sent before it is due.
    await sleep(Math.max(0, Math.ceil(due - performance.now())));
    under.push(predict(running, `{"rows":[${rows[n % rows.length]}]}`).then(() => void waits.push(performance.now() - due)));
  }
  await Promise.all(under);
  waits.sort((a, b) => a - b);
  return { p50: waits[waits.length >> 1]!, p99: waits[Math.floor(waits.length * 0.99)]! };
}

async function batches(running: Running, rows: readonly string[], seconds: number): Promise<{ rows: number; perSecond: number }> {
  const bodies = Array.from(
    { length: Math.floor(rows.length / BATCH) },
    (_, n) => `{"rows":[${rows.slice(n * BATCH, (n + 1) * BATCH).join(',')}]}`,
  );
  let done = 0;
  const began = performance.now();
  const one = async (offset: number) => {
    for (let n = offset; performance.now() - began < seconds * 1000; n++) {
      await predict(running, bodies[n % bodies.length]!);
      done += BATCH;
    }
  };
  await Promise.all([one(0), one(7)]);
  return { rows: done, perSecond: (done * 1000) / (performance.now() - began) };
}

/** What the process has used, by the kernel's count of hundredths: on a busy machine the wall clock says more of the others. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Seconds of the fastest run. */
async function fastest(running: Running, sql: string, runs: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    await query(running, sql);
    best = Math.min(best, (performance.now() - began) / 1000);
  }
  return best;
}

if (withoutData) process.stderr.write(`bench serve: ${withoutData}\n`);
else await main();
