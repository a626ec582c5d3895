/** What a refresh costs as the history grows while each touch stays the same: views kept by minute, in buckets, in hopping windows and by local days, one kept by key with a lookback. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeeper } from '#process';
import { readStatement } from '#sql';
import { openStore } from '#store';
import { topics } from '../test/process/nexmark/generator.ts';
import { median } from './load.ts';
import { type Figure, report } from './report.ts';

const quick = process.argv.includes('--quick');
const HISTORY = quick ? [1_000_000, 4_000_000] : [1_000_000, 50_000_000];
const STEP = 1_000_000;
/** New rows of one refresh, all in the newest minute. */
const TOUCH = 4000;
const REFRESHES = quick ? 7 : 25;
/** 4,000 rows a minute of history. */
const MICROS_A_ROW = 15_000;
const START = Date.parse('2026-01-01T00:00:00Z') * 1000;

const HOPS = `[time_bucket(INTERVAL '5 minutes', _time), time_bucket(INTERVAL '5 minutes', _time) - INTERVAL '5 minutes']`;
const VIEWS = [
  `CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '7 days') AS
     SELECT date_trunc('minute', _time) AS minute, auction % 10 AS slot, count(*) AS n, sum(price) AS price FROM raw.bid GROUP BY 1, 2`,
  `CREATE MATERIALIZED VIEW mart.buckets PARTITION BY time_bucket(INTERVAL '10 minutes', _time) OPTIONS (refresh = '7 days') AS
     SELECT time_bucket(INTERVAL '10 minutes', _time) AS began, auction % 10 AS slot, count(*) AS n, sum(price) AS price FROM raw.bid GROUP BY 1, 2`,
  `CREATE MATERIALIZED VIEW mart.hops PARTITION BY unnest(${HOPS}) OPTIONS (refresh = '7 days') AS
     SELECT began, auction % 10 AS slot, count(*) AS n, sum(price) AS price FROM (SELECT unnest(${HOPS}) AS began, auction, price FROM raw.bid) GROUP BY 1, 2`,
  `CREATE MATERIALIZED VIEW mart.hours PARTITION BY date_trunc('hour', _time AT TIME ZONE 'Asia/Seoul') OPTIONS (refresh = '7 days') AS
     SELECT date_trunc('hour', _time AT TIME ZONE 'Asia/Seoul') AS hour, auction % 10 AS slot, count(*) AS n, sum(price) AS price FROM raw.bid GROUP BY 1, 2`,
  `CREATE MATERIALIZED VIEW mart.gaps PARTITION BY bidder OPTIONS (refresh = '7 days', lookback = '10 minutes') AS
     SELECT bidder, _time, _position, coalesce(_time - lag(_time) OVER (PARTITION BY bidder ORDER BY _time, _position) < INTERVAL '10 minutes', false) AS again FROM raw.bid`,
];

const NAMES = ['minutes', 'buckets', 'hops', 'hours', 'gaps'].map((view) => `mart.${view}`);

const figures: Record<string, Figure> = {};
const folder = mkdtempSync(join(tmpdir(), 'millrace-history-'));
const store = await openStore({ dataPath: folder, memory: 2e9, threads: 2 });
const saved = new Map<string, string>();
const keeper = await openKeeper({
  store,
  files: {
    list: () => [...saved].map(([name, text]) => ({ name, file: name, text })),
    save: (name, text) => void saved.set(name, text),
    remove: (name) => void saved.delete(name),
  },
  // A paused view would never be fresh again.
  onProblem(problem) {
    process.stderr.write(`${problem}\n`);
    process.exit(1);
  },
  auditEvery: 0,
});

async function insert(from: number, to: number, time: string): Promise<void> {
  await store.write(async (tx) => {
    await tx.run(`INSERT INTO raw.bid (_position, _batch, _received, _time, _id, auction, bidder, price)
      SELECT i, ${tx.batch}, t, t, 'h' || i, i % 1000, i % 7919, i % 100000 FROM (SELECT i, make_timestamptz((${time})::BIGINT) AS t FROM range(${from}, ${to}) AS r(i))`);
    tx.changed({ kind: 'deliver', target: 'raw.bid', rows: to - from });
  });
}

async function refreshed(view: string): Promise<number> {
  await keeper.settle(600_000);
  return keeper.states().find(({ name }) => name === view)!.last_ms!;
}

try {
  await store.prepare([topics.bid]);
  const reader = await store.reader();
  for (const text of VIEWS) {
    const statement = await readStatement(text, (part) => reader.serialize(part));
    if (statement.kind === 'create_materialized_view') await keeper.create(statement);
  }
  reader.close();
  let rows = 0;
  for (const [k, history] of HISTORY.entries()) {
    const began = performance.now();
    for (; rows < history; rows += STEP) {
      await insert(rows, rows + STEP, `${START} + i * ${MICROS_A_ROW}`);
      await keeper.settle(600_000);
      const seconds = Math.round((performance.now() - began) / 1000);
      if ((rows + STEP) % 5e6 === 0) process.stderr.write(`history of ${(rows + STEP) / 1e6} M rows, all views right: ${seconds} s\n`);
    }
    const newest = START + rows * MICROS_A_ROW;
    const times: Record<string, number[]> = Object.fromEntries(NAMES.map((name) => [name, []]));
    for (let n = 0; n < REFRESHES; n++) {
      const first = 1e9 + k * 1e6 + n * TOUCH;
      await insert(first, first + TOUCH, `${newest} + (i - ${first}) * 100`);
      for (const [view, own] of Object.entries(times)) own.push(await refreshed(view));
    }
    for (const [view, own] of Object.entries(times))
      figures[`${view}_${k}`] = {
        title: `${view}: a refresh for ${TOUCH.toLocaleString('en-US')} new rows of one minute over ${rows.toLocaleString('en-US')} rows`,
        unit: 'ms',
        value: median(own),
      };
  }
  for (const view of NAMES)
    figures[`${view}_ratio`] = {
      title: `${view}: the larger history against the smaller`,
      unit: '×',
      value: figures[`${view}_1`]!.value / figures[`${view}_0`]!.value,
    };
} finally {
  await keeper.stop();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
}
report({
  bench: 'history',
  figures,
  goals: NAMES.map((view) => ({ figure: `${view}_ratio`, at: 'most', value: 1.3 })),
});
