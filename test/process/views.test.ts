import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { MillraceError, Topic } from '#core';
import { type Keeper, openKeeper, type ViewFiles } from '#process';
import { readStatement } from '#sql';
import { openStore, type Store } from '#store';

const topic: Topic = {
  name: 'orders',
  title: '',
  fields: [
    { name: 'usr', type: 'text', required: false },
    { name: 'amount', type: 'decimal(18,2)', required: false },
  ],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};

interface Order {
  readonly id: string;
  readonly usr: string;
  readonly minute: number;
  readonly amount: number;
}

let folder: string;
let store: Store;
let keeper: Keeper;
let position = 0;
const saved = new Map<string, string>();
const files: ViewFiles = {
  list: () => [...saved].map(([name, text]) => ({ name, file: `views/${name}.sql`, text })),
  save: (name, text) => void saved.set(name, text),
  remove: (name) => void saved.delete(name),
};
const problems: unknown[] = [];

async function send(orders: readonly Order[]): Promise<void> {
  const lines = orders.map(({ id, usr, minute, amount }) => {
    const micros = (1_760_000_000 + minute * 60) * 1_000_000;
    const iso = new Date(micros / 1000).toISOString();
    return `${position}\t${micros}\t${micros}\t${id}\t0\t\t${JSON.stringify({ id, usr, ts: iso, amount: (amount / 100).toFixed(2) })}\n`;
  });
  const from = position;
  position += 1000;
  await store.deliver([{ topic, from, to: position, lines: [Buffer.from(lines.join(''))] }]);
}

async function sql(text: string): Promise<void> {
  const reader = await store.reader();
  const statement = await readStatement(text, (part) => reader.serialize(part));
  reader.close();
  if (statement.kind === 'create_materialized_view') await keeper.create(statement);
  else if (statement.kind === 'explain_materialized_view') await keeper.explain(statement);
  else if (statement.kind.endsWith('_materialized_view')) await keeper.command(statement as never);
  else assert.fail(statement.kind);
}

const rows = async (text: string) =>
  (await store.rows(text)).map((row) => JSON.stringify(Object.values(row), (_, v) => (typeof v === 'bigint' ? Number(v) : v))).sort();

const PER_MINUTE = `SELECT date_trunc('minute', _time) AS minute, usr, count(*) AS orders, sum(amount) AS sales FROM raw.orders GROUP BY 1, 2`;
const PER_USER = `WITH ranked AS (SELECT usr, amount, row_number() OVER (PARTITION BY usr ORDER BY _time, _id) AS n FROM raw.orders o)
  SELECT usr, count(*) AS orders, max(amount) FILTER (WHERE n = 1) AS first_amount FROM ranked GROUP BY usr`;
const PER_HOUR = `SELECT date_trunc('hour', minute) AS hour, sum(sales) AS sales, sum(orders) AS orders FROM mart.per_minute GROUP BY hour`;
const TOTAL = `SELECT count(*) AS orders, sum(amount) AS sales FROM raw.orders`;

describe('materialized views', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-views-'));
    store = await openStore({ dataPath: folder, memory: 400e6, threads: 2 });
    keeper = await openKeeper({ store, files, onProblem: (problem) => problems.push(problem) });
    await send([{ id: 'first', usr: 'u0', minute: 0, amount: 100 }]);
    await sql(
      `CREATE MATERIALIZED VIEW mart.per_minute PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '100 milliseconds') AS ${PER_MINUTE}`,
    );
    await sql(`CREATE MATERIALIZED VIEW mart.per_user PARTITION BY usr OPTIONS (refresh = '100 milliseconds') AS ${PER_USER}`);
    await sql(
      `CREATE MATERIALIZED VIEW mart.per_hour PARTITION BY date_trunc('hour', minute) OPTIONS (refresh = '100 milliseconds') AS ${PER_HOUR}`,
    );
    await sql(`CREATE MATERIALIZED VIEW mart.total OPTIONS (refresh = '100 milliseconds') AS ${TOTAL}`);
  });
  after(async () => {
    await keeper.stop();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('those whose groups and windows keep partitions apart are kept by partition, the others as a whole, and the plan says why', () => {
    const modes = Object.fromEntries(keeper.states().map((view) => [view.name, view.mode]));
    assert.deepEqual(modes, {
      'mart.per_minute': 'partitions',
      'mart.per_user': 'partitions',
      'mart.per_hour': 'partitions',
      'mart.total': 'whole',
    });
    assert.deepEqual(keeper.states().find((view) => view.name === 'mart.total')?.reasons, ['there is no PARTITION BY']);
  });

  test('equal their query in batch after any stream of late, disordered and doubled rows', async () => {
    const order = fc.record({
      id: fc.nat(60).map((n) => `o${n}`),
      usr: fc.nat(5).map((n) => `u${n}`),
      minute: fc.nat(300),
      amount: fc.nat(100_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(order, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 }), async (batches) => {
        for (const batch of batches) await send(batch);
        await keeper.settle(10_000);
        assert.deepEqual(problems, []);
        for (const [view, query] of [
          ['per_minute', PER_MINUTE],
          ['per_user', PER_USER],
          ['per_hour', PER_HOUR.replace('mart.per_minute', `(${PER_MINUTE})`)],
          ['total', TOTAL],
        ]) {
          assert.deepEqual(await rows(`SELECT * EXCLUDE (_batch) FROM mart.${view}`), await rows(query!), view);
        }
      }),
      { numRuns: 12 },
    );
  });

  test('recompute only the partitions that were touched', async () => {
    const untouched = await rows(`SELECT DISTINCT _batch FROM mart.per_minute WHERE minute < (SELECT max(minute) FROM mart.per_minute)`);
    await send([{ id: 'late', usr: 'u1', minute: 5000, amount: 1 }]);
    await keeper.settle(10_000);
    const state = keeper.states().find((view) => view.name === 'mart.per_minute');
    assert.deepEqual(state?.last, { mode: 'partitions', partitions: 1, rows: 1 });
    const still = await rows(`SELECT DISTINCT _batch FROM mart.per_minute WHERE minute < (SELECT max(minute) FROM mart.per_minute)`);
    for (const batch of untouched) assert.ok(still.includes(batch));
  });

  test('that would mix partitions are recomputed as a whole, each with its reason', async () => {
    const cases: [string, RegExp][] = [
      [
        `SELECT usr, count(*) AS n FROM raw.orders\n  GROUP BY usr`,
        /^a GROUP BY does not have the partition expression; add date_trunc\('minute', _time\) to it \(line 2, column 12\)/,
      ],
      [`SELECT date_trunc('minute', _time) AS minute, row_number() OVER (ORDER BY amount) AS n FROM raw.orders`, /window does not have/],
      [`SELECT DISTINCT usr FROM raw.orders`, /DISTINCT does not have/],
      [
        `SELECT date_trunc('minute', _time) AS minute, amount FROM raw.orders ORDER BY amount LIMIT 3`,
        /LIMIT .*QUALIFY row_number.*\(line 1, column \d+\)/,
      ],
      [`SELECT date_trunc('minute', _time) AS minute, (SELECT max(amount) FROM raw.orders) AS m FROM raw.orders`, /subquery/],
      [`SELECT amount FROM raw.orders`, /not among the columns/],
      [
        `SELECT date_trunc('minute', a._time) AS minute, b.amount FROM raw.orders a JOIN raw.orders b ON a.usr = b.usr`,
        /joined with itself/,
      ],
    ];
    for (const [k, [query, reason]] of cases.entries()) {
      await sql(`CREATE MATERIALIZED VIEW mart.mixed${k} PARTITION BY date_trunc('minute', _time) AS ${query}`);
      const state = keeper.states().find((view) => view.name === `mart.mixed${k}`);
      assert.equal(state?.mode, 'whole', query);
      assert.match(state!.reasons.join('; '), reason, query);
      await sql(`DROP MATERIALIZED VIEW mart.mixed${k}`);
    }
  });

  test('are kept by partition too where PARTITION BY says a column of the view, or the name by which the query knows the table', async () => {
    const cases: readonly (readonly [partition: string, query: string])[] = [
      ['minute', `SELECT date_trunc('minute', _time) AS minute, count(*) AS n, sum(amount) AS sales FROM raw.orders GROUP BY minute`],
      ['(MINUTE, usr)', `SELECT usr, date_trunc('minute', o._time) AS minute, sum(amount) AS sales FROM raw.orders AS o GROUP BY ALL`],
      [`date_trunc('minute', o._time)`, `SELECT date_trunc('minute', o._time) AS minute, count(*) AS n FROM raw.orders AS o GROUP BY 1`],
      [`date_trunc('minute', raw.orders._time)`, `SELECT date_trunc('minute', _time) AS m, count(*) AS n FROM raw.orders GROUP BY 1`],
      ['who', `WITH named AS (SELECT upper(usr) AS who, amount FROM raw.orders) SELECT who, sum(amount) AS sales FROM named GROUP BY who`],
    ];
    const name = (k: number) => `mart.spelled${k}`;
    for (const [k, [partition, query]] of cases.entries())
      await sql(`CREATE MATERIALIZED VIEW ${name(k)} PARTITION BY ${partition} OPTIONS (refresh = '100 milliseconds') AS ${query}`);
    await send([
      { id: 'spelled1', usr: 'u1', minute: 3, amount: 5 },
      { id: 'spelled2', usr: 'u9', minute: 40, amount: 7 },
    ]);
    await keeper.settle(10_000);
    for (const [k, [, query]] of cases.entries()) {
      const state = keeper.states().find((view) => view.name === name(k))!;
      assert.deepEqual([state.mode, state.last?.mode, state.last?.partitions], ['partitions', 'partitions', 2], query);
      assert.deepEqual(await rows(`SELECT * EXCLUDE (_batch) FROM ${name(k)}`), await rows(query), query);
      await sql(`DROP MATERIALIZED VIEW ${name(k)}`);
    }
    for (const query of [
      `SELECT usr, sum(amount) AS sales FROM raw.orders GROUP BY ALL`,
      `SELECT usr, row_number() OVER (PARTITION BY usr) AS sales FROM raw.orders`,
    ]) {
      await sql(`CREATE MATERIALIZED VIEW mart.summed PARTITION BY sales AS ${query}`);
      assert.equal(keeper.states().find((view) => view.name === 'mart.summed')?.mode, 'whole', query);
      await sql('DROP MATERIALIZED VIEW mart.summed');
    }
  });

  test('whose options say nothing are refused with the place', async () => {
    const query = `AS SELECT usr, count(*) AS n FROM raw.orders GROUP BY usr`;
    for (const [marked, message] of [
      [`OPTIONS (^refresh = '1 fortnight')`, /1 fortnight/],
      [`OPTIONS (refresh = '1 second', ^"Colour" = 'red')`, /colour .*is unknown/],
      [`OPTIONS (time_limit = '1 minute',\n  ^lateness = '1 hour')`, /needs a view that is kept by partition/],
    ] as const) {
      const text = `CREATE MATERIALIZED VIEW mart.refused PARTITION BY (usr || (lateness = '')::VARCHAR) ${marked} ${query}`;
      const before = text.slice(0, text.indexOf('^')).split('\n');
      const place = `(line ${before.length}, column ${before.at(-1)!.length + 1})`;
      const error = (await sql(text.replace('^', '')).catch((thrown: unknown) => thrown)) as MillraceError;
      assert.equal(error.code, 'VIEW_OPTION', error.message);
      assert.ok(error.message.includes(place), `${error.message} should say ${place}`);
      assert.match(error.message, message);
    }
  });

  test('whose partition is of a column that is nowhere are refused with the place', async () => {
    const columns = `SELECT usr, list_transform([amount], each -> each + 1) AS more FROM raw.orders`;
    const error = (await sql(`CREATE MATERIALIZED VIEW mart.refused\n PARTITION BY (usr, nowhere) AS ${columns}`).catch(
      (thrown) => thrown,
    )) as MillraceError;
    assert.deepEqual([error.code, error.params['line'], error.params['column']], ['VIEW_PARTITION', 2, 21]);
    assert.match(error.message, /\(line 2, column 21\).*nowhere/);
    assert.equal(saved.has('mart.refused'), false);
    await sql(`CREATE MATERIALIZED VIEW mart.lambda PARTITION BY len(list_filter([usr], each -> each > 'u')) AS ${columns}`);
    await sql('DROP MATERIALIZED VIEW mart.lambda');
  });

  test('that the engine would not run are refused with the place, and nothing is made or saved', async () => {
    const refused: [string, object][] = [
      [`SELECT usr,\n  sum(price) AS sales FROM raw.orders GROUP BY usr`, { line: 2, column: 7 }],
      [`SELECT usr, ${"'x' || ".repeat(40)} usr || nosuch AS x FROM raw.orders`, { line: 1 }],
      [`SELECT unnest([usr, usr]) AS u, count(*) AS n FROM raw.orders GROUP BY 1`, { line: 1 }],
    ];
    for (const [query, place] of refused) {
      const definition = `CREATE MATERIALIZED VIEW mart.refused AS ${query}`;
      for (const text of [definition, `EXPLAIN ${definition}`]) {
        const error = (await sql(text).catch((thrown: unknown) => thrown)) as MillraceError;
        assert.equal(error.code, 'VIEW_QUERY', text);
        const { line, column } = error.params;
        assert.deepEqual({ line, column, ...place }, { line, column });
        const pointed = text.split('\n')[Number(line) - 1]!.slice(Number(column) - 1);
        assert.match(pointed, /^(price|nosuch|unnest)/, `${error.message} points to ${pointed}`);
      }
      assert.equal(saved.has('mart.refused'), false);
      assert.equal((await store.names()).has('mart.refused'), false);
    }
    const changing = `CREATE MATERIALIZED VIEW mart.refused AS\nSELECT usr, random() AS r FROM raw.orders`;
    await assert.rejects(sql(changing), { code: 'VIEW_NOT_DETERMINISTIC', message: /random \(line 2, column 13\)/ });
  });

  test('that are not deterministic, stand in a circle or are named as a table are refused', async () => {
    await assert.rejects(sql(`CREATE MATERIALIZED VIEW mart.now AS SELECT now() AS t, usr FROM raw.orders`), {
      code: 'VIEW_NOT_DETERMINISTIC',
    });
    await sql(`CREATE MATERIALIZED VIEW mart.a AS SELECT hour FROM mart.per_hour`);
    await assert.rejects(
      sql(`CREATE OR REPLACE MATERIALIZED VIEW mart.per_minute AS SELECT hour AS minute, 1 AS sales, 1 AS orders FROM mart.a`),
      { code: 'VIEW_CYCLE' },
    );
    await assert.rejects(sql(`CREATE MATERIALIZED VIEW mart.a AS SELECT 1 AS x FROM raw.orders`), { code: 'VIEW_EXISTS' });
    await sql(`DROP MATERIALIZED VIEW mart.a`);
    assert.equal(saved.has('mart.a'), false);
  });

  test('that fail are paused with the reason, keep their last good state, and catch up when resumed', async () => {
    await sql(`CREATE MATERIALIZED VIEW mart.strict PARTITION BY usr OPTIONS (refresh = '100 milliseconds') AS
      SELECT usr, sum(CASE WHEN amount = 6.66 THEN error('no') ELSE amount END) AS sales FROM raw.orders GROUP BY usr`);
    const good = await rows('SELECT usr, sales FROM mart.strict');
    await send([{ id: 'evil', usr: 'u2', minute: 1, amount: 666 }]);
    await keeper.settle(5000);
    const state = () => keeper.states().find((view) => view.name === 'mart.strict');
    assert.equal(state()?.state, 'paused');
    assert.match(state()!.error!.message, /no/);
    assert.deepEqual(await rows('SELECT usr, sales FROM mart.strict'), good);
    assert.equal(keeper.states().find((view) => view.name === 'mart.per_user')?.state, 'fresh');
    await store.write(async (tx) => {
      const rows = await tx.run(`DELETE FROM raw.orders WHERE _id = 'evil'`);
      tx.changed({ kind: 'statement', target: 'raw.orders', rows });
    });
    problems.length = 0;
    await sql('RESUME MATERIALIZED VIEW mart.strict');
    await keeper.settle(5000);
    assert.equal(state()?.state, 'fresh');
  });

  test('that are dropped while a refresh of them waits for its turn are gone, and their name is free', async () => {
    const definition = `CREATE MATERIALIZED VIEW mart.gone AS SELECT count(*) AS n FROM raw.orders`;
    await sql(definition);
    const held = Promise.withResolvers<void>();
    const writing = store.write(() => held.promise);
    const refreshing = sql('REFRESH MATERIALIZED VIEW mart.gone');
    const dropping = sql('DROP MATERIALIZED VIEW mart.gone');
    while (keeper.states().some(({ name }) => name === 'mart.gone')) await new Promise((resolve) => setImmediate(resolve));
    held.resolve();
    await Promise.all([writing, refreshing, dropping]);
    assert.deepEqual([(await store.names()).has('mart.gone'), problems], [false, []]);
    await sql(definition);
    await sql('DROP MATERIALIZED VIEW mart.gone');
  });

  test('go on where they were after the warehouse is opened again', async () => {
    await keeper.stop();
    await send([{ id: 'between', usr: 'u9', minute: 77, amount: 5 }]);
    await store.close();
    store = await openStore({ dataPath: folder, memory: 400e6, threads: 2 });
    keeper = await openKeeper({ store, files, onProblem: (problem) => problems.push(problem) });
    assert.deepEqual(await keeper.define(), []);
    await keeper.settle(10_000);
    assert.deepEqual(await rows('SELECT * EXCLUDE (_batch) FROM mart.per_user'), await rows(PER_USER));
    assert.equal(keeper.states().find((view) => view.name === 'mart.per_user')?.last?.mode, 'partitions');
  });
});
