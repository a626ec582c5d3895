import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Analyst } from '#analyze';
import type { Store } from '#store';
import { topicOf } from '../collect/fixture.ts';
import { delivery, freshStore, type Record as Line } from '../store/fixture.ts';
import { alone, assertSame, opened, together, type Values } from './fixture.ts';

const topic = topicOf('sales', 'id: id\nfields: {id: text, day: date, shop: integer, page: text, amount: "decimal(9,2)"}');

/** A warehouse with raw.sales and main.sales of the same columns, that tells what its readers are told to do. */
async function prepared(t: TestContext) {
  const store = await freshStore(t);
  const told: string[] = [];
  const watched: Store = {
    ...store,
    async reader(temporary) {
      const reader = await store.reader(temporary);
      const own: typeof reader.own = async (sql, values) => {
        await reader.own(sql, values);
        told.push(sql);
      };
      return { ...reader, own };
    },
  };
  let sent = 0;
  let at = 0;
  const deliver = async (rows: number, more: object = {}) => {
    const lines: Line[] = Array.from({ length: rows }, () => {
      const n = sent++;
      const row = {
        id: `r${n}`,
        day: `2026-01-${String(1 + (n % 28)).padStart(2, '0')}`,
        shop: n % 5,
        page: `p${n % 7}`,
        amount: (n % 999) / 100,
      };
      return { id: row.id, json: JSON.stringify({ ...row, ...more }) };
    });
    const slice = delivery(topic, at, lines);
    at = slice.to;
    await store.deliver([slice]);
  };
  const change = (sql: string, target: string) =>
    store.write(async (tx) => {
      tx.changed({ kind: 'statement', target, rows: await tx.run(sql) });
    });
  await deliver(120_000);
  await change('CREATE TABLE main.sales AS SELECT day, shop, page, amount FROM raw.sales', 'main.sales');
  return { store: watched, told, deliver, change };
}

const filters = 'day >= $from::DATE AND ($shop IS NULL OR shop = $shop::INTEGER)';
const tilesOf = (table: string, where = filters) => [
  `SELECT sum(amount) + 1 AS revenue, count(*) AS n FROM ${table} WHERE ${where}`,
  `SELECT day, sum(amount) AS revenue, count(amount) AS n FROM ${table} WHERE ${where} GROUP BY 1 ORDER BY 1`,
  `SELECT page, avg(amount) AS mean, min(amount) AS low, max(day) AS last FROM ${table} WHERE ${where} GROUP BY 1 ORDER BY 1`,
  `SELECT page, count(*) FILTER (WHERE amount > 5) AS dear, count(DISTINCT day) AS days FROM ${table} WHERE ${where} GROUP BY 1 ORDER BY 1`,
];
/** Grouped by what has too many values but in an expression, and with a condition of its own: each shares with none. */
const lonelyOf = (table: string) => [
  `SELECT 'to ' || (1 + amount::INTEGER // 2) * 2 AS price, count(*) AS n, sum(shop) AS s FROM ${table} WHERE ${filters} GROUP BY 1 ORDER BY n DESC, 1`,
  `SELECT CASE WHEN amount IS NULL THEN 'none' WHEN amount > 5 THEN 'dear' ELSE 'cheap' END AS kind, page, max(amount) AS most
     FROM ${table} WHERE ${filters} AND page <> 'p3' GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY page, kind`,
  `SELECT page, count(*) AS n, min(amount) AS least FROM ${table} WHERE ${filters} AND page IN ('p1', 'p2') GROUP BY 1 ORDER BY 1`,
];
const choices: readonly Values[] = [
  { from: '2026-01-03', shop: '2' },
  { from: '2026-01-20', shop: null },
  // So few rows, by the engine's estimate, that each is asked alone.
  { from: '2099-01-01', shop: '1' },
];

const made = /^CREATE OR REPLACE TEMP TABLE "millrace kept"/;
const fills = (told: readonly string[]) => told.filter((sql) => sql.startsWith('CREATE OR REPLACE TEMP TABLE "millrace shared"'));

async function sameAsAlone(analyst: Analyst, list: readonly string[], values: Values): Promise<void> {
  const answers = await together(analyst, list, values);
  for (const [at, sql] of list.entries()) assertSame(answers[at]!, await alone(analyst, sql, values), sql);
}

/** Asks until groups are kept. */
async function keep(analyst: Analyst, told: string[], list: readonly string[]): Promise<void> {
  const before = told.filter((sql) => made.test(sql)).length;
  for (let tries = 0; told.filter((sql) => made.test(sql)).length === before; tries++) {
    assert.ok(tries < 500, 'nothing is kept');
    await together(analyst, list, choices[0]!);
    await sleep(10);
  }
  // They are held a moment after they are made.
  await sleep(50);
}

describe('groups that are kept', () => {
  test('answer whatever is chosen, without the table', async (t) => {
    const { store, told } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    const list = tilesOf('main.sales');
    await keep(analyst, told, list);
    told.length = 0;
    for (const values of choices) await sameAsAlone(analyst, list, values);
    assert.ok(fills(told).length >= 2, String(told));
    for (const sql of fills(told)) assert.match(sql, /FROM "millrace kept"/);
    // Other figures are other groups.
    await sameAsAlone(analyst, [...list, `SELECT max(amount) AS most FROM main.sales WHERE ${filters}`], choices[0]!);
    assert.match(fills(told).at(-1)!, /FROM main\.sales/);
  });

  test('are made of a question that shares with none too, and by an expression where its column has too many values', async (t) => {
    const { store, told, deliver } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    for (const table of ['main.sales', 'raw.sales']) {
      const list = lonelyOf(table);
      for (const sql of list) await keep(analyst, told, [sql, 'SELECT 1 AS one']);
      for (const values of choices) {
        await deliver(100);
        told.length = 0;
        await sameAsAlone(analyst, list, values);
        assert.deepEqual(
          fills(told).map((sql) => /FROM "millrace kept"/.test(sql)),
          list.map(() => true),
        );
      }
    }
  });

  test('answer a question that needs no more than others were kept groups for', async (t) => {
    const { store, told, deliver } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    await keep(analyst, told, tilesOf('raw.sales'));
    const less = [
      `SELECT page, count(*) AS n FROM raw.sales WHERE ${filters} AND page > 'p1' GROUP BY 1 ORDER BY 1`,
      `SELECT sum(amount) AS s FROM raw.sales WHERE day < $from::DATE AND $shop IS NOT NULL`,
    ];
    // That they take long is known after the first time.
    await sameAsAlone(analyst, less, choices[0]!);
    told.length = 0;
    for (let round = 0; round < 3; round++) {
      await deliver(50);
      await sameAsAlone(analyst, less, choices[0]!);
    }
    assert.equal(fills(told).length, 6);
    for (const sql of fills(told)) assert.match(sql, /FROM "millrace kept"/);
    assert.ok(!told.some((sql) => made.test(sql)));
  });

  test('are none by an expression of many values, or that depends on more than its row, nor of a column by itself', async (t) => {
    const { store, told } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    for (const key of [
      'amount',
      'amount + shop',
      `amount > $shop::INTEGER`,
      `age(day, '2026-01-01'::TIMESTAMP + INTERVAL 1 DAY * amount)`,
    ]) {
      const sql = `SELECT ${key} AS k, count(*) AS n FROM main.sales WHERE ${filters} GROUP BY 1 ORDER BY 1 LIMIT 500`;
      for (let round = 0; round < 6; round++) {
        await sameAsAlone(analyst, [sql, 'SELECT 1 AS one'], choices[0]!);
        await sleep(20);
      }
      assert.ok(!told.some((each) => made.test(each)), key);
    }
  });

  test('that can’t be made of all rows are not tried again; those of the condition have their answer', async (t) => {
    const { store, told, change } = await prepared(t);
    const problems: unknown[] = [];
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 }, onProblem: (problem) => problems.push(problem) });
    await change("INSERT INTO main.sales VALUES (DATE '2025-01-01', 1, 'none', 1)", 'main.sales');
    const sql = `SELECT substr(page, 2)::INTEGER AS n, sum(page[2:]::INTEGER) AS s FROM main.sales WHERE ${filters} GROUP BY ALL ORDER BY ALL`;
    for (let round = 0; round < 8; round++) {
      await sameAsAlone(analyst, [sql, 'SELECT 1 AS one'], choices[0]!);
      await sleep(20);
    }
    assert.equal(problems.length, 1);
    assert.ok(!told.some((each) => made.test(each)));
  });

  test('of more questions than there is room for, those stay that are there', async (t) => {
    const { store, told } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0, most: 2 } });
    const list = Array.from(
      { length: 4 },
      (_, k) => `SELECT page, sum(shop + ${k}) AS n FROM main.sales WHERE ${filters} AND shop < ${k + 10} GROUP BY 1 ORDER BY 1`,
    );
    const makings = () => told.filter((sql) => made.test(sql)).length;
    for (let round = 0; round < 5; round++) {
      await together(analyst, list, choices[0]!);
      await sleep(200);
    }
    assert.equal(makings(), 2);
    // Nobody asks for those any more: others take their places.
    const kept = told.filter((sql) => made.test(sql)).map((sql) => Number(/shop \+ (\d)/.exec(sql)![1]));
    const others = list.filter((_, k) => !kept.includes(k));
    for (let round = 0; round < 5; round++) {
      await sameAsAlone(analyst, others, choices[1]!);
      await sleep(200);
    }
    assert.equal(makings(), 4);
  });

  test('take up what is delivered, in the very next answer', async (t) => {
    const { store, told, deliver } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    const list = tilesOf('raw.sales');
    await keep(analyst, told, list);
    for (const values of [...choices.slice(0, 2), ...choices.slice(0, 2)]) {
      told.length = 0;
      await deliver(300);
      await sameAsAlone(analyst, list, values);
      assert.match(told[0]!, /^INSERT INTO "millrace kept"/);
      assert.match(fills(told)[0]!, /FROM "millrace kept"/);
    }
  });

  test('end with any other write to their table, and with none to another', async (t) => {
    const { store, told, change } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    const list = tilesOf('main.sales');
    for (const sql of [
      'INSERT INTO main.sales SELECT * FROM main.sales LIMIT 100',
      'UPDATE main.sales SET amount = amount + 1 WHERE shop = 2',
      'DELETE FROM main.sales WHERE shop = 3',
      'ALTER TABLE main.sales ALTER amount TYPE DECIMAL(12,3)',
      'CREATE OR REPLACE TABLE main.sales AS SELECT DISTINCT day, shop, page, amount FROM raw.sales',
    ]) {
      await keep(analyst, told, list);
      await change('CREATE OR REPLACE TABLE main.other AS SELECT 1 AS n', 'main.other');
      await together(analyst, list, choices[1]!);
      assert.match(fills(told).at(-1)!, /FROM "millrace kept"/, sql);
      await change(sql, 'main.sales');
      await sameAsAlone(analyst, list, choices[1]!);
      assert.match(fills(told).at(-1)!, /FROM main\.sales/, sql);
    }
  });

  test('end with a write that is committed, but not told yet, when a delivery after it is taken up', async (t) => {
    const { store, told, deliver, change } = await prepared(t);
    const late: Store = {
      ...store,
      onCommit: (hear) => store.onCommit((changes, batch) => changes.every(({ kind }) => kind === 'deliver') && hear(changes, batch)),
    };
    const analyst = opened(late, t, { kept: { short: 0, rest: 0 } });
    const list = tilesOf('raw.sales');
    await keep(analyst, told, list);
    await change('DELETE FROM raw.sales WHERE shop = 3', 'raw.sales');
    await deliver(10);
    await sameAsAlone(analyst, list, choices[1]!);
    assert.match(fills(told).at(-1)!, /FROM raw\.sales/);
  });

  test('are none of what depends on more than the rows', async (t) => {
    const { store, told, change } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    await change('CREATE VIEW main.seen AS SELECT * FROM main.sales', 'main.seen');
    const lists = [
      tilesOf('main.seen'),
      ...[
        'sum(amount) FILTER (WHERE shop = $shop::INTEGER)',
        'count(*) FILTER (WHERE day < current_date)',
        'count(*) FILTER (WHERE age(day) > INTERVAL 1 DAY)',
      ].map((figure) => [...tilesOf('main.sales'), `SELECT ${figure} AS f FROM main.sales WHERE ${filters}`]),
      tilesOf('main.sales', `${filters} AND shop IN (SELECT shop FROM raw.sales)`),
      tilesOf('main.sales').map((sql) => `${sql.replace('main.sales', `(SELECT * FROM main.sales)`)}`),
    ];
    for (const list of lists) {
      told.length = 0;
      for (let round = 0; round < 4; round++) {
        await sameAsAlone(analyst, list, choices[0]!);
        await sleep(20);
      }
      assert.ok(!told.some((sql) => made.test(sql)), list.at(-1));
    }
  });

  test('are right whatever is written and asked, in whatever order', async (t) => {
    const { store, told, deliver, change } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    const steps = {
      deliver: () => deliver(50),
      insert: () => change('INSERT INTO main.sales SELECT day, shop, page, amount FROM raw.sales LIMIT 10', 'main.sales'),
      remove: () => change('DELETE FROM raw.sales WHERE _batch % 7 = 3', 'raw.sales'),
      update: () => change("UPDATE raw.sales SET page = 'moved' WHERE shop = 1 AND _batch % 3 = 1", 'raw.sales'),
      raw: (values: Values) => sameAsAlone(analyst, [...tilesOf('raw.sales'), ...lonelyOf('raw.sales')], values),
      main: (values: Values) => sameAsAlone(analyst, [...tilesOf('main.sales'), ...lonelyOf('main.sales')], values),
      rest: () => sleep(20),
    };
    const step = fc.constantFrom(
      ...(['deliver', 'deliver', 'insert', 'remove', 'update', 'raw', 'raw', 'raw', 'main', 'main', 'rest', 'rest'] as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.constantFrom(...choices)), { minLength: 10, maxLength: 25 }), async (list) => {
        for (const [name, values] of list) await steps[name](values);
      }),
      { numRuns: process.env['MILLRACE_LONG'] === '1' ? 40 : 3 },
    );
    assert.ok(told.some((sql) => made.test(sql)) && told.some((sql) => sql.startsWith('INSERT INTO "millrace kept"')));
  });

  test('are made when nobody has asked for a moment', async (t) => {
    const { store, told } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 400 } });
    const list = tilesOf('main.sales');
    for (const end = performance.now() + 1500; performance.now() < end; ) await together(analyst, list, choices[0]!);
    assert.ok(!told.some((sql) => made.test(sql)));
    for (let tries = 0; tries < 100 && !told.some((sql) => made.test(sql)); tries++) await sleep(50);
    assert.ok(told.some((sql) => made.test(sql)));
  });

  test('give way while they are made to who asks, but not for ever', async (t) => {
    const { store } = await prepared(t);
    let making = 0;
    let ended = 0;
    let done = 0;
    const slow: Store = {
      ...store,
      async reader(temporary) {
        const reader = await store.reader(temporary);
        const { promise: interrupted, resolve } = Promise.withResolvers<boolean>();
        return {
          ...reader,
          async own(sql, values) {
            if (made.test(sql)) {
              making++;
              if (await Promise.race([interrupted, sleep(300, false)])) {
                ended++;
                throw new Error('INTERRUPT Error: Interrupted!');
              }
              done++;
            }
            return reader.own(sql, values);
          },
          interrupt() {
            resolve(true);
            reader.interrupt();
          },
        };
      },
    };
    const problems: unknown[] = [];
    const analyst = opened(slow, t, { kept: { short: 0, rest: 0, polite: 2 }, onProblem: (problem) => problems.push(problem) });
    const list = tilesOf('main.sales');
    for (let tries = 0; making === 0 && tries < 100; tries++) await together(analyst, list, choices[0]!).then(() => sleep(10));
    for (let tries = 0; done === 0 && tries < 100; tries++) {
      const before = making;
      await sameAsAlone(analyst, list, choices[1]!);
      for (let waits = 0; making === before && done === 0 && waits < 20; waits++) await sleep(10);
    }
    assert.deepEqual([making, ended, done, problems], [3, 2, 1, []]);
    await sleep(50);
    await sameAsAlone(analyst, list, choices[1]!);
  });

  test('are let go when Millrace ends, also while they are made', async (t) => {
    const { store, told } = await prepared(t);
    const analyst = opened(store, t, { kept: { short: 0, rest: 0 } });
    const list = tilesOf('main.sales');
    for (let round = 0; round < 3; round++) await together(analyst, list, choices[0]!);
    await analyst.close();
    const before = told.length;
    await sleep(50);
    assert.equal(told.length, before);
  });
});

test('the making of groups is the first that is given up where memory is short, or takes too long; no question ends, and it is not tried again', async (t) => {
  for (const within of [60_000, 200]) {
    const { store, told } = await prepared(t);
    let making = 0;
    const { promise: given, resolve: giveUp } = Promise.withResolvers<void>();
    const slow: Store = {
      ...store,
      async reader(temporary) {
        const reader = await store.reader(temporary);
        let endless = false;
        return {
          ...reader,
          async own(sql, values) {
            if (!made.test(sql)) return reader.own(sql, values);
            making++;
            endless = true;
            await given;
            throw new Error('INTERRUPT Error: Interrupted!');
          },
          interrupt() {
            if (endless) giveUp();
            reader.interrupt();
          },
        };
      },
    };
    const problems: unknown[] = [];
    const analyst = opened(slow, t, { kept: { short: 0, rest: 0, polite: 0, within }, onProblem: (problem) => problems.push(problem) });
    const list = tilesOf('main.sales');
    const ask = () => together(analyst, list, choices[0]!);
    for (let tries = 0; making === 0 && tries < 100; tries++) await ask().then(() => sleep(10));
    assert.equal(making, 1);
    if (within > 1000) {
      const long = alone(analyst, 'SELECT count(*) FROM range(20000) a, range(8000) b WHERE a.range * b.range % 7 = 3');
      await sleep(300);
      assert.equal(analyst.relieve()?.who, 'millrace');
      assert.equal(typeof (await long), 'object', 'the question has its answer');
    } else await given;
    for (let again = 0; again < 4; again++) await ask();
    assert.deepEqual([making, problems], [1, []]);
    assert.equal(told.filter((sql) => made.test(sql)).length, 0);
  }
});
