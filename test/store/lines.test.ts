import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { stampsOf } from '../../src/store/lines.ts';
import { folder } from './fixture.ts';

const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
const connection = await instance.connect();
after(() => {
  connection.closeSync();
  instance.closeSync();
});

const time = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 1_772_323_200_000_000, max: 1_772_323_300_000_000 }),
  fc.integer({ min: 0, max: 9_007_199_254_740_991 }),
);
const line = fc.record({
  received: fc.integer({ min: 1_772_323_200_000_000, max: 1_772_323_300_000_000 }),
  time,
  id: fc.oneof(fc.constant(''), fc.constantFrom('a', 'b', '가', 'é', '0'), fc.uuid()),
  flags: fc.integer({ min: 0, max: 15 }),
  exact: fc.constantFrom('', '{"n":1.10}'),
  json: fc.constantFrom('{}', '{"a":"한국어"}', '{"a": 1.10}'),
});

test('the stamps of lines are what the engine reads of them', async (t) => {
  const file = join(folder(t), 'lines.tsv');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(line, { maxLength: 12 }), { maxLength: 4 }), async (groups) => {
      const lines = groups.map((group) =>
        Buffer.from(
          group
            .map(({ received, time, id, flags, exact, json }) => `7\t${received}\t${time ?? ''}\t${id}\t${flags}\t${exact}\t${json}\n`)
            .join(''),
        ),
      );
      writeFileSync(file, Buffer.concat(lines));
      const [row] = (
        await connection.runAndReadAll(`SELECT count(*)::INTEGER AS n, coalesce(bit_or(f), 0)::INTEGER AS flags, min(t)::DOUBLE AS lo, max(t)::DOUBLE AS hi,
          count(i)::INTEGER AS ids, count(*) FILTER (WHERE i IS NOT NULL AND t IS NULL)::INTEGER AS timeless, count(i) > count(DISTINCT i) AS repeated,
          min(t) FILTER (WHERE i IS NOT NULL)::DOUBLE AS first, max(t) FILTER (WHERE i IS NOT NULL)::DOUBLE AS last,
          coalesce(max(abs(r - t)) FILTER (WHERE i IS NOT NULL), 0)::DOUBLE AS apart, min(r)::DOUBLE AS received
          FROM read_csv('${file}', columns = {'p': 'BIGINT', 'r': 'BIGINT', 't': 'BIGINT', 'i': 'VARCHAR', 'f': 'INTEGER', 'e': 'VARCHAR', 'd': 'VARCHAR'},
            delim = '\t', quote = '', escape = '', header = false, auto_detect = false)`)
      ).getRowObjects();
      const { keys, until, ...stamps } = stampsOf(lines)!;
      assert.deepEqual(stamps, row);
      assert.equal(keys.length, 2 * ((row!['ids'] as number) - (row!['timeless'] as number)));
      assert.equal(until === null, stamps.n === 0);
    }),
    { numRuns: 200 },
  );
});

test('event times that a double does not hold are far from receipt, and lines that are none are left to the engine', () => {
  const of = (text: string) => stampsOf([Buffer.from(text)]);
  assert.equal(of('0\t1\t-5\ta\t0\t\t{}\n')!.apart, Number.POSITIVE_INFINITY);
  assert.equal(of('0\t1\t12345678901234567\ta\t0\t\t{}\n')!.apart, Number.POSITIVE_INFINITY);
  assert.equal(of('0\t1\t5\ta\t0\t\t{}'), null);
  assert.equal(of('0\t1\n'), null);
  assert.equal(of('no line at all'), null);
});
