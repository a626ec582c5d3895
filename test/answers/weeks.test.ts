import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Weekday } from '#core';
import { openWarehouse, type Row } from './fixture.ts';

const DAY = 86_400_000;
/** A Thursday, so that no week begins with the data whatever day it begins on but one. */
const first = Date.UTC(2026, 0, 1);
const textOf = (day: number) => new Date(first + day * DAY).toISOString().slice(0, 10);

/** Days on which customers buy (and are seen), each at 22:00 UTC of the day before: in Seoul it is the day itself. */
const bought: readonly (readonly [customer: string, days: readonly number[]])[] = [
  ['a', [0, 2, 3, 9, 10, 17, 24, 31, 38]],
  ['b', [1, 5, 12, 13, 14]],
  ['c', [3, 4, 18, 33, 34, 35]],
  ['d', [6, 7, 8, 29]],
  ['e', [16, 23, 37]],
];
const all = bought.flatMap(([customer, days]) => days.map((day) => ({ customer, day })));
const values = all.map(
  ({ customer, day }, at) =>
    `('o${at}', '${customer}', make_timestamptz(${(first + (day - 1) * DAY + 22 * 3_600_000) * 1000}), ${10 + at})`,
);

for (const [weekStart, number] of [
  ['monday', 1],
  ['sunday', 0],
  ['saturday', 6],
  ['wednesday', 3],
] as readonly (readonly [Weekday, number])[])
  describe(`where weeks begin on ${weekStart}`, () => {
    /** The number of the day with which the week of a day begins. */
    const weekOf = (day: number) => {
      let begin = day;
      while (new Date(first + begin * DAY).getUTCDay() !== number) begin--;
      return begin;
    };
    const counted = (keys: readonly string[]) => {
      const counts = new Map<string, number>();
      for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
      return [...counts].map(([key, n]) => `${key} ${n}`).sort();
    };
    const told = (rows: readonly Row[], ...columns: readonly string[]) =>
      rows.map((row) => columns.map((column) => row[column]).join(' ')).sort();
    const begun = new Map(bought.map(([customer, days]) => [customer, weekOf(days[0]!)]));

    test('metric, cohorts, retention, lifecycle and the history of a segment cut them there', async (t) => {
      const warehouse = await openWarehouse('Asia/Seoul', weekStart);
      t.after(() => warehouse.close());
      await warehouse.make(
        `CREATE TABLE main.orders AS SELECT * FROM (VALUES ${values.join(', ')}) AS o(order_id, customer_id, ordered_at, amount)`,
        `CREATE TABLE main.events AS SELECT 'page_view' AS event, customer_id AS user_pseudo_id, ordered_at AS time FROM main.orders`,
      );
      warehouse.definitions.metrics.set('orders', 'table: main.orders\nexpression: count(*)\ntime: ordered_at\n');
      warehouse.definitions.segments.set('fresh', 'where: recency_days <= 6\n');
      const grain = 'week';

      const metric = await warehouse.run('metric', { metric: 'orders', grain });
      assert.deepEqual(told(metric.rows, 'period', 'value'), counted(all.map(({ day }) => textOf(weekOf(day)))));

      const later = all.map(({ customer, day }) => `${textOf(begun.get(customer)!)} ${(weekOf(day) - begun.get(customer)!) / 7}`);
      const cohorts = await warehouse.run('cohorts', { grain });
      assert.deepEqual(told(cohorts.rows, 'cohort', 'period', 'orders'), counted(later));

      const weeks = bought.flatMap(([customer, days]) => [...new Set(days.map(weekOf))].map((week) => ({ customer, week })));
      const retention = await warehouse.run('retention', { grain, events: 'main.events' });
      assert.deepEqual(
        told(
          retention.rows.filter(({ users }) => users > 0),
          ...['cohort', 'period', 'users'],
        ),
        counted(weeks.map(({ customer, week }) => `${textOf(begun.get(customer)!)} ${(week - begun.get(customer)!) / 7}`)),
      );

      const stages = weeks.map(({ customer, week }) => {
        const before = weeks.some((other) => other.customer === customer && other.week === week - 7);
        return `${textOf(week)} ${week === begun.get(customer) ? 'new' : before ? 'retained' : 'reactivated'}`;
      });
      const lifecycle = await warehouse.run('lifecycle', { grain });
      assert.deepEqual(
        told(
          lifecycle.rows.filter(({ orders }) => orders > 0),
          ...['period', 'stage', 'customers'],
        ),
        counted(stages),
      );

      const last = 38;
      const fresh = (day: number) =>
        bought.filter(([, days]) => days.some((own) => own <= day && own >= day - 6)).map(([customer]) => customer);
      const ends = [...new Set(Array.from({ length: last + 1 }, (_, day) => Math.min(weekOf(day) + 6, last)))];
      for (const periods of [12, 3]) {
        const history = await warehouse.run('segment', { segment: 'fresh', rows: 'history', grain, periods });
        assert.deepEqual(
          history.rows.map((row) => [row['as_of'], row['members'], row['entered'], row['left_after']]),
          ends
            .map((end, at) => {
              const members = fresh(end);
              const [before, after] = [at === 0 ? [] : fresh(ends[at - 1]!), end === last ? null : fresh(ends[at + 1]!)];
              const entered = members.filter((customer) => !before.includes(customer));
              const left = after === null ? null : members.filter((customer) => !after.includes(customer)).length;
              return [textOf(end), members.length, entered.length, left];
            })
            .slice(-periods),
        );
      }
    });
  });
