import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pending } from '../../src/transfer/cdc/pending.ts';
import { decodeRows } from '../../src/transfer/rows.ts';

const part = fc.option(
  fc.array(fc.constantFrom('\0', '\u0001', 'a', '1', ':', '-'), { maxLength: 3 }).map((letters) => letters.join('')),
  { nil: null },
);

test('changes of different keys are never taken for changes of one, whatever bytes the keys have', () => {
  const keys = (width: number) =>
    fc.uniqueArray(fc.array(part, { minLength: width, maxLength: width }), { selector: (key) => JSON.stringify(key), minLength: 1 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }).chain(keys), (given) => {
      const pending = new Pending(given[0]!.map((_, k) => k));
      for (const key of [...given, ...given]) {
        const cells = key.map((text) => (text === null ? null : Buffer.from(text)));
        pending.upsert(cells, null);
      }
      const rows = decodeRows(pending.take().bytes, Number.POSITIVE_INFINITY).map((row) => JSON.stringify(row.slice(0, given[0]!.length)));
      assert.deepEqual(rows.sort(), given.map((key) => JSON.stringify(key)).sort());
    }),
    { numRuns: 1_000 },
  );
  const pending = new Pending([0, 1]);
  pending.upsert([Buffer.from('a\0b'), Buffer.from('c')], null);
  pending.upsert([Buffer.from('a'), Buffer.from('b\0c')], null);
  assert.equal(decodeRows(pending.take().bytes, 10).length, 2);
});
