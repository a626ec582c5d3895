import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assign, bucket, parseExperiment, type Split } from '#experiment';

describe('assignment', () => {
  test('a unit’s place is that of the documented test vectors (Python: int(sha256(salt:unit).hexdigest()[:13], 16) / 2**52)', () => {
    const vectors: readonly (readonly [salt: string, unit: string, place: number])[] = [
      ['checkout', 'u1', 0.31689777825177057],
      ['checkout', 'u2', 0.713112500837765],
      ['checkout', '가나다', 0.3417379608404205],
      ['other', 'u1', 0.5773116445213187],
      ['checkout', 'a'.repeat(100), 0.09458116219931245],
    ];
    for (const [salt, unit, place] of vectors) assert.equal(bucket(salt, unit), place);
  });

  test('any unit has the place that node’s own SHA-256 gives it', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'grapheme' }), (salt, unit) => {
        const digits = createHash('sha256').update(`${salt}:${unit}`).digest('hex').slice(0, 13);
        assert.equal(bucket(salt, unit), Number(BigInt(`0x${digits}`)) / 2 ** 52);
      }),
    );
  });

  const split: Split = {
    salt: 'checkout',
    traffic: 1,
    variants: [
      { name: 'A', share: 0.5 },
      { name: 'B', share: 0.3 },
      { name: 'C', share: 0.2 },
    ],
  };
  const units = Array.from({ length: 20_000 }, (_, at) => `user-${at}`);
  const count = (all: readonly (string | null)[]): Record<string, number> =>
    Object.fromEntries([...Map.groupBy(all, String)].map(([variant, same]) => [variant, same.length]));

  test('is uniform: shares are met and ten deciles are even (chi-square below its quantile at p = 0.001)', () => {
    const counts = count(units.map((unit) => assign(split, unit)));
    const chi = split.variants.reduce((sum, { name, share }) => sum + (counts[name]! - 20_000 * share) ** 2 / (20_000 * share), 0);
    assert.ok(chi < 13.816, `${chi}`);
    const deciles = count(units.map((unit) => String(Math.floor(bucket('checkout', unit) * 10))));
    const even = Object.values(deciles).reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0);
    assert.equal(Object.keys(deciles).length, 10);
    assert.ok(even < 27.877, `${even}`);
  });

  test('another salt draws anew: two experiments are independent of each other', () => {
    const pairs = count(units.map((unit) => `${assign(split, unit)}${assign({ ...split, salt: 'other' }, unit)}`));
    const chi = split.variants
      .flatMap((a) => split.variants.map((b) => [a, b] as const))
      .reduce((sum, [a, b]) => {
        const expected = 20_000 * a.share * b.share;
        return sum + (pairs[`${a.name}${b.name}`]! - expected) ** 2 / expected;
      }, 0);
    // Eight degrees of freedom at p = 0.001.
    assert.ok(chi < 26.124, `${chi}`);
  });

  test('more traffic takes further units in and moves nobody who is in', () => {
    const some = units.map((unit) => assign({ ...split, traffic: 0.2 }, unit));
    const more = units.map((unit) => assign({ ...split, traffic: 0.6 }, unit));
    const inside = some.filter((variant) => variant !== null).length;
    assert.ok(Math.abs(inside - 4000) < 4 * Math.sqrt(20_000 * 0.2 * 0.8), `${inside}`);
    for (const [at, variant] of some.entries()) if (variant !== null) assert.equal(more[at], variant);
  });

  test('the last variant has what rounding leaves of the shares', () => {
    const thirds = { ...split, variants: ['A', 'B', 'C'].map((name) => ({ name, share: 0.333333333 })) };
    assert.ok(units.every((unit) => ['A', 'B', 'C'].includes(assign(thirds, unit)!)));
  });
});

describe('a definition', () => {
  const base = 'exposure: seen\nvariants: { A: 0.5, B: 0.5 }\n';
  const metrics = 'metrics:\n  - { name: buyers, role: primary }\n';
  const refuses = (text: string, message: RegExp) =>
    assert.throws(() => parseExperiment('e', text, 'experiments/e.yaml'), { code: 'DEFINITION_INVALID', message });

  test('has the unit, the salt, traffic, direction, minimum effect and power that it says, and sound ones where it says nothing', () => {
    const plain = parseExperiment('e', base + metrics, 'f');
    assert.deepEqual([plain.unit, plain.salt, plain.traffic, plain.power, plain.multiplicity], ['user', 'e', 1, 0.8, true]);
    const said = parseExperiment(
      'e',
      `${base}unit: visitor\nsalt: s2\ntraffic: 0.1\npower: 0.9\nmultiplicity: false\nmetrics:\n  - { name: order value, kind: ratio, numerator: revenue, denominator: orders, role: primary, direction: decrease, minimum_effect: 0.02 }\n`,
      'f',
    );
    assert.deepEqual([said.unit, said.salt, said.traffic, said.power, said.multiplicity], ['visitor', 's2', 0.1, 0.9, false]);
    assert.deepEqual(
      [said.metrics[0]!.direction, said.metrics[0]!.minimumEffect, said.metrics[0]!.denominator],
      ['decrease', 0.02, 'orders'],
    );
  });

  test('that can’t be is refused with its line', () => {
    refuses(`${base}unit: session\n${metrics}`, /^experiments\/e\.yaml:3: "unit"/);
    refuses(`${base}salt: "a:b"\n${metrics}`, /:3: "salt" must not have ":"/);
    refuses(`${base}from: 2026-02-30\n${metrics}`, /:3: "from" must be a day/);
    refuses(`${base}traffic: 0\n${metrics}`, /:3: "traffic" must be a number/);
    refuses(`${base}metrics:\n  - { name: r, kind: ratio, numerator: revenue, role: primary }\n`, /denominator/);
    refuses(`${base}metrics:\n  - { name: r, numerator: revenue, role: primary }\n`, /"metrics\[1\]\.numerator" is only of kind: ratio/);
  });
});
