import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { parseTopic } from '#workspace';
import { openViews, type Sent, type Views } from './views-fixture.ts';

const topic = parseTopic('clicks', 'time: { field: ts, unit: iso }\nid: id\nfields:\n  page: { type: text }\n', 'topics/clicks.yaml');
const START = Date.UTC(2026, 0, 1);
const LATENESS_MINUTES = 10;

interface Click {
  readonly minute: number;
  readonly page: string;
}

const QUERY = `SELECT date_trunc('minute', _time) AS minute, page, count(*) AS n FROM raw.clicks GROUP BY 1, 2`;
const define = (name: string, options: string) =>
  `CREATE OR REPLACE MATERIALIZED VIEW mart.${name} PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '100 milliseconds'${options}) AS ${QUERY}`;

/** What the rule says, in plain words: a click is late if its minute ended more than the lateness before the newest click of an earlier delivery. */
function byTheRule(batches: readonly (readonly Click[])[]): { onTime: Map<string, number>; late: number } {
  const onTime = new Map<string, number>();
  let late = 0;
  let newest = Number.NEGATIVE_INFINITY;
  for (const batch of batches) {
    for (const { minute, page } of batch) {
      if (minute + 1 + LATENESS_MINUTES <= newest) late++;
      else onTime.set(`${minute} ${page}`, (onTime.get(`${minute} ${page}`) ?? 0) + 1);
    }
    newest = Math.max(newest, ...batch.map(({ minute }) => minute));
  }
  return { onTime, late };
}

const click = fc.record({ minute: fc.nat(60), page: fc.constantFrom('a', 'b') });
const stream = fc.array(fc.array(click, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 6 });

describe('lateness', () => {
  let views: Views;
  let sent = 0;
  before(async () => {
    views = await openViews();
    await views.store.prepare([topic]);
  });
  after(() => views.close());

  const send = (batch: readonly Click[]) =>
    views.send(
      topic,
      batch.map(({ minute, page }): Sent => {
        const id = `c${++sent}`;
        const time = START + minute * 60_000;
        return { id, micros: time * 1000, json: { id, page, ts: new Date(time).toISOString() } };
      }),
    );

  async function counts(name: string): Promise<Map<string, number>> {
    const rows = await views.store.rows(`SELECT (epoch_ms(minute) - ${START}) // 60000 AS m, page, n FROM mart.${name}`);
    return new Map(rows.map(({ m, page, n }) => [`${m} ${page}`, Number(n)]));
  }

  async function anew(): Promise<void> {
    await views.store.write(async (tx) => {
      await tx.run('DELETE FROM raw.clicks');
      tx.changed({ kind: 'statement', target: 'raw.clicks', rows: 0 });
    });
    await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.frozen');
    await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.open');
    await views.sql(define('frozen', `, lateness = '${LATENESS_MINUTES} minutes'`));
    await views.sql(define('open', ''));
  }

  test('freezes a partition once the newest time seen before is past it: on-time rows and late rows are all rows, and none stands in both', async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (batches) => {
        await anew();
        for (const batch of batches) {
          await send(batch);
          await views.settle();
        }
        const { onTime, late } = byTheRule(batches);
        assert.deepEqual(views.problems, []);
        assert.deepEqual(new Map([...(await counts('frozen'))].sort()), new Map([...onTime].sort()));
        const [row] = await views.store.rows(
          `SELECT count(*) AS n, count(DISTINCT row->>'_id') AS ids FROM millrace.late WHERE view = 'mart.frozen'`,
        );
        assert.deepEqual([Number(row!['n']), Number(row!['ids'])], [late, late]);
        const state = views.keeper.states().find(({ name }) => name === 'mart.frozen');
        assert.equal(state?.late?.rows, late);
        const [batch] = await views.store.rows('SELECT coalesce(sum(n), 0)::BIGINT AS n FROM mart.open');
        assert.equal(Number(batch!['n']), batches.flat().length, 'without lateness the stream is the batch');
        assert.equal([...onTime.values()].reduce((sum, n) => sum + n, 0) + late, batches.flat().length);
      }),
      { numRuns: 10 },
    );
  });

  test('leaves a frozen partition as it stands through a refresh of the whole and a new start, and forgets no late row', async () => {
    await anew();
    await send([{ minute: 0, page: 'a' }]);
    await views.settle();
    await send([{ minute: 40, page: 'a' }]);
    await views.settle();
    await send([{ minute: 0, page: 'b' }]);
    await views.settle();
    const frozen = async () => [...(await counts('frozen'))].sort();
    const stood = await frozen();
    assert.deepEqual(stood, [
      ['0 a', 1],
      ['40 a', 1],
    ]);
    await views.sql('REFRESH MATERIALIZED VIEW mart.frozen');
    assert.deepEqual(await frozen(), stood);
    await views.reopen();
    assert.deepEqual(await views.keeper.define(), []);
    await views.settle();
    await send([{ minute: 1, page: 'b' }]);
    await views.settle();
    assert.deepEqual(await frozen(), stood);
    assert.equal(views.keeper.states().find(({ name }) => name === 'mart.frozen')?.late?.rows, 2);
  });

  test('begins anew with another definition: then every row is on time', async () => {
    await views.sql(define('frozen', `, lateness = '11 minutes'`));
    await views.settle();
    assert.deepEqual([...(await counts('frozen'))].sort(), [...(await counts('open'))].sort());
    assert.equal(views.keeper.states().find(({ name }) => name === 'mart.frozen')?.late?.rows, 0);
  });

  test('is refused where nothing says when a partition ends', async () => {
    const cases = [
      `CREATE MATERIALIZED VIEW mart.x PARTITION BY page OPTIONS (lateness = '1 hour') AS SELECT page, count(*) AS n FROM raw.clicks GROUP BY page`,
      `CREATE MATERIALIZED VIEW mart.x OPTIONS (lateness = '1 hour') AS SELECT count(*) AS n FROM raw.clicks`,
      `CREATE MATERIALIZED VIEW mart.x PARTITION BY date_trunc('hour', minute) OPTIONS (lateness = '1 hour') AS SELECT date_trunc('hour', minute) AS hour, sum(n) AS n FROM mart.open GROUP BY 1`,
    ];
    for (const definition of cases) await assert.rejects(views.sql(definition), { code: 'VIEW_OPTION' }, definition);
  });
});
