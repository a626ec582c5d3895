import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openWarehouse, type Warehouse } from './fixture.ts';

interface Hit {
  readonly user: string;
  readonly minute: number;
  readonly event: string;
}

const STEPS = ['a', 'b', 'c'];
const WINDOW = 10;

let warehouse: Warehouse;

async function put(hits: readonly Hit[]): Promise<void> {
  const rows = hits.map(
    ({ user, minute, event }, at) => `('${event}', '${user}', make_timestamptz(${(1_760_000_000 + minute * 60) * 1e6}), ${at})`,
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT * FROM (VALUES ${rows.join(', ')}) AS e(event, user_pseudo_id, time, _position)`,
  );
}

/** By trying every run: how many users get to each depth. */
function entered(hits: readonly Hit[], order: string): number[] {
  const depths = new Map<string, number>();
  for (const user of new Set(hits.map((hit) => hit.user))) {
    const own = hits
      .map((hit, at) => ({ ...hit, at }))
      .filter((hit) => hit.user === user)
      .sort((x, y) => x.minute - y.minute || x.at - y.at);
    depths.set(user, order === 'unordered' ? anyOrder(own) : inOrder(own, order === 'strict'));
  }
  return STEPS.map((_, step) => [...depths.values()].filter((depth) => depth > step).length);
}

function inOrder(own: readonly Hit[], strict: boolean): number {
  const deepest = (from: number, step: number, started: number): number => {
    if (step === STEPS.length) return step;
    let best = step;
    for (let at = from; at < own.length && (!strict || step === 0 || at === from); at++) {
      if (own[at]!.event !== STEPS[step]) continue;
      const start = step === 0 ? own[at]!.minute : started;
      if (own[at]!.minute - start <= WINDOW) best = Math.max(best, deepest(at + 1, step + 1, start));
    }
    return best;
  };
  return deepest(0, 0, 0);
}

function anyOrder(own: readonly Hit[]): number {
  const within = own.map(
    (hit, at) =>
      new Set(
        own
          .slice(at)
          .filter((later) => later.minute - hit.minute <= WINDOW && STEPS.includes(later.event))
          .map((later) => later.event),
      ).size,
  );
  return Math.max(0, ...own.map((hit, at) => (STEPS.includes(hit.event) ? within[at]! : 0)));
}

describe('funnel', () => {
  before(async () => {
    warehouse = await openWarehouse();
  });
  after(() => warehouse.close());

  for (const order of ['ordered', 'strict', 'unordered']) {
    test(`${order}: counts the users of each step as trying every run does`, async () => {
      const hit = fc.record({
        user: fc.constantFrom('u1', 'u2', 'u3'),
        minute: fc.nat(25),
        event: fc.constantFrom('a', 'b', 'c', 'x'),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(hit, { minLength: 1, maxLength: 14 }), async (hits) => {
          await put(hits);
          const { rows } = await warehouse.run('funnel', { events: 'main.events', steps: STEPS, order, window: `${WINDOW}m` });
          assert.deepEqual(
            rows.map((row) => row['entered']),
            entered(hits, order),
          );
        }),
        { numRuns: 25 },
      );
    });
  }

  test('tells how long each step took and how many left, by a property of the first step', async () => {
    await warehouse.make(`CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(m) AS time, device FROM (VALUES
      ('a', 'u1', 0, 'phone'), ('b', 'u1', 2, 'desk'), ('a', 'u2', 0, 'phone'), ('b', 'u2', 4, 'phone'), ('a', 'u3', 0, 'phone'), ('a', 'u4', 1, 'desk')
    ) AS e(event, u, m, device)`);
    const { rows } = await warehouse.run('funnel', { events: 'main.events', steps: 'a,b', by: 'device' });
    assert.deepEqual(
      rows.map((row) => [row['by'], row['name'], row['entered'], row['of_first'], row['left_here'], row['median_seconds']]),
      [
        ['desk', 'a', 1, 1, 1, null],
        ['desk', 'b', 0, 0, 0, null],
        ['phone', 'a', 3, 1, 1, null],
        ['phone', 'b', 2, 0.666667, 0, 180],
      ],
    );
  });

  test('takes a property of a step, and an event that stands at the window’s very end', async () => {
    await warehouse.make(`CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(m) AS time, page FROM (VALUES
      ('page_view', 'u1', 0, '/cart'), ('buy', 'u1', 10, NULL), ('page_view', 'u2', 0, '/'), ('buy', 'u2', 1, NULL), ('page_view', 'u3', 0, '/cart'), ('buy', 'u3', 11, NULL)
    ) AS e(event, u, m, page)`);
    const { rows } = await warehouse.run('funnel', { events: 'main.events', steps: ['page_view:page=/cart', 'buy'], window: '10m' });
    assert.deepEqual(
      rows.map((row) => row['entered']),
      [2, 1],
    );
  });

  test('refuses one step, an unknown property, a window that is none and an unknown order', async () => {
    await put([{ user: 'u', minute: 0, event: 'a' }]);
    const refused = (options: Record<string, unknown>, code: string) =>
      assert.rejects(warehouse.run('funnel', { events: 'main.events', ...options }), (error: { code?: string }) => error.code === code);
    await refused({ steps: 'a' }, 'ANSWER_OPTION');
    await refused({}, 'ANSWER_OPTION');
    await refused({ steps: 'a,b:nothing=1' }, 'ANSWER_COLUMN');
    await refused({ steps: 'a,b', window: 'long' }, 'ANSWER_OPTION');
    await refused({ steps: 'a,b', order: 'sideways' }, 'ANSWER_OPTION');
    await refused({ steps: 'a,b', events: 'main.nothing' }, 'ANSWER_TABLE');
  });
});
