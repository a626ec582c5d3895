import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openWarehouse, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
beforeEach(async () => {
  await warehouse?.close();
  warehouse = await openWarehouse();
  warehouse.definitions.journeys.set(
    'shop',
    'steps:\n  - { name: home, event: page_view, where: { page: / }, next: [list] }\n  - { name: list, event: page_view, where: { page: /a }, next: [(end)] }\n',
  );
});
after(() => warehouse.close());

/** A page view a minute: visitor, session (or null), page. */
const put = (views: readonly (readonly [string, number | null, string])[]) =>
  warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT 'page_view' AS event, v AS user_pseudo_id, CAST(s AS BIGINT) AS session_id, page, TIMESTAMPTZ '2026-01-10 10:00:00Z' + to_minutes(m) AS time
     FROM (VALUES ${views.map(([visitor, session, page], at) => `('${visitor}', ${session ?? 'NULL'}, '${page}', ${at})`).join(', ')}) AS e(v, s, page, m)`,
  );

test('events without a session are of none: paths, journeys and funnels set them aside and count them', async () => {
  await put([
    ['a', 1, '/'],
    ['b', null, '/'],
    ['a', 1, '/a'],
    ['c', null, '/a'],
    ['d', null, '/b'],
  ]);
  const set = 'set aside: events without a session';
  const paths = await warehouse.run('paths', { events: 'main.events' });
  assert.deepEqual(
    paths.rows.map((row) => [row['step'], row['source'], row['target'], row['sessions']]),
    [
      [1, '/', '/a', 1],
      [2, '/a', '(end)', 1],
    ],
  );
  assert.deepEqual([paths.facts['sessions'], paths.facts[set]], ['1', '3']);
  const journey = await warehouse.run('journey', { events: 'main.events', journey: 'shop' });
  assert.deepEqual(journey.rows.map((row) => [row['source'], row['target'], row['sessions']]).sort(), [
    ['(start)', 'home', 1],
    ['home', 'list', 1],
    ['list', '(end)', 1],
  ]);
  assert.deepEqual([journey.facts['sessions with a step'], journey.facts[set]], ['1 of 1', '3']);
  const steps = 'page_view:page=/,page_view:page=/a';
  const funnel = await warehouse.run('funnel', { events: 'main.events', steps, unit: 'session' });
  assert.deepEqual([funnel.rows.map((row) => row['entered']), funnel.facts[set]], [[1, 1], '3']);
  // Visitors need no session.
  const visitors = await warehouse.run('funnel', { events: 'main.events', steps });
  assert.deepEqual([visitors.rows.map((row) => row['entered']), visitors.facts[set]], [[2, 1], undefined]);
});

test('a session is one visitor’s: ids that two visitors share, as GA4’s seconds are, are two sessions', async () => {
  await put([
    ['a', 1, '/'],
    ['b', 1, '/a'],
    ['a', 1, '/b'],
    ['b', 1, '/'],
  ]);
  const { rows, facts } = await warehouse.run('paths', { events: 'main.events' });
  assert.deepEqual(
    rows.map((row) => [row['step'], row['source'], row['target']]),
    [
      [1, '/', '/b'],
      [1, '/a', '/'],
      [2, '/', '(end)'],
      [2, '/b', '(end)'],
    ],
  );
  assert.equal(facts['sessions'], '2');
  const journey = await warehouse.run('journey', { events: 'main.events', journey: 'shop' });
  assert.deepEqual(
    journey.rows.filter((row) => row['source'] === '(start)').map((row) => [row['target'], row['examples']]),
    [
      ['list', ['b/1']],
      ['home', ['a/1']],
    ],
  );
  // A click in the one's session earns nothing of the other's order.
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT * FROM (VALUES ('select_promotion', 'a', 1, TIMESTAMPTZ '2026-01-10 10:00:00Z', 'top', NULL, NULL), ('purchase', 'b', 1, TIMESTAMPTZ '2026-01-10 10:01:00Z', NULL, 'o1', 9.5))
     AS e(event, user_pseudo_id, session_id, time, placement, order_id, value)`,
  );
  const ledger = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0 });
  assert.deepEqual(
    ledger.rows.map((row) => [row['placement'], Number(row['last_click'])]),
    [
      ['top', 0],
      [null, 9.5],
    ],
  );
});

test('an event is of the member whom it names; a browser that two members used is said', async () => {
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT event, v AS user_pseudo_id, m AS user_id, TIMESTAMPTZ '2026-01-10 10:00:00Z' + to_minutes(n) AS time
     FROM (VALUES ('view', 'tablet', 'mum', 0), ('buy', 'tablet', 'mum', 1), ('view', 'tablet', 'dad', 2), ('buy', 'phone', 'dad', 3), ('view', 'phone', NULL, 4), ('view', 'tv', NULL, 5)) AS e(event, v, m, n)`,
  );
  const { rows, facts } = await warehouse.run('funnel', { events: 'main.events', steps: 'view,buy' });
  // Mum on the tablet, dad on the tablet and then on his phone, and the television, which bought nothing.
  assert.deepEqual(
    rows.map((row) => row['entered']),
    [3, 2],
  );
  assert.equal(facts['caveat: browsers of several members, whose events without a member are taken as one of them’s'], '1');
});
