import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '#core';
import { pack, unpackDoubles, unpackWords } from '../../src/learn/base64.ts';
import { exp, fixedPointScale, log, orderFreeMean, sigmoid } from '../../src/learn/exact.ts';

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 4e-16 * Math.max(Math.abs(a), Math.abs(b)) + 1e-300;

test("our exp agrees with the engine's to the last bits and never overflows", () => {
  fc.assert(
    fc.property(fc.double({ min: -699, max: 699, noNaN: true }), (x) => {
      assert.ok(near(exp(x), Math.exp(x)), `${x}: ${exp(x)} against ${Math.exp(x)}`);
    }),
  );
  for (const x of [-1e300, 1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) assert.ok(exp(x) > 0 && Number.isFinite(exp(x)));
  assert.equal(exp(0), 1);
});

test("our log agrees with the engine's to the last bits", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
      assert.ok(Math.abs(log(x) - Math.log(x)) <= 1e-15 * Math.max(1, Math.abs(Math.log(x))), `${x}: ${log(x)} against ${Math.log(x)}`);
    }),
  );
  assert.equal(log(1), 0);
  assert.ok(Number.isFinite(log(0)));
});

test('sigmoid is symmetric and stays within 0 and 1', () => {
  fc.assert(
    fc.property(fc.double({ min: -1e4, max: 1e4, noNaN: true }), (x) => {
      assert.ok(sigmoid(x) >= 0 && sigmoid(x) <= 1);
      assert.ok(Math.abs(sigmoid(x) + sigmoid(-x) - 1) < 1e-15);
    }),
  );
});

test('fixed-point sums of as many numbers as announced stay exact integers', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-30, max: 1e30, noNaN: true }), fc.integer({ min: 1, max: 1e9 }), (largest, count) => {
      const one = Math.floor(largest * fixedPointScale(largest, count) + 0.5);
      assert.ok(one >= 1 && one <= 2 ** 30 && one * count <= 2 ** 53, `${one} × ${count}`);
    }),
  );
});

test('the mean does not depend on the order of rows', () => {
  const row = fc.tuple(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.double({ min: 0.01, max: 10, noNaN: true }));
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 50 }), (rows) => {
      const mean = (list: typeof rows): number =>
        orderFreeMean(
          list.map((r) => r[0]),
          list.map((r) => r[1]),
        );
      const turned = [...rows].reverse();
      assert.equal(mean(rows), mean(turned));
      const total = rows.reduce((s, r) => s + r[1], 0);
      const plain = rows.reduce((s, r) => s + r[0] * r[1], 0) / total;
      const largest = Math.max(...rows.map((r) => Math.abs(r[0])), 1e-9);
      assert.ok(Math.abs(mean(rows) - plain) <= largest * 1e-4);
    }),
  );
});

test("SHA-256 is the standard's", () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      assert.equal(sha256(text), createHash('sha256').update(text).digest('hex'));
    }),
  );
});

test('packed numbers come back bit by bit', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      assert.deepEqual(unpackDoubles(pack(Float64Array.from(values))), Float64Array.from(values));
    }),
  );
  assert.deepEqual(unpackWords(pack(Uint32Array.of(0, 1, 2 ** 32 - 1))), Uint32Array.of(0, 1, 2 ** 32 - 1));
});
