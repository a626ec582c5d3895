/** Prediction in this process with 200 trees on adult-census (14 columns, 8 of them categories): one row as it comes from JSON, and all rows at once. */
import { predict, predictor, train } from '../src/learn/index.ts';
import { readTable, withoutData } from '../test/learn/data.ts';
import { report } from './report.ts';

if (withoutData) {
  process.stderr.write(`bench predict: ${withoutData}\n`);
  process.exit(0);
}

const quick = process.argv.includes('--quick');
const names = 'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(
  ' ',
);
const table = readTable('adult-census/adult-train.csv.gz', /, ?/, names);
const options = { rounds: 200, patience: 0, maxLeaves: 31 };
const model = await train({ target: 'income', learner: 'trees', trees: options }, table);
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

report({
  bench: 'predict',
  figures: {
    p50: { value: micros[micros.length >> 1]!, unit: 'µs', title: 'one row, 200 trees of 31 leaves, median' },
    p99: { value: micros[Math.floor(micros.length * 0.99)]!, unit: 'µs', title: 'one row, 200 trees of 31 leaves, p99' },
    batch: { value: fastest, unit: 'rows/s', title: 'all rows at once, one thread, encoding and labels included' },
  },
  goals: [
    { figure: 'p50', at: 'most', value: 20 },
    { figure: 'batch', at: 'least', value: 150_000 },
  ],
});
