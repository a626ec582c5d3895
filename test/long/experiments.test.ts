import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openWarehouse, type Warehouse } from '../answers/fixture.ts';

const visitors = 600;
const splits = 200;
const looks = [200, 400, 600];

let warehouse: Warehouse;

/** Visitors of heavy-tailed spending, with a past that goes with it, drawn into A and B by 200 hashes: in none of them anything differs. */
before(async () => {
  warehouse = await openWarehouse();
  const variants = Array.from(
    { length: splits },
    (_, n) => `CASE WHEN hash(hash('u' || u || '/${n}')) % 2 = 0 THEN 'A' ELSE 'B' END AS v${n}`,
  );
  await warehouse.make(
    `CREATE TABLE main.person AS SELECT u, (hash('spends' || u) % 1000 + 0.5) / 1000 AS taste, (hash('luck' || u) % 1000 + 0.5) / 1000 AS luck FROM range(${visitors}) AS r(u)`,
    `CREATE TABLE main.events AS
     SELECT 'seen' AS event, 'u' || u AS user_pseudo_id, TIMESTAMPTZ '2026-01-05 00:00:00Z' + to_minutes(CAST(u * 10 AS INTEGER)) AS time, NULL::VARCHAR AS order_id, NULL::DECIMAL(18,2) AS value, ${variants.join(', ')} FROM main.person
     UNION ALL BY NAME
     SELECT 'purchase' AS event, 'u' || u AS user_pseudo_id, TIMESTAMPTZ '2026-01-05 00:00:00Z' + to_minutes(CAST(u * 10 AS INTEGER)) + to_minutes(CAST(n AS INTEGER)) AS time, 'o' || u || '/' || n AS order_id, CAST(10 * exp(2 * taste + luck) AS DECIMAL(18,2)) AS value
     FROM main.person CROSS JOIN (VALUES (-3), (1), (2)) AS o(n) WHERE taste > 0.5 OR (n = 2 AND luck > 0.4)`,
    ...looks.map(
      (most) => `CREATE TABLE main.look${most} AS SELECT * FROM main.events WHERE CAST(substr(user_pseudo_id, 2) AS INTEGER) < ${most}`,
    ),
  );
});
after(() => warehouse.close());

const define = (split: number, more: string) =>
  warehouse.definitions.experiments.set(
    'own',
    `exposure: seen\nvariant: v${split}\nvariants: { A: 0.5, B: 0.5 }\n${more}metrics:\n  - { name: revenue, kind: revenue, role: primary }\n  - { name: buyers }\n  - { name: order value, kind: ratio, numerator: revenue, denominator: orders }\n`,
  );

test('where nothing differs, final p-values are below 5 % in 5 % of the splits, and any of a family adjusted in no more', async () => {
  const positive = { revenue: 0, buyers: 0, 'order value': 0 };
  let family = 0;
  for (let split = 0; split < splits; split++) {
    define(split, 'to: 2026-01-31\n');
    const { rows } = await warehouse.run('experiment', { events: 'main.events', experiment: 'own' });
    const treated = rows.filter((row) => row['variant'] === 'B');
    for (const row of treated) positive[row['metric'] as keyof typeof positive] += Number(row['p'] < 0.05);
    family += Number(treated.some((row) => row['p_adjusted'] < 0.05));
  }
  const error = Math.sqrt((0.05 * 0.95) / splits);
  for (const [metric, count] of Object.entries(positive))
    assert.ok(Math.abs(count / splits - 0.05) <= 4 * error, `${metric}: ${count} of ${splits}`);
  assert.ok(family / splits <= 0.05 + 4 * error, `family: ${family} of ${splits}`);
});

test('where nothing differs, whoever looks three times while it runs is misled in no more than 5 % of the splits', async () => {
  let misled = 0;
  const tried = splits / 2;
  for (let split = 0; split < tried; split++) {
    define(split, 'planned: 400\nmultiplicity: false\n');
    let excluded = false;
    for (const most of looks) {
      const [row] = await warehouse.ask(
        `SELECT low, high FROM answers.experiment(experiment := 'own', events := 'main.look${most}') WHERE metric = 'revenue' AND variant = 'B'`,
      );
      excluded ||= row!['low'] > 0 || row!['high'] < 0;
    }
    misled += Number(excluded);
  }
  assert.ok(misled / tried <= 0.05 + 2 * Math.sqrt((0.05 * 0.95) / tried), `${misled} of ${tried}`);
});
