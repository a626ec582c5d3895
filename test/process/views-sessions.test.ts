import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Topic } from '#core';
import { sessionRules, sessionViews } from '#process';
import { openViews, type Sent, shuffled, type Views } from './views-fixture.ts';
import { type Seen, sessionsOf } from './views-sessions-oracle.ts';

const rules = Object.keys(sessionRules) as (keyof typeof sessionRules)[];
const ZONE = 'America/New_York';
const START = Date.parse('2026-03-07T00:00:00Z');

const text = (name: string) => ({ name, type: 'text' as const, required: false });
const topic = (name: string): Topic => ({
  name,
  title: '',
  fields: [
    ...['anon', 'usr', 'event', 'page', 'source', 'medium', 'campaign', 'order_id'].map(text),
    { name: 'value', type: 'decimal(18,2)', required: false },
  ],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
});
const fields = {
  anonymous: 'anon',
  user: 'usr',
  event: 'event',
  page: 'page',
  source: 'source',
  medium: 'medium',
  campaign: 'campaign',
  order: 'order_id',
  revenue: 'value',
};

interface Event {
  readonly id: string;
  readonly minutes: number;
  readonly anon: string | null;
  readonly usr: string | null;
  readonly event: string;
  readonly source: string | null;
  readonly order_id: string | null;
  readonly value: number;
}

const sent = ({ id, minutes, value, order_id, ...rest }: Event): Sent => {
  const millis = START + minutes * 60_000;
  const json = {
    id,
    ts: new Date(millis).toISOString(),
    page: `/${rest.event}`,
    medium: rest.source === null ? null : 'cpc',
    ...rest,
    order_id,
    ...(order_id === null ? {} : { value: (value / 100).toFixed(2) }),
  };
  return { id, micros: millis * 1000, json };
};

/** Around the limits of the rules: half an hour, midnight, a day; and streams of events that never pause for half an hour. */
const events = fc
  .array(
    fc.record({
      step: fc.constantFrom(0, 1, 10, 29.5, 30, 30.5, 600, 1430),
      anon: fc.constantFrom('a1', 'a2', 'a3', null),
      usr: fc.constantFrom(null, null, null, 'u1', 'u2'),
      event: fc.constantFrom('page_view', 'purchase', 'scroll'),
      source: fc.constantFrom(null, null, '(direct)', 'google', 'naver'),
      order_id: fc.constantFrom(null, null, 'o1', 'o2', 'o3'),
      value: fc.nat(10_000),
    }),
    { minLength: 5, maxLength: 120 },
  )
  .map((steps) => {
    let minutes = 0;
    return steps.map(({ step, ...rest }, k): Event => ({ ...rest, id: `e${k}`, minutes: (minutes += step) }));
  });
const marathon = fc.nat(1000).map((seed) =>
  Array.from(
    { length: 200 },
    (_, k): Event => ({
      id: `m${k}`,
      minutes: k * 20 + (k % 7),
      anon: 'bot',
      usr: null,
      event: 'page_view',
      source: (k + seed) % 50 === 0 ? `s${k}` : null,
      order_id: null,
      value: 0,
    }),
  ),
);

async function seen(views: Views, table: string): Promise<Seen[]> {
  const rows = await views.store.rows(
    `SELECT anon, usr, epoch_us(_time) AS t, _position AS p, event, page, source, medium, campaign, order_id, (value * 100)::BIGINT AS cents FROM ${table}`,
  );
  const nullable = (value: unknown) => (value === null ? null : String(value));
  return rows.map((row) => ({
    anonymous: nullable(row['anon']),
    user: nullable(row['usr']),
    time: Number(row['t']),
    position: Number(row['p']),
    event: nullable(row['event']),
    page: nullable(row['page']),
    source: nullable(row['source']),
    medium: nullable(row['medium']),
    campaign: nullable(row['campaign']),
    order: nullable(row['order_id']),
    revenue: row['cents'] === null ? null : Number(row['cents']),
  }));
}

function expected(all: readonly Seen[], rule: (typeof rules)[number]): string[] {
  return sessionsOf(all, rule, ZONE)
    .map((session) => {
      const views = session.events.filter(({ event }) => event === 'page_view');
      const engaged =
        session.ended - session.started > 10e6 || views.length >= 2 || session.events.some(({ event }) => event === 'purchase');
      return JSON.stringify([
        ...[session.person, session.number, session.started, session.ended, session.events.length, views.length],
        ...[
          views[0]?.page ?? null,
          views.at(-1)?.page ?? null,
          engaged,
          session.source,
          session.userSource,
          session.orders,
          Math.round(session.revenue),
        ],
      ]);
    })
    .sort();
}

async function found(views: Views, schema: string): Promise<string[]> {
  const rows = await views.store.rows(
    `SELECT person, session_number, epoch_us(started), epoch_us(ended), events, page_views, entry_page, exit_page, engaged, session_source, user_source, orders, (revenue * 100)::BIGINT FROM ${schema}.sessions`,
  );
  return rows.map((row) => JSON.stringify(Object.values(row), (_, value) => (typeof value === 'bigint' ? Number(value) : value))).sort();
}

describe('sessions, ready-made', () => {
  let views: Views;
  before(async () => {
    views = await openViews();
  });
  after(() => views.close());

  test('equal a count by brute force under each rule, whatever the order in which the events come', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(events, marathon), fc.nat(), fc.integer({ min: 1, max: 4 }), async (chosen, seed, parts) => {
        const own = topic(`events${run++}`);
        const schema = (rule: string) => `s${run}_${rule}`;
        const disordered = shuffled([...chosen, ...chosen.slice(0, 3)], seed).map(sent);
        const size = Math.ceil(disordered.length / parts);
        await views.send(own, disordered.slice(0, size));
        const definitions = rules.flatMap((rule) => sessionViews({ topic: own.name, rule, timeZone: ZONE, fields, schema: schema(rule) }));
        try {
          for (const { sql } of definitions) await views.sql(sql.replace('1 second', '100 milliseconds'));
          for (let k = size; k < disordered.length; k += size) {
            await views.send(own, disordered.slice(k, k + size));
            await views.settle();
          }
          assert.deepEqual(views.problems, []);
          const all = await seen(views, `raw.${own.name}`);
          for (const rule of rules) assert.deepEqual(await found(views, schema(rule)), expected(all, rule), rule);
        } finally {
          for (const { name } of definitions.reverse()) await views.sql(`DROP MATERIALIZED VIEW IF EXISTS ${name}`);
        }
      }),
      { numRuns: 4 },
    );
  });

  test('are kept by person, order and anonymous id, never as a whole', async () => {
    const own = topic('kept');
    await views.send(own, [
      sent({ id: 'k', minutes: 0, anon: 'a', usr: null, event: 'page_view', source: null, order_id: null, value: 0 }),
    ]);
    for (const rule of rules)
      for (const { sql } of sessionViews({
        topic: 'kept',
        rule,
        timeZone: ZONE,
        fields: { ...fields, alias: 'page' },
        schema: `k_${rule}`,
      }))
        await views.sql(sql);
    for (const view of views.keeper.states()) assert.deepEqual([view.mode, view.reasons], ['partitions', []], view.name);
  });
});

test('with a lateness, an event that comes later changes no session and stands among the late rows', async () => {
  const views = await openViews();
  try {
    const own = topic('visits');
    const visit = (id: string, minutes: number): Sent =>
      sent({ id, minutes, anon: 'a', usr: null, event: 'page_view', source: null, order_id: null, value: 0 });
    await views.send(own, [visit('v1', 0)]);
    const definitions = sessionViews({ topic: own.name, rule: 'ga4', timeZone: ZONE, fields, lateness: '1 hour' });
    for (const { sql } of definitions) await views.sql(sql.replace('1 second', '100 milliseconds'));
    for (const records of [[visit('v2', 300)], [visit('late', 10), visit('in_time', 290)]]) {
      await views.send(own, records);
      await views.settle();
    }
    assert.deepEqual(await views.rows('SELECT session_number, events FROM mart.sessions'), ['["1","1"]', '["2","2"]']);
    assert.deepEqual(await views.rows(`SELECT view, row->>'_id' FROM millrace.late`), ['["mart.timely_events","late"]']);
    assert.throws(() => sessionViews({ topic: own.name, rule: 'ga4', timeZone: ZONE, fields, lateness: "1'" }), { code: 'VIEW_SESSIONS' });
  } finally {
    await views.close();
  }
});

test('an unknown rule or zone is refused with its name', () => {
  const options = { topic: 'events', rule: 'ga4', timeZone: 'UTC', fields: { anonymous: 'anon' } } as const;
  assert.throws(() => sessionViews({ ...options, rule: 'ga5' as 'ga4' }), { code: 'VIEW_SESSIONS', message: /ga5/ });
  assert.throws(() => sessionViews({ ...options, timeZone: 'Mars/Olympus' }), { code: 'VIEW_SESSIONS', message: /Mars/ });
});
