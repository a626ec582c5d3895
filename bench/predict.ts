/**
 * Prediction in this process with 200 trees on adult-census (14 columns, 8 of them categories): one row as it comes from JSON, all rows at
 * once, and all rows in two threads, each of which has the model and half of the rows.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type ColumnData, type Model, predict, predictor, train } from '../src/learn/index.ts';
import { unpackForest } from '../src/learn/model.ts';
import { readTable, withoutData } from '../test/learn/data.ts';
import { report } from './report.ts';

const TREES = 200;

if (!isMainThread) {
  const { model, half } = workerData as { model: Model; half: ColumnData[] };
  parentPort!.on('message', () => parentPort!.postMessage(predict(model, half).columns.length));
} else await main();

async function main(): Promise<void> {
  if (withoutData) {
    process.stderr.write(`bench predict: ${withoutData}\n`);
    process.exit(0);
  }

  const quick = process.argv.includes('--quick');
  const names =
    'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(' ');
  const table = readTable('adult-census/adult-train.csv.gz', /, ?/, names);
  // So slow that the last round is still the best one: rounds after the best are dropped.
  const options = { rounds: TREES, patience: 0, maxLeaves: 31, learningRate: 0.02 };
  const model = await train({ target: 'income', learner: 'trees', trees: options }, table);
  const grown = model.learned.kind === 'trees' ? unpackForest(model.learned.forest).roots.length : 0;
  if (grown !== TREES) throw new Error(`the model has ${grown} trees, not ${TREES}`);
  const rows = table[0]!.values.length;
  const answer = predictor(model);
  const named = Array.from({ length: rows }, (_, row) => Object.fromEntries(table.map((c) => [c.name, c.values[row] ?? null])));

  const rounds = quick ? 1 : 5;
  const micros: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const row of named) {
      const began = process.hrtime.bigint();
      answer(row);
      if (round > 0) micros.push(Number(process.hrtime.bigint() - began) / 1000);
    }
  }
  micros.sort((a, b) => a - b);

  let fastest = 0;
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    predict(model, table);
    fastest = Math.max(fastest, (rows / (performance.now() - began)) * 1000);
  }

  const halves = [0, 1].map((side) =>
    table.map((c) => ({ ...c, values: c.values.slice((rows >> 1) * side, side === 0 ? rows >> 1 : rows) }) as ColumnData),
  );
  const threads = halves.map((half) => new Worker(new URL(import.meta.url), { workerData: { model, half } }));
  let together = 0;
  for (let round = 0; round <= rounds * 2; round++) {
    const began = performance.now();
    await Promise.all(
      threads.map((thread) => {
        const done = once(thread, 'message');
        thread.postMessage('again');
        return done;
      }),
    );
    if (round > 0) together = Math.max(together, (rows / (performance.now() - began)) * 1000);
  }
  await Promise.all(threads.map((thread) => thread.terminate()));

  report({
    bench: 'predict',
    figures: {
      p50: { value: micros[micros.length >> 1]!, unit: 'µs', title: 'one row, 200 trees of 31 leaves, median' },
      p99: { value: micros[Math.floor(micros.length * 0.99)]!, unit: 'µs', title: 'one row, 200 trees of 31 leaves, p99' },
      batch: { value: fastest, unit: 'rows/s', title: 'all rows at once, one thread, encoding and labels included' },
      together: { value: together, unit: 'rows/s', title: 'all rows at once, two threads' },
    },
    goals: [
      { figure: 'p50', at: 'most', value: 20 },
      { figure: 'batch', at: 'least', value: 150_000 },
      { figure: 'together', at: 'least', value: 300_000 },
    ],
  });
}
