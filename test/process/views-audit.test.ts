import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseTopic } from '#workspace';
import { openViews, type Views } from './views-fixture.ts';

const topic = parseTopic('sales', 'time: { field: ts, unit: iso }\nid: id\nfields:\n  amount: { type: double }\n', 'topics/sales.yaml');

describe('the auditor', () => {
  let views: Views;
  before(async () => {
    views = await openViews({ random: () => 0.5 });
    const sales = Array.from({ length: 400 }, (_, k) => {
      const time = Date.UTC(2026, 0, 1) + (k % 4) * 60_000;
      return { id: `s${k}`, micros: time * 1000, json: { id: `s${k}`, ts: new Date(time).toISOString(), amount: 0.1 * k } };
    });
    await views.send(topic, sales.slice(0, 200));
    await views.sql(`CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', _time) AS
      SELECT date_trunc('minute', _time) AS minute, count(*) AS n, sum(amount) AS amount FROM raw.sales GROUP BY 1`);
    await views.sql(`CREATE MATERIALIZED VIEW mart.total AS SELECT count(*) AS n FROM raw.sales`);
    await views.send(topic, sales.slice(200));
    await views.settle();
  });
  after(() => views.close());

  const state = (name: string) => views.keeper.states().find((view) => view.name === name);
  const tamper = (statement: string) => views.store.write((tx) => tx.run(statement));
  /** Two rows are drawn of four, from each side: not every draw meets the partition that was tampered with. */
  async function found(name: string): Promise<number> {
    for (let k = 0; k < 20; k++) {
      const audited = await views.keeper.audit(name);
      if (audited!.differences > 0) return audited!.differences;
    }
    return 0;
  }

  test('finds a right view right, whole or by partition', async () => {
    for (const name of ['mart.minutes', 'mart.total']) assert.equal(await found(name), 0, name);
    assert.equal((await views.store.rows('SELECT * FROM millrace.audit')).length, 0);
  });

  const tampered: readonly [string, string, string, number][] = [
    ['a row that was changed', 'mart.minutes', 'UPDATE mart.minutes SET amount = amount + 0.01', 4],
    ['a row that is too much', 'mart.minutes', `INSERT INTO mart.minutes SELECT * FROM mart.minutes`, 1],
    ['rows that are missing', 'mart.minutes', `DELETE FROM mart.minutes`, 1],
    ['a total that is wrong', 'mart.total', 'UPDATE mart.total SET n = n - 1', 2],
  ];
  for (const [what, name, statement, least] of tampered)
    test(`finds ${what} behind its back, keeps both results, and a refresh makes it right`, async () => {
      await tamper(statement);
      const differences = await found(name);
      assert.ok(differences >= least, `${differences}`);
      const [row] = await views.store.rows(
        `SELECT kept, computed, differences FROM millrace.audit WHERE view = '${name}' ORDER BY found DESC LIMIT 1`,
      );
      assert.equal(Number(row!['differences']), differences);
      assert.equal(JSON.parse(String(row!['kept'])).length + JSON.parse(String(row!['computed'])).length, differences);
      assert.ok(state(name)!.audit!.found >= differences);
      assert.equal((views.problems.at(-1) as { code: string }).code, 'VIEW_DIFFERS');
      await views.sql(`REFRESH MATERIALIZED VIEW ${name}`);
      await views.settle();
      assert.equal(await found(name), 0);
      assert.equal(state(name)!.audit!.found, 0);
      const open = await views.store.rows(`SELECT * FROM millrace.audit WHERE view = '${name}' AND mended IS NULL`);
      assert.equal(open.length, 0);
    });

  test('says nothing about a view that is not right up to now', async () => {
    await views.sql('PAUSE MATERIALIZED VIEW mart.total');
    assert.equal(await views.keeper.audit('mart.total'), null);
    await assert.rejects(views.keeper.audit('mart.nothing'), { code: 'VIEW_UNKNOWN' });
  });
});
