/** What every warehouse has to keep behind the store's contract. `open` opens it on a folder; opened again, it goes on where it was. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { MillraceError } from '#core';
import type { Change, Delivery, Store } from '#store';
import { topicOf } from '../collect/fixture.ts';
import { column, columnsOf, count, delivery, folder, type Record as LogRecord } from './fixture.ts';

type Open = (dataPath: string) => Promise<Store>;

const plain = topicOf('plain', 'drift: evolve\nid: id');
const T0 = Date.UTC(2026, 0, 1) * 1000;
const HOUR = 3_600_000_000;
const MONTH = 30 * 24 * HOUR;
const of = (id: string, time?: number, more: Partial<LogRecord> = {}): LogRecord => ({
  json: `{"id":"${id}"}`,
  id,
  ...(time === undefined ? {} : { time }),
  ...more,
});

export function storeContract(name: string, open: Open): void {
  const opened = async (t: TestContext, path = folder(t)): Promise<Store> => {
    const store = await open(path);
    t.after(() => store.close());
    return store;
  };

  describe(`the store ${name} takes each record once`, () => {
    test('when a slice comes again, overlaps, comes out of order, twice at once or twice in one call', async (t) => {
      const store = await opened(t);
      // Without ids nothing but the positions can tell.
      const records = ['1', '2', '3', '4'].map((n): LogRecord => ({ json: `{"n":${n}}` }));
      const first = delivery(plain, 0, records.slice(0, 2));
      const second = delivery(plain, first.to, records.slice(2));
      const both = delivery(plain, 0, records);
      assert.deepEqual(await store.deliver([second]), [], 'what comes before its turn is left out');
      const atOnce = await Promise.all([store.deliver([first]), store.deliver([first, first]), store.deliver([first])]);
      assert.deepEqual(
        atOnce.flat().map(({ rows }) => rows),
        [2],
      );
      assert.deepEqual(await store.deliver([both]), []);
      assert.equal((await store.deliver([second, first])).length, 1);
      assert.deepEqual(await column(store, 'SELECT n FROM raw.plain ORDER BY _position'), [1n, 2n, 3n, 4n]);
      assert.equal(store.positions().get('plain'), second.to);
    });

    test('through any series of deliveries, closings and failures', async (t) => {
      const topic = topicOf('random', 'drift: evolve\nid: id');
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(9), fc.nat(2)), { minLength: 1, maxLength: 12 }),
          fc.array(
            fc.oneof(
              { weight: 5, arbitrary: fc.tuple(fc.nat(12), fc.nat(12)) },
              { weight: 1, arbitrary: fc.constantFrom('reopen' as const, 'fail' as const) },
            ),
            { maxLength: 12 },
          ),
          async (records, steps) => {
            const path = join(folder(t), `${run++}`);
            let store = await open(path);
            const lines = records.map(([id, hour]) => of(`${id}`, T0 + hour * HOUR));
            const ends = [0];
            for (const line of lines) ends.push(delivery(topic, ends.at(-1)!, [line]).to);
            const slice = (a: number, b: number) => delivery(topic, ends[a]!, lines.slice(a, b));
            for (const step of [...steps, ...lines.map((_, k) => [k, lines.length] as const)]) {
              if (step === 'reopen') {
                await store.close();
                store = await open(path);
              } else if (step === 'fail') {
                const at = store.positions().get('random') ?? 0;
                const bad: Delivery = { topic, from: at, to: at + 9, lines: [Buffer.from('no line\n')] };
                await assert.rejects(store.deliver([bad]), { code: 'STORE_WRITE' });
              } else {
                const [a, b] = [Math.min(step[0], lines.length), Math.min(step[1], lines.length)];
                if (a < b) await store.deliver([slice(a, b)]);
              }
            }
            const expected = new Set(records.map(([id, hour]) => `${id}@${hour}`));
            const found = (await store.rows(`SELECT id, (epoch_us(_time) - ${T0}) // ${HOUR} AS hour FROM raw.random`)).map(
              (row) => `${row['id']}@${row['hour']}`,
            );
            await store.close();
            assert.deepEqual(found.sort(), [...expected].sort());
          },
        ),
        { numRuns: 8 },
      );
    });

    test('of a stream that comes promptly or late, repeats itself, jumps back in time and does not always fit', async (t) => {
      const topic = topicOf('stream', 'id: id\nfields: {id: text, n: integer}');
      const SECOND = 1_000_000;
      // Known fields alone, as intake says of most records: what is new is told by what came lately, and taken in one statement.
      const record = fc.record({
        id: fc.oneof({ weight: 4, arbitrary: fc.nat(25).map(String) }, { weight: 1, arbitrary: fc.constant(undefined) }),
        ago: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1, 30, 59) }, { weight: 1, arbitrary: fc.constantFrom(61, 3000, -5) }),
        value: fc.oneof({ weight: 9, arbitrary: fc.nat(9).map(String) }, { weight: 1, arbitrary: fc.constant('"many"') }),
      });
      const slice = fc.record({ pause: fc.integer({ min: -90, max: 150 }), records: fc.array(record, { minLength: 1, maxLength: 15 }) });
      const step = fc.oneof({ weight: 8, arbitrary: slice }, { weight: 1, arbitrary: fc.constant('reopen' as const) });
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
          const path = join(folder(t), `${run++}`);
          let store = await open(path);
          const expected: string[] = [];
          const known = new Set<string>();
          let [now, at, misfits, repeated] = [T0, 0, 0, 0];
          let told = { rows: 0, duplicates: 0, quarantined: 0 };
          for (const step of steps) {
            if (step === 'reopen') {
              await store.close();
              store = await open(path);
              continue;
            }
            now += step.pause * SECOND;
            const lines = step.records.map(({ id, ago, value }): LogRecord => {
              const time = now - ago * SECOND;
              if (value === '"many"') misfits++;
              else if (id !== undefined && known.has(`${id}@${time}`)) repeated++;
              else {
                expected.push(`${id ?? ''}@${time}=${value}`);
                if (id !== undefined) known.add(`${id}@${time}`);
              }
              return { json: `{"n":${value}}`, ...(id !== undefined && { id }), time, received: now, unknown: false };
            });
            const one = delivery(topic, at, lines);
            const [taken] = await store.deliver([one]);
            told = {
              rows: told.rows + taken!.rows,
              duplicates: told.duplicates + taken!.duplicates,
              quarantined: told.quarantined + taken!.quarantined,
            };
            at = one.to;
          }
          const found =
            at === 0 ? [] : await column(store, `SELECT coalesce(_id, '') || '@' || epoch_us(_time) || '=' || n FROM raw.stream`);
          await store.close();
          assert.deepEqual((found as string[]).sort(), expected.sort());
          assert.deepEqual(told, { rows: expected.length, duplicates: repeated, quarantined: misfits });
        }),
        { numRuns: process.env['MILLRACE_LONG'] === '1' ? 250 : 25 },
      );
    });

    test('when a retry stands in the same slice, in a later one, or comes months later; another time is another record', async (t) => {
      const store = await opened(t);
      const first = delivery(plain, 0, [of('a', T0), of('b', T0), of('a', T0), of('a', T0 + 1)]);
      assert.deepEqual(
        (await store.deliver([first])).map(({ rows, duplicates }) => [rows, duplicates]),
        [[3, 1]],
      );
      const filler = delivery(
        plain,
        first.to,
        Array.from({ length: 100 }, (_, k) => of(`f${k}`, T0 + k * 24 * HOUR)),
      );
      await store.deliver([filler]);
      const late = delivery(plain, filler.to, [
        of('a', T0, { received: T0 + 9 * MONTH }),
        of('c', T0 + 8 * MONTH),
        of('f50', T0 + 50 * 24 * HOUR),
        of('a', T0 + 2),
      ]);
      assert.deepEqual(
        (await store.deliver([late])).map(({ rows, duplicates }) => [rows, duplicates]),
        [[2, 2]],
      );
      assert.equal(await count(store, "raw.plain WHERE id = 'a'"), 3);
    });

    test('when the clock jumps back behind all that was received before', async (t) => {
      const store = await opened(t);
      const topic = topicOf('jumps', 'id: id\nfields: {id: text, n: integer}');
      let at = 0;
      const took: number[][] = [];
      for (const back of [0, 61, 61, 3600, 3600, 59, 59, 0]) {
        const time = T0 - back * 1_000_000;
        const one = delivery(topic, at, [{ json: '{"n":1}', id: 'a', time, received: time, unknown: false }]);
        at = one.to;
        took.push((await store.deliver([one])).map(({ rows }) => rows));
      }
      assert.deepEqual(took.flat(), [1, 1, 0, 1, 0, 1, 0, 0]);
    });

    test('without a time only for as long as the topic remembers', async (t) => {
      const store = await opened(t);
      const topic = { ...plain, dedupeWindow: 3_600_000 };
      const first = delivery(topic, 0, [of('a', undefined, { received: T0 }), of('a', undefined, { received: T0 })]);
      await store.deliver([first]);
      const soon = delivery(topic, first.to, [of('a', undefined, { received: T0 + HOUR - 1 })]);
      await store.deliver([soon]);
      assert.equal(await count(store, 'raw.plain'), 1);
      const later = delivery(topic, soon.to, [of('a', undefined, { received: T0 + HOUR + 1 }), of('a', T0)]);
      await store.deliver([later]);
      assert.equal(await count(store, 'raw.plain'), 3);
    });

    test('records without an id are all taken', async (t) => {
      const store = await opened(t);
      const [taken] = await store.deliver([delivery(plain, 0, Array(5).fill({ json: '{"a":1}', time: T0 }))]);
      assert.deepEqual([taken!.rows, taken!.duplicates], [5, 0]);
    });

    test('and says what it took in system rows that are appended, one for each topic of a batch', async (t) => {
      const store = await opened(t);
      const seen: [string, number, number][] = [];
      store.onCommit((changes: readonly Change[], batch) =>
        seen.push(...changes.map((change): [string, number, number] => [change.target, change.rows, batch])),
      );
      const other = topicOf('other', '{}');
      const first = delivery(plain, 0, [of('a', T0), of('a', T0), of('b', T0 + 5)]);
      await store.deliver([first, delivery(other, 0, [{ json: '{"x":1}' }])]);
      await store.deliver([delivery(plain, first.to, [of('c', T0)])]);
      assert.deepEqual(seen, [
        ['raw.plain', 2, 1],
        ['raw.other', 1, 1],
        ['raw.plain', 1, 2],
      ]);
      assert.equal(store.batch(), 2);
      const rows = await store.rows(
        `SELECT batch, target, from_position, to_position, rows, duplicates, quarantined, epoch_us(min_time) AS lo, epoch_us(max_time) AS hi FROM millrace.batch WHERE topic = 'plain' ORDER BY batch`,
      );
      assert.deepEqual(rows[0], {
        batch: 1n,
        target: 'raw.plain',
        from_position: 0n,
        to_position: BigInt(first.to),
        rows: 2n,
        duplicates: 1n,
        quarantined: 0n,
        lo: BigInt(T0),
        hi: BigInt(T0 + 5),
      });
      assert.deepEqual(await column(store, 'SELECT _batch FROM raw.plain ORDER BY _position'), [1n, 1n, 2n]);
    });
  });

  describe(`the store ${name} makes columns`, () => {
    test('of fields that it sees, by what they hold, and leaves out those that hold nothing or can not be told apart', async (t) => {
      const store = await opened(t);
      const fields =
        '"i":1,"x":1.5,"s":"t","b":true,"o":{"a":1},"l":[1],"nothing":null,"_own":1,"data":1,"":1,"한글":1,"with space":1,"Twin":1,"twin":2,"line\\nbreak":1';
      await store.deliver([
        delivery(topicOf('made', 'drift: evolve'), 0, [{ json: `{${fields},"${'n'.repeat(63)}":1,"${'n'.repeat(64)}":1}` }]),
      ]);
      assert.deepEqual(await columnsOf(store, 'raw.made'), {
        Twin: 'BIGINT',
        b: 'BOOLEAN',
        i: 'BIGINT',
        l: 'JSON',
        ['n'.repeat(63)]: 'BIGINT',
        o: 'JSON',
        s: 'VARCHAR',
        'with space': 'BIGINT',
        x: 'DOUBLE',
        한글: 'BIGINT',
      });
      assert.equal((await store.rows('SELECT data FROM raw.made'))[0]!['data'], `{${fields},"${'n'.repeat(63)}":1,"${'n'.repeat(64)}":1}`);
    });

    test('and widens them for what comes later, keeping what is there', async (t) => {
      const store = await opened(t);
      const topic = topicOf('wide', 'drift: evolve');
      let at = 0;
      const types: string[] = [];
      for (const value of ['1', '9007199254740991', '1.5', '"text"', '[1]', 'null']) {
        const one = delivery(topic, at, [{ json: `{"v":${value}}` }]);
        await store.deliver([one]);
        at = one.to;
        types.push((await columnsOf(store, 'raw.wide'))['v']!);
      }
      assert.deepEqual(types, ['BIGINT', 'BIGINT', 'DOUBLE', 'VARCHAR', 'VARCHAR', 'VARCHAR']);
      assert.deepEqual(await column(store, 'SELECT v FROM raw.wide ORDER BY _position'), [
        '1',
        '9007199254740991',
        '1.5',
        'text',
        '[1]',
        null,
      ]);
    });

    test('but never drops digits when it does', async (t) => {
      const store = await opened(t);
      const topic = topicOf('digits', 'drift: evolve');
      const first = delivery(topic, 0, [{ json: '{"v":9007199254740993}' }]);
      await store.deliver([first]);
      const second = delivery(topic, first.to, [{ json: '{"v":1.5}' }]);
      await store.deliver([second]);
      await store.deliver([delivery(topic, second.to, [{ json: '{"v":12345678901234567890123}' }])]);
      assert.deepEqual(await column(store, 'SELECT v::VARCHAR FROM raw.digits ORDER BY _position'), [
        '9007199254740993',
        '1.5',
        '12345678901234567890123',
      ]);
    });

    test('up to two hundred; the rest stays in data', async (t) => {
      const store = await opened(t);
      const topic = topicOf('sparse', 'drift: evolve\nfields: {declared: text}');
      const first = delivery(topic, 0, [
        { json: `{${Array.from({ length: 250 }, (_, k) => `"k${String(k).padStart(3, '0')}":${k}`).join()}}` },
      ]);
      const [taken] = await store.deliver([first]);
      assert.equal(taken!.columns.length, 200);
      await store.deliver([delivery(topic, first.to, [{ json: '{"k249":1,"k000":7,"late":1}' }])]);
      assert.equal(Object.keys(await columnsOf(store, 'raw.sparse')).length, 200);
      assert.deepEqual(await column(store, "SELECT json_extract_string(data, 'k249') FROM raw.sparse ORDER BY _position"), ['249', '1']);
      assert.deepEqual(await column(store, 'SELECT k000 FROM raw.sparse ORDER BY _position'), [0n, 7n]);
    });

    test('of nothing but the declared fields when the topic discards the others', async (t) => {
      const store = await opened(t);
      const topic = topicOf('kept', 'drift: discard\nfields: {a: integer}');
      await store.deliver([delivery(topic, 0, [{ json: '{"a":1,"b":2}', unknown: false }])]);
      assert.deepEqual(await columnsOf(store, 'raw.kept'), { a: 'BIGINT' });
      assert.deepEqual(await column(store, 'SELECT data FROM raw.kept'), ['{"a":1,"b":2}']);
    });

    test('brings a table up to a definition that changed: new fields, new types where all values fit, else the old one', async (t) => {
      const store = await opened(t);
      const before = topicOf('changed', 'fields: {n: text, w: text, i: integer}');
      const first = delivery(before, 0, [
        { json: '{"n":"1","w":"1","i":1}', unknown: false },
        { json: '{"n":"22","w":"word","i":2}', unknown: false },
      ]);
      await store.deliver([first]);
      const after = topicOf('changed', 'fields: {n: integer, w: integer, i: {type: "decimal(18,2)"}, more: boolean}');
      const second = delivery(after, first.to, [
        { json: '{"n":3,"w":"still text","i":1.25,"more":true}', unknown: false },
        { json: '{"n":"no","w":"x"}', id: 'key:anna:k:1', unknown: false },
      ]);
      const [taken] = await store.deliver([second]);
      assert.deepEqual(await columnsOf(store, 'raw.changed'), { n: 'BIGINT', w: 'VARCHAR', i: 'DECIMAL(18,2)', more: 'BOOLEAN' });
      assert.deepEqual([taken!.rows, taken!.quarantined], [1, 1]);
      assert.deepEqual(await column(store, 'SELECT n FROM raw.changed ORDER BY _position'), [1n, 22n, 3n]);
      assert.deepEqual(await column(store, 'SELECT i::VARCHAR FROM raw.changed ORDER BY _position'), ['1.00', '2.00', '1.25']);
      const [row] = await store.rows('SELECT topic, code, reason, decode(body) AS body, record FROM millrace.quarantine');
      assert.deepEqual(row, {
        topic: 'changed',
        code: 'RECORD_FIELD',
        reason: 'The value no of "n" does not fit BIGINT.',
        body: '{"n":"no","w":"x"}',
        record: 'key:anna:k:1',
      });
    });

    test('with names that look like code', async (t) => {
      const store = await opened(t);
      const names = ['a"; DROP TABLE raw.evil; --', "it's", 'x.y', '$.a', '/p~q', '*', 'p', 'v0', 'select'];
      await store.deliver([
        delivery(topicOf('evil', 'drift: evolve'), 0, [{ json: JSON.stringify(Object.fromEntries(names.map((n, k) => [n, k]))) }]),
      ]);
      assert.deepEqual(Object.keys(await columnsOf(store, 'raw.evil')).sort(), [...names].sort());
      const [row] = await store.rows('SELECT * FROM raw.evil');
      for (const [k, n] of names.entries()) assert.equal(row![n], BigInt(k));
    });
  });

  describe(`the store ${name} writes in one lane`, () => {
    test('in the order in which it was asked, each batch with the next number', async (t) => {
      const store = await opened(t);
      await store.write(async (tx) => {
        await tx.run('CREATE TABLE main.log (n BIGINT, batch BIGINT)');
        tx.changed({ kind: 'statement', target: 'main.log', rows: 0 });
      });
      const writes = Array.from({ length: 20 }, (_, n) =>
        store.write(async (tx) => {
          await new Promise((resolve) => setTimeout(resolve, (20 - n) % 3));
          await tx.run(`INSERT INTO main.log VALUES (${n}, ${tx.batch})`);
          tx.changed({ kind: 'statement', target: 'main.log', rows: 1 });
        }),
      );
      await Promise.all(writes);
      assert.deepEqual(
        await store.rows('SELECT n, batch FROM main.log ORDER BY rowid'),
        Array.from({ length: 20 }, (_, n) => ({ n: BigInt(n), batch: BigInt(n + 2) })),
      );
    });

    test('and leaves nothing of a write that fails: no rows, no column, no position, no batch', async (t) => {
      const store = await opened(t);
      const first = delivery(plain, 0, [of('a', T0)]);
      await store.deliver([first]);
      const other = topicOf('other', '{}');
      const good = delivery(other, 0, [{ json: '{"x":1}' }]);
      const bad: Delivery = {
        ...delivery(plain, first.to, [{ json: '{"id":"b","fresh":1}', id: 'b' }]),
        lines: [Buffer.from('not a line\n')],
      };
      await assert.rejects(store.deliver([good, bad]), { code: 'STORE_WRITE' });
      await assert.rejects(
        store.write(async (tx) => {
          await tx.run('CREATE TABLE main.gone (a INT)');
          tx.changed({ kind: 'statement', target: 'main.gone', rows: 0 });
          throw new Error('on purpose');
        }),
        { code: 'STORE_WRITE' },
      );
      assert.deepEqual([...store.positions()], [['plain', first.to]]);
      assert.deepEqual([store.batch(), await count(store, 'millrace.batch')], [1, 1]);
      assert.deepEqual(
        (await store.tables()).filter(({ schema }) => schema === 'raw' || schema === 'main').map(({ name: table }) => table),
        ['plain'],
      );
      const again = delivery(plain, first.to, [{ json: '{"id":"b","fresh":1}', id: 'b' }]);
      assert.equal((await store.deliver([good, again])).length, 2);
      assert.deepEqual(await column(store, 'SELECT fresh FROM raw.plain ORDER BY _position'), [null, 1n]);
    });

    test('a probe says what the engine says and changes nothing', async (t) => {
      const store = await opened(t);
      const good = delivery(plain, 0, [of('a', T0)]);
      assert.equal(await store.probe(good), null);
      assert.match((await store.probe({ ...good, lines: [Buffer.from('not a line\n')] })) ?? '', /./);
      assert.deepEqual([store.batch(), store.positions().size, (await store.names()).has('raw.plain')], [0, 0, false]);
      assert.equal((await store.deliver([good])).length, 1);
    });

    test('what was committed is there after the store was opened again, batch numbers and positions too', async (t) => {
      const path = folder(t);
      const first = await open(path);
      const one = delivery(plain, 0, [of('a', T0), of('b', T0)]);
      await first.deliver([one]);
      await first.close();
      const store = await opened(t, path);
      assert.deepEqual([store.batch(), store.positions().get('plain')], [1, one.to]);
      const [taken] = await store.deliver([delivery(plain, one.to, [of('b', T0), of('c', T0)])]);
      assert.deepEqual([taken!.rows, taken!.duplicates, store.batch()], [1, 1, 2]);
    });
  });

  describe(`the store ${name} loads files`, () => {
    const fileOf = (t: TestContext, file: string, content: string | Buffer) => {
      const path = join(folder(t), file);
      writeFileSync(path, content);
      return path;
    };
    const csv = (t: TestContext, content: string) => ({ file: fileOf(t, 'a.csv', content), format: 'csv' as const, key: null });

    test('appends, replaces and creates, from CSV, NDJSON and Parquet, and tells rows and columns', async (t) => {
      const store = await opened(t);
      const made = await store.load({ table: 'shop.orders', mode: 'append', ...csv(t, 'id,amount,name\n1,1.5,밀레\n2,2.5,"a,b"\n') });
      assert.deepEqual(made, {
        table: 'shop.orders',
        rows: 2,
        batch: 1,
        columns: [
          { name: 'id', type: 'BIGINT' },
          { name: 'amount', type: 'DOUBLE' },
          { name: 'name', type: 'VARCHAR' },
        ],
      });
      // In another order, with one column less.
      await store.load({
        table: 'shop.orders',
        mode: 'append',
        file: fileOf(t, 'b.ndjson', '{"name":"c","id":3}\n'),
        format: 'ndjson',
        key: null,
      });
      assert.deepEqual(await column(store, 'SELECT name FROM shop.orders ORDER BY id'), ['밀레', 'a,b', 'c']);
      const parquet = join(folder(t), 'p.parquet');
      const reader = await store.reader();
      await reader.toParquet('SELECT id FROM shop.orders', undefined, join(store.folders.slices, 'p.parquet'));
      reader.close();
      const { copyFileSync } = await import('node:fs');
      copyFileSync(join(store.folders.slices, 'p.parquet'), parquet);
      const replaced = await store.load({ table: 'shop.orders', mode: 'replace', file: parquet, format: 'parquet', key: null });
      assert.deepEqual([replaced.rows, replaced.columns.length], [3, 1]);
      await assert.rejects(store.load({ table: 'shop.orders', mode: 'create', ...csv(t, 'a\n1\n') }), { code: 'TABLE_NAME' });
      assert.equal((await store.load({ table: 'shop.fresh', mode: 'create', ...csv(t, 'a\n1\n') })).rows, 1);
      assert.equal((await store.tables()).find(({ name: table }) => table === 'fresh')!.origin, 'load');
    });

    test('a load with a key is written once; the retry gets the first answer', async (t) => {
      const store = await opened(t);
      const load = { table: 'main.k', mode: 'append' as const, ...csv(t, 'a\n1\n2\n'), key: 'key-1' };
      const [first, again] = await Promise.all([store.load(load), store.load(load)]);
      assert.deepEqual(first, again);
      assert.equal((await store.load({ ...load, key: 'key-2' })).batch, 2);
      assert.equal(await count(store, 'main.k'), 4);
    });

    test('refuses what does not fit as a whole, and what is no such file', async (t) => {
      const store = await opened(t);
      await store.load({ table: 'main.t', mode: 'append', ...csv(t, 'a\n1\n') });
      await assert.rejects(store.load({ table: 'main.t', mode: 'append', ...csv(t, 'b\n2\n') }), { code: 'LOAD_COLUMNS' });
      await assert.rejects(store.load({ table: 'main.t', mode: 'append', ...csv(t, 'a\n2\nword\n') }), { code: 'LOAD_VALUE' });
      for (const [format, content] of [
        ['parquet', 'PAR1 but not really'],
        ['ndjson', '{"a":1}\n{"a":\n'],
        ['csv', Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a])],
      ] as const) {
        const refused = store.load({ table: 'main.u', mode: 'append', file: fileOf(t, `x.${format}`, content), format, key: null });
        await assert.rejects(
          refused,
          (error: { code: string; message: string }) => error.code === 'LOAD_FILE' && !error.message.includes('/tmp/'),
          format,
        );
      }
      assert.deepEqual([await count(store, 'main.t'), (await store.names()).has('main.u')], [1, false]);
    });

    test('refuses a file of which the table’s types would change a value, naming it, and takes what they keep', async (t) => {
      const store = await opened(t);
      const fill = (type: string) =>
        store.write(async (tx) => {
          await tx.run(`CREATE OR REPLACE TABLE main.x (v ${type})`);
          tx.changed({ kind: 'statement', target: 'main.x', rows: 0 });
        });
      const load = (format: 'csv' | 'ndjson', lines: readonly string[]) => {
        const content = format === 'csv' ? ['v', ...lines] : lines.map((line) => `{"v":${line}}`);
        return store.load({
          table: 'main.x',
          mode: 'append',
          file: fileOf(t, `v.${format}`, `${content.join('\n')}\n`),
          format,
          key: null,
        });
      };
      for (const [type, value, formats, shown = value] of [
        ['BIGINT', '1.5', 'csv ndjson'],
        ['BIGINT', '9223372036854775808', 'csv ndjson'],
        ['INTEGER', '2147483648', 'csv ndjson'],
        ['BIGINT', '9007199254740993.0', 'ndjson', '9007199254740992.0'],
        ['DECIMAL(18,2)', '1.005', 'csv ndjson'],
        ['DECIMAL(38,2)', '12345678901234567.89', 'ndjson', '1.2345678901234568e+16'],
        ['DOUBLE', '9007199254740993', 'csv ndjson'],
        ['DOUBLE', '1e400', 'csv ndjson'],
        ['FLOAT', '0.123456789012', 'csv ndjson'],
        ['BOOLEAN', '5', 'csv ndjson'],
        ['DATE', '2026-03-01 10:00:00', 'csv'],
        ['BIGINT', 'word', 'csv'],
        ['BIGINT[]', '[1.5]', 'ndjson', '[1.5]'],
      ] as const) {
        for (const format of formats.split(' ') as ('csv' | 'ndjson')[]) {
          await fill(type);
          await assert.rejects(load(format, format === 'csv' ? [value] : ['null', value]), (error: MillraceError) => {
            assert.deepEqual(
              [error.code, error.params['column'], error.params['value'], error.params['type']],
              ['LOAD_VALUE', 'v', shown, type],
            );
            return true;
          });
          assert.equal(await count(store, 'main.x'), 0);
        }
      }
      for (const [type, format, value, kept = value] of [
        ['BIGINT', 'csv', '9007199254740993'],
        ['BIGINT', 'csv', '2.0', '2'],
        ['BIGINT', 'ndjson', '2.0', '2'],
        ['BIGINT', 'csv', ' 7', '7'],
        ['HUGEINT', 'csv', '123456789012345678901'],
        ['DECIMAL(38,2)', 'csv', '12345678901234567.89'],
        ['DECIMAL(18,6)', 'ndjson', '0.00001', '0.000010'],
        ['DECIMAL(18,2)', 'ndjson', '1.1', '1.10'],
        ['FLOAT', 'csv', '0.1'],
        ['DOUBLE', 'csv', '5', '5.0'],
        ['VARCHAR', 'csv', '007'],
        ['VARCHAR', 'csv', '1.10'],
        ['VARCHAR', 'ndjson', '"2026-03-01T00:00:00Z"', '2026-03-01T00:00:00Z'],
        ['DATE', 'csv', '2026-03-01'],
        ['TIMESTAMP', 'csv', '2026-03-01', '2026-03-01 00:00:00'],
        ['JSON', 'ndjson', '{"a":1}'],
        ['BIGINT[]', 'ndjson', '[1, 2]'],
      ] as const) {
        await fill(type);
        await load(format, [value]);
        assert.deepEqual(await store.rows('SELECT CAST(v AS VARCHAR) AS v FROM main.x'), [{ v: kept }], `${type} ${format} ${value}`);
      }
    });

    test('refuses names that are not a user’s to write', async (t) => {
      const store = await opened(t);
      for (const table of [
        'raw.orders',
        'millrace.batch',
        'system.x',
        'change.x',
        'late.x',
        'information_schema.x',
        'a.b.c',
        'A',
        '"x"',
        '',
        'x;y',
        '../x',
        `n${'x'.repeat(63)}`,
      ]) {
        await assert.rejects(store.load({ table, mode: 'append', ...csv(t, 'a\n1\n') }), { code: 'TABLE_NAME' }, table);
      }
    });

    test('takes a file with a hostile name, and never reads another file for what a file says', async (t) => {
      const store = await opened(t);
      const file = fileOf(t, "o'; DROP TABLE x; --*.csv", "a\n'/etc/passwd'\n");
      assert.equal((await store.load({ table: 'main.h', mode: 'append', file, format: 'csv', key: null })).rows, 1);
      assert.deepEqual(await column(store, 'SELECT * FROM main.h'), ['/etc/passwd']);
    });
  });

  describe(`the store ${name} describes what it holds`, () => {
    test('tables and views with columns, rows, origin; names without regard to case', async (t) => {
      const store = await opened(t);
      await store.deliver([delivery(plain, 0, [of('a', T0)])]);
      await store.write(async (tx) => {
        await tx.run('CREATE TABLE main."Mine" (a DECIMAL(18,2), b TIMESTAMPTZ)');
        await tx.run('CREATE VIEW mart.v AS SELECT a FROM main."Mine"');
        tx.changed({ kind: 'statement', target: 'main.Mine', rows: 0 });
      });
      const tables = await store.tables();
      const shown = tables
        .filter(({ schema }) => schema !== 'millrace')
        .map(({ schema, name: table, kind, origin, rows }) => [schema, table, kind, origin, rows]);
      assert.deepEqual(shown, [
        ['main', 'Mine', 'table', 'statement', 0],
        ['mart', 'v', 'view', 'statement', null],
        ['raw', 'plain', 'table', 'topic', 1],
      ]);
      assert.deepEqual(tables.find(({ name: table }) => table === 'Mine')!.columns, [
        { name: 'a', type: 'DECIMAL(18,2)' },
        { name: 'b', type: 'TIMESTAMP WITH TIME ZONE' },
      ]);
      const names = await store.names();
      assert.ok(names.has('main.mine') && names.has('mart.v') && names.has('raw.plain'));
    });

    test('and knows a new name as soon as it is committed', async (t) => {
      const store = await opened(t);
      assert.equal((await store.names()).has('raw.plain'), false);
      await store.deliver([delivery(plain, 0, [of('a', T0)])]);
      assert.equal((await store.names()).has('raw.plain'), true);
    });
  });

  describe(`the store ${name} is locked down`, () => {
    for (const sql of [
      "SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM '/etc/passwd.csv'",
      "COPY (SELECT 1) TO '/tmp/millrace-escape.csv'",
      "ATTACH '/tmp/millrace-escape.duckdb'",
      'INSTALL httpfs',
      'LOAD httpfs',
      'SET threads = 64',
      "SET allowed_configs = ['threads']",
      'SET lock_configuration = false',
    ]) {
      test(`${sql} is refused by the engine itself`, async (t) => {
        const store = await opened(t);
        await assert.rejects(store.rows(sql), /Permission|locked|disabled|not allowed|Cannot change|configuration/i);
      });
    }

    test('sessions are in UTC', async (t) => {
      const store = await opened(t);
      assert.deepEqual(await column(store, "SELECT CAST(TIMESTAMPTZ '2026-03-01 09:00:00+09' AS VARCHAR)"), ['2026-03-01 00:00:00+00']);
    });
  });
}
