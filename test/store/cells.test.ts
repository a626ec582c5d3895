import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { newTextBuffer, type Store } from '#store';
import { freshStore } from './fixture.ts';

/** All cells of a result, by column: JSON tokens, and plain texts. */
async function cells(
  store: Store,
  sql: string,
  values?: Readonly<Record<string, unknown>>,
): Promise<{ json: string[][]; text: (string | null)[][] }> {
  const reader = await store.reader();
  try {
    const result = await reader.stream(sql, values);
    const json: string[][] = result.columns.map(() => []);
    const text: (string | null)[][] = result.columns.map(() => []);
    const buffer = newTextBuffer();
    const written = (write: () => boolean) => {
      const from = buffer.end;
      return write() ? buffer.bytes.toString('utf8', from, buffer.end) : null;
    };
    for (let chunk = await result.next(); chunk !== null; chunk = await result.next()) {
      const { rows } = chunk;
      for (const column of json.keys()) {
        for (let row = 0; row < rows; row++) {
          json[column]!.push(written(() => chunk!.json(column, row, buffer) === undefined)!);
          text[column]!.push(written(() => chunk!.text(column, row, buffer)));
        }
      }
    }
    return { json, text };
  } finally {
    reader.close();
  }
}

describe('texts of a result', () => {
  test('are what was stored, whatever their lengths, characters and places in the engine’s memory', async (t) => {
    const store = await freshStore(t);
    const part = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 14 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.constant('"\\\u0000\n\t\u001f\u007f'),
    );
    const whole = fc.oneof({ weight: 8, arbitrary: part }, { weight: 1, arbitrary: part.map((text) => text.repeat(300)) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(whole), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 150 }),
        async (list, times) => {
          const texts = list.map((text) => text?.replaceAll('\0', '␀') ?? null);
          await store.write(async (tx) => {
            await tx.run('CREATE OR REPLACE TABLE main.texts (k INTEGER, t VARCHAR)');
            for (const [k, text] of texts.entries()) await tx.run('INSERT INTO main.texts VALUES ($k, $t)', { k, t: text });
          });
          // In their order, sorted, and each met many times by a join.
          for (const order of ['k, n', 't, n', 'n, k', 'hash(k, n)']) {
            const sql = `SELECT k, t, to_json(t)::JSON FROM main.texts, range(${times}) r(n) ORDER BY ${order}`;
            const { json, text } = await cells(store, sql);
            assert.equal(json[0]!.length, texts.length * times);
            for (const [row, k] of json[0]!.entries()) {
              const sent = texts[Number(k)]!;
              assert.equal(json[1]![row], sent === null ? 'null' : JSON.stringify(sent));
              assert.equal(text[1]![row], sent);
              assert.deepEqual(JSON.parse(json[2]![row]!), sent);
            }
          }
        },
      ),
      { numRuns: 12 },
    );
  });
});

describe('numbers of a result', () => {
  test('have all their digits, as the engine itself writes them', async (t) => {
    const store = await freshStore(t);
    const types = [
      ...['TINYINT', 'UTINYINT', 'SMALLINT', 'USMALLINT', 'INTEGER', 'UINTEGER', 'BIGINT', 'UBIGINT', 'HUGEINT'],
      ...[
        'DECIMAL(1,0)',
        'DECIMAL(4,4)',
        'DECIMAL(9,2)',
        'DECIMAL(18,0)',
        'DECIMAL(18,2)',
        'DECIMAL(18,9)',
        'DECIMAL(18,12)',
        'DECIMAL(38,2)',
        'DECIMAL(38,30)',
      ],
    ];
    const bits = fc.integer({ min: 0, max: 127 }).chain((n) => fc.bigInt({ min: -(2n ** BigInt(n)), max: 2n ** BigInt(n) }));
    const borders = [0, 1, 2, 7, 8, 15, 16, 31, 32, 52, 53, 54, 63, 64, 126].flatMap((n) =>
      [-1n, 0n, 1n].flatMap((d) => [2n ** BigInt(n) + d, -(2n ** BigInt(n)) + d]),
    );
    const tens = [3, 9, 10, 15, 16, 18].flatMap((n) => [-1n, 0n, 1n].map((d) => 10n ** BigInt(n) + d));
    await fc.assert(
      fc.asyncProperty(fc.array(bits, { minLength: 1, maxLength: 100 }), async (drawn) => {
        const all = [...drawn, ...borders, ...tens];
        for (const type of types) {
          // The digits as they stand, behind a point where the type has one; what does not fit is NULL.
          const scale = Number(/,(\d+)/.exec(type)?.[1] ?? 0);
          const list = all.map((value) => `('${pointed(value, scale)}')`).join(', ');
          const sql = `SELECT v, v::VARCHAR FROM (SELECT TRY_CAST(t AS ${type}) AS v FROM (VALUES ${list}) x(t))`;
          const { json, text } = await cells(store, sql);
          // The engine leaves out a zero before the point, without which it is no JSON.
          const digits = text[1]!.map((each) => each?.replace(/^(-?)\./, '$10.') ?? null);
          const tokens = digits.map((each) => each ?? 'null');
          assert.deepEqual([text[0], json[0]], [digits, tokens], type);
          assert.equal(new Set(digits).size > 2, true, type);
        }
      }),
      { numRuns: 5 },
    );
  });

  test('are the same doubles when they are read again, the sign of zero included; NaN and the infinite are texts', async (t) => {
    const store = await freshStore(t);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double(), { minLength: 1, maxLength: 200 }), async (values) => {
        const list = values.map((value) => `('${Object.is(value, -0) ? '-0' : value}')`).join(', ');
        const { json, text } = await cells(store, `SELECT t::DOUBLE, t::FLOAT FROM (VALUES ${list}) x(t)`);
        for (const [k, value] of values.entries()) {
          assert(Object.is(Number(text[0]![k]), value), `${value}: ${text[0]![k]}`);
          assert(Object.is(Number(text[1]![k]), Math.fround(value)), `${value}: ${text[1]![k]}`);
          assert.equal(json[0]![k], Number.isFinite(value) ? text[0]![k] : JSON.stringify(String(value)));
        }
      }),
      { numRuns: 20 },
    );
  });
});

function pointed(value: bigint, scale: number): string {
  if (scale === 0) return String(value);
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

describe('times of a result', () => {
  test('are ISO 8601 to the microsecond, as the engine itself formats them', async (t) => {
    const store = await freshStore(t);
    const year = 31_557_600_000_000n;
    const micros = fc.oneof(
      fc.bigInt({ min: -1900n * year, max: 8000n * year }),
      fc.bigInt({ min: -3n, max: 3n }).map((n) => n * 86_400_000_000n - 1n),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(micros, fc.constantFrom(1n, 1000n, 1_000_000n)), { minLength: 1, maxLength: 300 }),
        async (drawn) => {
          const list = drawn.map(([value, unit]) => `(${(value / unit) * unit})`).join(', ');
          const shown = `strftime(make_timestamp(v), '%Y-%m-%dT%H:%M:%S.%f')`;
          const { json, text } = await cells(
            store,
            `SELECT make_timestamp(v), make_timestamp(v)::TIMESTAMPTZ, make_timestamp(v)::DATE, ${shown} FROM (VALUES ${list}) x(v)`,
          );
          for (const [k, whole] of text[3]!.entries()) {
            const short = whole!.replace(/\.000000$/, '').replace(/(\.\d{3})000$/, '$1');
            assert.deepEqual([text[0]![k], text[1]![k], text[2]![k]], [short, `${short}Z`, short.slice(0, 10)]);
            assert.deepEqual([json[0]![k], json[1]![k], json[2]![k]], [`"${short}"`, `"${short}Z"`, `"${short.slice(0, 10)}"`]);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test('beyond all calendars are said as the engine says them', async (t) => {
    const store = await freshStore(t);
    const { text } = await cells(
      store,
      `SELECT 'infinity'::TIMESTAMP, '-infinity'::TIMESTAMPTZ, 'infinity'::DATE, '290000-01-01 00:00:00'::TIMESTAMP, '0044-03-15 (BC)'::DATE, NULL::DATE, ['-infinity'::DATE]`,
    );
    assert.deepEqual(text.flat(), ['infinity', '-infinity', 'infinity', '290000-01-01 00:00:00', '0044-03-15 (BC)', null, '["-infinity"]']);
  });
});
