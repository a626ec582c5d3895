import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openWarehouse, type Warehouse } from './fixture.ts';

interface Visit {
  readonly user: string;
  readonly day: number;
  readonly pages: readonly string[];
}

let warehouse: Warehouse;

const day0 = Date.UTC(2026, 0, 5) * 1000;
const dayText = (day: number) => new Date(day0 / 1000 + day * 86_400_000).toISOString().slice(0, 10);

/** A visit is a minute a page from noon; two visits of a user are never on one day. */
async function put(visits: readonly Visit[]): Promise<void> {
  const rows = visits.flatMap(({ user, day, pages }) =>
    pages.map((page, at) => `('page_view', '${user}', make_timestamptz(${day0 + day * 86_400e6 + (720 + at) * 60e6}), ${at}, '${page}')`),
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT * FROM (VALUES ${rows.join(', ')}) AS e(event, user_pseudo_id, time, _position, page)`,
  );
}

const collapsed = (pages: readonly string[]) => pages.filter((page, at) => page !== pages[at - 1]);
const count = (keys: readonly string[]) => {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].map(([key, n]) => `${key}|${n}`).sort();
};

const visits = fc.uniqueArray(
  fc.record({
    user: fc.constantFrom('u1', 'u2', 'u3', 'u4'),
    day: fc.nat(25),
    pages: fc.array(fc.constantFrom('/', '/a', '/b'), { minLength: 1, maxLength: 5 }),
  }),
  { minLength: 1, maxLength: 12, selector: ({ user, day }) => `${user} ${day}` },
);

describe('journeys', () => {
  before(async () => {
    warehouse = await openWarehouse();
  });
  after(() => warehouse.close());

  test('paths: the transitions of each step are those of the sessions, repeats counted once', async () => {
    await fc.assert(
      fc.asyncProperty(visits, async (given) => {
        await put(given);
        const { rows } = await warehouse.run('paths', { events: 'main.events', depth: 3, top: 1000 });
        const expected = given.flatMap(({ pages }) => {
          const way = [...collapsed(pages), '(end)'];
          return way.slice(0, -1).flatMap((page, at) => (at < 3 ? [`${at + 1}|${page}|${way[at + 1]}`] : []));
        });
        assert.deepEqual(rows.map((row) => [row['step'], row['source'], row['target'], row['sessions']].join('|')).sort(), count(expected));
      }),
      { numRuns: 25 },
    );
  });

  test('paths: begin at the first chosen event', async () => {
    await put([{ user: 'u1', day: 0, pages: ['/', '/a', '/b', '/a'] }]);
    const { rows } = await warehouse.run('paths', { events: 'main.events', start: 'page_view:page=/a' });
    assert.deepEqual(
      rows.map((row) => [row['step'], row['source'], row['target']]),
      [
        [1, '/a', '/b'],
        [2, '/b', '/a'],
        [3, '/a', '(end)'],
      ],
    );
  });

  test('retention: users of a cohort who came in each week after their first', async () => {
    await fc.assert(
      fc.asyncProperty(visits, async (given) => {
        await put(given);
        const { rows } = await warehouse.run('retention', { events: 'main.events', grain: 'week', periods: 60 });
        // The fifth of January 2026 is a Monday.
        const week = (day: number) => Math.floor(day / 7);
        const last = Math.max(...given.map((visit) => visit.day));
        const first = new Map<string, number>();
        for (const { user, day } of given) first.set(user, Math.min(first.get(user) ?? 99, week(day)));
        const expected: unknown[] = [];
        for (const cohort of [...new Set(first.values())].sort((a, b) => a - b)) {
          const users = [...first].filter(([, at]) => at === cohort).map(([user]) => user);
          for (let period = 0; (cohort + period) * 7 <= last; period++) {
            const came = users.filter((user) => given.some((visit) => visit.user === user && week(visit.day) === cohort + period)).length;
            expected.push([dayText(cohort * 7), users.length, period, came, (cohort + period) * 7 + 6 <= last]);
          }
        }
        assert.deepEqual(
          rows.map((row) => [row['cohort'], row['size'], row['period'], row['users'], row['complete']]),
          expected,
        );
      }),
      { numRuns: 25 },
    );
  });

  test('retention: a first day makes nobody new who had come before it', async () => {
    await put([
      { user: 'u1', day: 0, pages: ['/'] },
      { user: 'u1', day: 9, pages: ['/a'] },
      { user: 'u2', day: 10, pages: ['/a'] },
    ]);
    const { rows } = await warehouse.run('retention', { events: 'main.events', from: dayText(8), start: 'page_view' });
    assert.deepEqual(
      rows.map((row) => [row['cohort'], row['size'], row['period'], row['users'], row['complete']]),
      [
        // The week of the first day is cut by it.
        [dayText(0), 1, 1, 1, false],
        [dayText(7), 1, 0, 1, false],
      ],
    );
    await fc.assert(
      fc.asyncProperty(visits, fc.nat(25), async (given, first) => {
        await put(given);
        const asked = { events: 'main.events', grain: 'day', periods: 60, return: 'page_view:page=/a' };
        const all = (await warehouse.run('retention', asked)).rows;
        const late = (row: (typeof all)[number]) => Date.parse(row['cohort']) + row['period'] * 86_400_000 >= Date.parse(dayText(first));
        assert.deepEqual((await warehouse.run('retention', { ...asked, from: dayText(first) })).rows, all.filter(late));
      }),
      { numRuns: 10 },
    );
  });

  test('journey: tells designed from other transitions, with sessions to look at', async () => {
    warehouse.definitions.journeys.set(
      'shop',
      `title: Shop
steps:
  - { name: home, event: page_view, where: { page: / }, next: [list] }
  - { name: list, event: page_view, where: { page: /a }, next: [(end)] }
`,
    );
    await put([
      { user: 'u1', day: 0, pages: ['/', '/b', '/a'] },
      { user: 'u2', day: 0, pages: ['/a', '/'] },
      { user: 'u3', day: 0, pages: ['/b'] },
    ]);
    const { rows, facts } = await warehouse.run('journey', { events: 'main.events', journey: 'shop', examples: 1 });
    assert.deepEqual(
      rows.map((row) => [row['source'], row['target'], row['designed'], row['sessions'], row['examples']]),
      [
        ['(start)', 'list', false, 1, ['u2/1']],
        ['home', '(end)', false, 1, ['u2/1']],
        ['list', 'home', false, 1, ['u2/1']],
        ['(start)', 'home', true, 1, ['u1/1']],
        ['home', 'list', true, 1, ['u1/1']],
        ['list', '(end)', true, 1, ['u1/1']],
      ],
    );
    assert.equal(facts['sessions with a step'], '2 of 3');
  });

  test('journey: a definition that names an unknown step is refused with its line', async () => {
    warehouse.definitions.journeys.set('broken', 'steps:\n  - { name: a, event: x, next: [c] }\n  - { name: b, event: y }\n');
    await assert.rejects(warehouse.run('journey', { events: 'main.events', journey: 'broken' }), {
      code: 'DEFINITION_INVALID',
      message: 'journeys/broken.yaml:2: "steps[1].next" names "c"; there are a, b, (end).',
    });
    await assert.rejects(warehouse.run('journey', { events: 'main.events', journey: 'none' }), { code: 'JOURNEY_UNKNOWN' });
  });

  test('a session ends where half an hour passed without an event, whatever half hours of the clock it spans, before 1970 too', async () => {
    let state = 7;
    const draw = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    // Microseconds. Gaps about the half hour, to the microsecond; visitors begin anywhere, many around the zero of the clock.
    const half = 1_800_000_000;
    const gaps = [half - 1, half, half + 1, 0, 1, 60_000_000, 3 * half, half / 2];
    const events: string[] = [];
    let sessions = 0;
    for (let visitor = 0; visitor < 200; visitor++) {
      let time = visitor % 2 === 0 ? draw(4 * half) - 2 * half : 1_772_000_000_000_000 + draw(3) * half + draw(3) - 1;
      for (let n = draw(12); n >= 0; n--) {
        events.push(`(${visitor}, ${time})`);
        const gap = gaps[draw(gaps.length)]!;
        sessions += n === 0 || gap > half ? 1 : 0;
        time += gap;
      }
    }
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.gaps AS SELECT 'v' || v AS user_pseudo_id, make_timestamptz(t) AS time, 'e' AS event FROM (VALUES ${events.join(', ')}) AS e(v, t)`,
    );
    const { rows, facts } = await warehouse.run('paths', { events: 'main.gaps', by: 'event' });
    assert.equal(facts['sessions'], String(sessions));
    assert.deepEqual(
      rows.map((row) => [row['step'], row['sessions']]),
      [[1, sessions]],
    );
  });
});
