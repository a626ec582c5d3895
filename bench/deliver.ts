// What a delivery costs: processor time a slice, beside DuckDB alone reading, casting and appending the same lines; one topic and many, new records and repeated ones.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Topic } from '#core';
import { openStore } from '#store';
import { parseTopic } from '#workspace';
import { median } from './load.ts';
import { type Figure, report } from './report.ts';

interface Case {
  readonly key: string;
  readonly title: string;
  readonly topics: number;
  /** Of one slice. */
  readonly records: number;
  /** How many of them were delivered before. */
  readonly repeated: number;
}

const cases: readonly Case[] = [
  { key: 'small', title: 'one topic, slices of 200 records', topics: 1, records: 200, repeated: 0 },
  { key: 'large', title: 'one topic, slices of 2,000', topics: 1, records: 2000, repeated: 0 },
  { key: 'repeated', title: 'one topic, slices of 2,000, 20 of them repeated', topics: 1, records: 2000, repeated: 20 },
  { key: 'many', title: '100 topics, slices of 200', topics: 100, records: 200, repeated: 0 },
];
const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 8 : 30;
const MEMORY = 350_000_000;
const yaml =
  'id: event_id\ntime: at\ntype: kind\nfields:\n  event_id: text\n  at: timestamp\n  kind: text\n  page: text\n  amount: decimal(18,2)\n';

/** A slice's lines as they stand in the log, from its topic's position on. */
function linesOf(records: readonly number[], from: number): { lines: Buffer; to: number } {
  let position = from;
  const lines = records.map((n) => {
    const time = START + n * 50;
    const at = new Date(time / 1000).toISOString();
    const json = `{"event_id":"e-${n}","at":"${at}","kind":"kind_${n % 1000}","page":"/shop/cups?size=${n % 977}","amount":${n % 200}.95}`;
    const line = Buffer.from(`${position}\t${time}\t${time}\te-${n}\t0\t\t${json}\n`);
    position += line.length;
    return line;
  });
  return { lines: Buffer.concat(lines), to: position };
}

const START = Date.parse('2026-03-01T00:00:00Z') * 1000;

/** Milliseconds of processor time for one slice, the median of rounds. */
async function cost({ topics, records, repeated }: Case, deliver: (slices: readonly Slice[]) => Promise<void>): Promise<number> {
  const positions = new Array<number>(topics).fill(0);
  let made = 0;
  const costs: number[] = [];
  let before: readonly number[][] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const numbers = positions.map((_, k) => [
      ...(before[k] ?? []).slice(0, repeated),
      ...Array.from({ length: records - (before.length === 0 ? 0 : repeated) }, () => made++),
    ]);
    const slices = numbers.map((own, k): Slice => {
      const from = positions[k]!;
      const { lines, to } = linesOf(own, from);
      positions[k] = to;
      return { k, from, to, lines };
    });
    before = numbers.map((own) => own.slice(repeated));
    const began = process.cpuUsage();
    await deliver(slices);
    const { user, system } = process.cpuUsage(began);
    if (round >= 0) costs.push((user + system) / 1000 / topics);
  }
  return median(costs);
}

interface Slice {
  readonly k: number;
  readonly from: number;
  readonly to: number;
  readonly lines: Buffer;
}

async function ours(given: Case, folder: string): Promise<number> {
  const store = await openStore({ dataPath: folder, memory: MEMORY, threads: 2 });
  const topics = Array.from({ length: given.topics }, (_, k): Topic => parseTopic(`visits_${k}`, yaml, 'topics/visits.yaml'));
  await store.prepare(topics);
  const took = await cost(given, async (slices) => {
    await store.deliver(slices.map(({ k, from, to, lines }) => ({ topic: topics[k]!, from, to, lines: [lines] })));
  });
  await store.close();
  return took;
}

/** Nothing is looked for, nothing is refused, and a value that does not fit is lost. */
async function alone(given: Case, folder: string): Promise<number> {
  const instance = await DuckDBInstance.create(join(folder, 'alone.duckdb'), { threads: '2', memory_limit: `${MEMORY / 1e6}MB` });
  const connection = await instance.connect();
  for (let k = 0; k < given.topics; k++)
    await connection.run(`CREATE TABLE visits_${k} (_position BIGINT, _received TIMESTAMPTZ, _time TIMESTAMPTZ, _id VARCHAR,
      event_id VARCHAR, "at" TIMESTAMPTZ, kind VARCHAR, page VARCHAR, amount DECIMAL(18,2), data VARCHAR)`);
  const shape = JSON.stringify({ event_id: 'VARCHAR', kind: 'VARCHAR', page: 'VARCHAR', amount: 'VARCHAR' });
  const took = await cost(given, async (slices) => {
    await connection.run('BEGIN');
    for (const { k, lines } of slices) {
      const file = join(folder, 'slice.tsv');
      writeFileSync(file, lines);
      await connection.run(`INSERT INTO visits_${k}
        SELECT p, make_timestamptz(r), make_timestamptz(t), i, x.event_id, make_timestamptz(t), x.kind, x.page, TRY_CAST(x.amount AS DECIMAL(18,2)), d
        FROM (SELECT *, json_transform(d, '${shape}') AS x FROM read_csv('${file}', delim = '\t', quote = '', escape = '', header = false, auto_detect = false,
          columns = {'p': 'BIGINT', 'r': 'BIGINT', 't': 'BIGINT', 'i': 'VARCHAR', 'f': 'UTINYINT', 'e': 'VARCHAR', 'd': 'VARCHAR'}))`);
    }
    await connection.run('COMMIT');
  });
  connection.closeSync();
  instance.closeSync();
  return took;
}

const figures: Record<string, Figure> = {};
for (const given of cases) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-deliver-'));
  mkdirSync(join(folder, 'store'));
  try {
    const [own, bare] = [await ours(given, join(folder, 'store')), await alone(given, folder)];
    figures[given.key] = { title: `${given.title}: processor time of one`, unit: 'ms', value: own };
    figures[`${given.key}_beside`] = { title: '  beside DuckDB alone', value: own / bare };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
report({ bench: 'deliver', figures, goals: [] });
