import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Topic } from '#core';
import { sessionRules, sessionViews } from '#process';
import { openViews, type Sent, shuffled, type Views } from './views-fixture.ts';
import { peopleOf, type Seen, sessionsOf } from './views-sessions-oracle.ts';

const rules = Object.keys(sessionRules) as (keyof typeof sessionRules)[];
const ZONE = 'America/New_York';
const START = Date.parse('2026-03-07T00:00:00Z');

const text = (name: string) => ({ name, type: 'text' as const, required: false });
const topic = (name: string): Topic => ({
  name,
  title: '',
  fields: [
    ...['anon', 'usr', 'other_id', 'event', 'page', 'source', 'medium', 'campaign', 'order_id'].map(text),
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
  alias: 'other_id',
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
  readonly other_id: string | null;
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
      other_id: fc.constantFrom(null, null, null, null, null, null, null, 'a1', 'a3', 'a4'),
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
      other_id: null,
      event: 'page_view',
      source: (k + seed) % 50 === 0 ? `s${k}` : null,
      order_id: null,
      value: 0,
    }),
  ),
);

async function seen(views: Views, table: string): Promise<Seen[]> {
  const rows = await views.store.rows(
    `SELECT anon, usr, other_id, epoch_us(_time) AS t, _position AS p, event, page, source, medium, campaign, order_id, (value * 100)::BIGINT AS cents FROM ${table}`,
  );
  const nullable = (value: unknown) => (value === null ? null : String(value));
  return rows.map((row) => ({
    anonymous: nullable(row['anon']),
    user: nullable(row['usr']),
    alias: nullable(row['other_id']),
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
      sent({ id: 'k', minutes: 0, anon: 'a', usr: null, other_id: null, event: 'page_view', source: null, order_id: null, value: 0 }),
    ]);
    for (const rule of rules)
      for (const { sql } of sessionViews({
        topic: 'kept',
        rule,
        timeZone: ZONE,
        fields,
        schema: `k_${rule}`,
      }))
        await views.sql(sql);
    for (const view of views.keeper.states()) {
      // Which ids are joined is not told apart by any key; it reads the links alone.
      const whole = view.name.endsWith('.alias_groups');
      assert.deepEqual([view.mode, view.reasons], whole ? ['whole', ['there is no PARTITION BY']] : ['partitions', []], view.name);
    }
  });
});

describe('the person behind an id', () => {
  let views: Views;
  let run = 0;
  let own: Topic;
  let definitions: readonly { readonly name: string; readonly sql: string }[];
  let sentBefore = 0;
  before(async () => {
    views = await openViews();
  });
  after(() => views.close());

  /** [minute, anonymous id, user, alias] */
  type Told = readonly [number, string | null, string | null, string | null];
  const record = ([minutes, anon, usr, other_id]: Told) =>
    sent({ id: `i${sentBefore++}`, minutes, anon, usr, other_id, event: 'identify', source: null, order_id: null, value: 0 });

  async function begin(): Promise<void> {
    own = topic(`ids${run}`);
    await views.send(own, [record([0, 'nobody', null, null])]);
    definitions = sessionViews({ topic: own.name, rule: 'ga4', timeZone: ZONE, fields, schema: `i${run++}` });
    definitions = definitions.slice(0, definitions.findIndex(({ name }) => name.endsWith('person_events')) + 1);
    for (const { sql } of definitions) await views.sql(sql.replace('1 second', '100 milliseconds'));
  }

  async function end(): Promise<void> {
    for (const { name } of [...definitions].reverse()) await views.sql(`DROP MATERIALIZED VIEW IF EXISTS ${name}`);
  }

  async function send(...records: readonly Told[]): Promise<void> {
    await views.send(own, records.map(record));
    await views.settle();
    assert.deepEqual(views.problems, []);
  }

  async function people(): Promise<{ readonly [id: string]: string }> {
    const rows = await views.store.rows(`SELECT anonymous_id AS a, string_agg(DISTINCT person, '+' ORDER BY person) AS p
      FROM ${definitions.at(-1)!.name} WHERE user_id IS NULL AND anonymous_id <> 'nobody' GROUP BY ALL`);
    return Object.fromEntries(rows.map(({ a, p }) => [String(a), String(p)]));
  }

  test('is found through a chain of aliases, whichever link comes last', async () => {
    await begin();
    await send([1, 'a', null, null], [2, 'b', null, 'a'], [4, 'd', null, 'c'], [5, 'e', null, 'd']);
    assert.deepEqual(await people(), { a: 'a', b: 'a', d: 'c', e: 'c' });
    await send([6, 'e', 'u', null]);
    assert.deepEqual(await people(), { a: 'a', b: 'a', d: 'u', e: 'u' });
    await send([3, 'c', null, 'b']);
    assert.deepEqual(await people(), { a: 'u', b: 'u', c: 'u', d: 'u', e: 'u' });
    await end();
  });

  test('goes with no circle round, and an id that is its own alias is none', async () => {
    await begin();
    await send([1, 'x', null, 'y'], [2, 'y', null, 'z'], [3, 'z', null, 'x'], [4, 'w', null, 'w']);
    assert.deepEqual(await people(), { x: 'x', y: 'x', z: 'x', w: 'w' });
    await send([5, 'z', 'u', null]);
    assert.deepEqual(await people(), { x: 'u', y: 'u', z: 'u', w: 'w' });
    await end();
  });

  test('is the first user of what is joined; an id that was itself seen with a user stays with its own first one', async () => {
    await begin();
    await send(
      [1, 'p', 'late', null],
      [2, 'q', null, null],
      [3, 'q', null, 'p'],
      [4, 'r', 'other', 'q'],
      [5, 'r', null, null],
      [6, 's', null, 'r'],
    );
    assert.deepEqual(await people(), { q: 'other', r: 'other', s: 'late' });
    await send([0.5, 'p', 'early', null], [7, 'p', null, null]);
    assert.deepEqual(await people(), { p: 'early', q: 'other', r: 'other', s: 'early' });
    await end();
  });

  test('equals that of the joined ids counted by hand, however the records come', async () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    const arbitrary = fc.tuple(
      fc.nat(50),
      fc.option(id, { freq: 8 }),
      fc.option(fc.constantFrom('u1', 'u2'), { freq: 1 }),
      fc.option(id, { freq: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(arbitrary, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        await begin();
        try {
          for (const records of rounds) await send(...records);
          const inTime = (await seen(views, `raw.${own.name}`)).sort((a, b) => a.time - b.time || a.position - b.position);
          const personOf = peopleOf(inTime);
          const expected = inTime.flatMap((one) => (personOf(one) === null ? [] : [`${one.position} ${personOf(one)}`])).sort();
          const rows = await views.store.rows(`SELECT position AS at, person FROM ${definitions.at(-1)!.name}`);
          assert.deepEqual(rows.map(({ at, person }) => `${at} ${person}`).sort(), expected);
        } finally {
          await end();
        }
      }),
      { numRuns: 8 },
    );
  });
});

describe('ids that aliases join', () => {
  let views: Views;
  let query: string;
  before(async () => {
    views = await openViews();
    const { sql } = sessionViews({ topic: 'x', rule: 'ga4', timeZone: ZONE, fields, schema: 'groups' }).find(({ name }) =>
      name.endsWith('.alias_groups'),
    )!;
    query = sql.slice(sql.indexOf('\nAS ') + 4);
    await views.store.write((tx) => tx.run('CREATE SCHEMA groups'));
  });
  after(() => views.close());

  async function grouped(links: readonly (readonly [string, string])[]): Promise<Map<string, string>> {
    const values =
      links.length === 0 ? `SELECT '' AS a, '' AS b WHERE false` : `VALUES ${links.map(([a, b]) => `('${a}', '${b}')`).join(', ')}`;
    await views.store.write((tx) =>
      tx.run(`CREATE OR REPLACE TABLE groups.alias_links AS SELECT a AS anonymous_id, b AS alias_id FROM (${values}) AS v(a, b)`),
    );
    return new Map((await views.store.rows(query)).map((row) => [String(row['anonymous_id']), String(row['group_id'])]));
  }

  /** Union and find. */
  function least(links: readonly (readonly [string, string])[]): Map<string, string> {
    const parent = new Map<string, string>();
    const find = (id: string): string => {
      let root = id;
      while (parent.get(root) !== root) root = parent.get(root)!;
      for (let at = id; at !== root; ) [at] = [parent.get(at)!, parent.set(at, root)];
      return root;
    };
    for (const id of links.flat()) parent.set(id, id);
    for (const [a, b] of links) {
      const [one, other] = [find(a), find(b)].sort();
      parent.set(other!, one!);
    }
    return new Map([...parent.keys()].map((id) => [id, find(id)]));
  }

  test('are grouped as union and find groups them', async () => {
    const link = (most: number) => fc.tuple(fc.nat(most), fc.nat(most)).filter(([a, b]) => a !== b);
    const links = fc.nat(40).chain((most) => fc.array(link(most + 1), { maxLength: 60 }));
    await fc.assert(
      fc.asyncProperty(links, fc.nat(), async (numbers, seed) => {
        // Names in no order that the links know of.
        const names = shuffled([...Array(42).keys()], seed);
        const spelled = numbers.map(([a, b]) => [`n${names[a]}`, `n${names[b]}`] as const);
        assert.deepEqual(sorted(await grouped(spelled)), sorted(least(spelled)));
      }),
      { numRuns: 60 },
    );
  });

  test('are followed through a chain of 3,000 in a few rounds, whatever their names', async () => {
    for (const names of [shuffled([...Array(3001).keys()], 7), [...Array(3001).keys()], [...Array(3001).keys()].reverse()]) {
      const chain = Array.from({ length: 3000 }, (_, k) => [`c${names[k]}`, `c${names[k + 1]}`] as const);
      assert.deepEqual(sorted(await grouped(chain)), sorted(least(chain)));
      const [rounds] = await views.store.rows(
        query.replace(/SELECT id AS anonymous_id.*/s, `SELECT max(n) AS n FROM (SELECT count(*) AS n FROM grouped GROUP BY id)`),
      );
      assert.ok(Number(rounds!['n']) < 40, `${rounds!['n']} rounds`);
    }
  });

  const sorted = (groups: ReadonlyMap<string, string>) => [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
});

test('with a lateness, an event that comes later changes no session and stands among the late rows', async () => {
  const views = await openViews();
  try {
    const own = topic('visits');
    const visit = (id: string, minutes: number): Sent =>
      sent({ id, minutes, anon: 'a', usr: null, other_id: null, event: 'page_view', source: null, order_id: null, value: 0 });
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
