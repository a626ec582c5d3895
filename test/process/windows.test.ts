import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Topic } from '#core';
import { openViews, type Sent, shuffled, type Views } from './views-fixture.ts';

const folder = join(import.meta.dirname, 'windows');
/** Of each kind of window the field has a file: the view, and the same question asked in batch by other means. */
const cases = readdirSync(folder).map((file) => {
  const [definition, batch] = readFileSync(join(folder, file), 'utf8').split('-- BATCH') as [string, string];
  return { name: file.replace('.sql', ''), definition: definition.replace(/;\s*$/, ''), batch };
});

const topic: Topic = {
  name: 'visits',
  title: '',
  fields: [
    { name: 'usr', type: 'text', required: false },
    { name: 'page', type: 'text', required: false },
    { name: 'amount', type: 'decimal(18,2)', required: false },
    { name: 'ts', type: 'timestamp', required: false },
  ],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};

/** Three days of six visitors and one without a name: bursts with pauses, many of one moment, and one who never pauses. */
const visits: readonly Sent[] = Array.from({ length: 1500 }, (_, k) => {
  const mixed = (of: number, salt: number) => (Math.imul(k * 2654435761 + salt, 1597334677) >>> 7) % of;
  const usr = k % 5 === 0 ? 'tireless' : [null, 'a', 'b', 'c', 'd', 'e'][mixed(6, 1)]!;
  const minute = usr === 'tireless' ? k * 0.75 : Math.floor(mixed(72, 2) * 60 + mixed(25, 3) * 1.5);
  const millis = Date.parse('2026-03-01T00:00:00Z') + minute * 60_000;
  const amount = ((mixed(30, 4) * 25 + 5) / 100).toFixed(2);
  const id = `v${String(k).padStart(4, '0')}`;
  return { id, micros: millis * 1000, json: { id, usr, page: `/${'pqrst'[mixed(5, 5)]}`, amount, ts: new Date(millis).toISOString() } };
});

const price = (batch: number, page: string, hour: number, cents: number) =>
  `INSERT INTO main.prices VALUES ('${page}', TIMESTAMPTZ '2026-03-01 00:00:00Z' + INTERVAL ${hour} HOUR, ${cents} / 100.0, ${batch})`;
const gone = (batch: number, where: string) => [
  `INSERT INTO change."main.prices" SELECT * EXCLUDE (_batch), ${batch} FROM main.prices WHERE ${where}`,
  `DELETE FROM main.prices WHERE ${where}`,
];

async function withPrices(): Promise<Views> {
  const views = await openViews();
  await views.transfer('main.prices', (batch) => [
    'CREATE TABLE main.prices (page VARCHAR, since TIMESTAMPTZ, price DECIMAL(18,2), _batch BIGINT)',
    'CREATE TABLE change."main.prices" AS FROM main.prices LIMIT 0',
    price(batch, '/p', 0, 100),
    price(batch, '/q', 30, 250),
  ]);
  return views;
}

async function define(views: Views): Promise<void> {
  for (const { definition } of cases) await views.sql(definition.replace(/ AS\n/, ` OPTIONS (refresh = '100 milliseconds') AS\n`));
}

/** The prices change once more while the stream runs: a new one, one that was backdated, one that is taken back. */
const repriced = (views: Views) =>
  views.transfer('main.prices', (batch) => [
    price(batch, '/p', 40, 120),
    price(batch, '/r', 2, 75),
    ...gone(batch, "page = '/q'"),
    price(batch, '/q', 10, 260),
  ]);

const runs: readonly { readonly how: string; run(views: Views): Promise<void> }[] = [
  {
    how: 'over a stream in order',
    async run(views) {
      const inOrder = [...visits].sort((a, b) => a.micros - b.micros);
      await views.send(topic, inOrder.slice(0, 300));
      await define(views);
      for (let k = 300; k < inOrder.length; k += 300) {
        await views.send(topic, inOrder.slice(k, k + 300));
        if (k === 600) await repriced(views);
        await views.settle();
      }
    },
  },
  {
    how: 'over rows that come late, shuffled and twice, through a new start',
    async run(views) {
      const stream = shuffled(visits, 5);
      const parts = [0, 1, 2, 3, 4].map((k) => [...stream.slice(k * 300, (k + 1) * 300), ...stream.slice(0, k * 40)]);
      await views.send(topic, parts[0]!);
      await define(views);
      for (const [k, part] of parts.slice(1).entries()) {
        await views.send(topic, shuffled(part, k));
        if (k === 1) await repriced(views);
        // Once right away, in the middle of what is due, and once when all is fresh.
        if (k === 2) await views.settle();
        await views.reopen();
        assert.deepEqual(await views.keeper.define(), []);
      }
      await views.settle();
    },
  },
];

for (const { how, run } of runs) {
  describe(`windows ${how}`, async () => {
    const views = await withPrices();
    await run(views);
    after(() => views.close());

    test('are kept by partition, and none fails', () => {
      assert.deepEqual(views.problems, []);
      assert.equal(views.keeper.states().length, cases.length);
      for (const view of views.keeper.states()) assert.deepEqual([view.mode, view.reasons], ['partitions', []], view.name);
    });

    for (const { name, batch } of cases)
      test(`${name}: the view equals the batch`, async () => {
        const kept = await views.rows(`FROM windows.${name}`);
        assert.ok(kept.length >= 7, `${kept.length} rows`);
        assert.deepEqual(kept, await views.rows(batch));
      });
  });
}
