import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assign, type ColumnData, centroids, checkClusters, cluster } from '#learn';
import { generator, numbers, readTable, texts, withoutData } from './data.ts';

/** Four planted groups: numbers around known corners, and a category that goes with them. */
function planted(rows: number, seed: number): { columns: ColumnData[]; group: number[] } {
  const next = generator(seed);
  const group = Array.from({ length: rows }, (_, i) => i % 4);
  const x = numbers(
    'x',
    group.map((g) => (g % 2) * 100 + next()),
  );
  const y = numbers(
    'y',
    group.map((g) => (g >> 1) * 7 + next() * 0.1),
  );
  return {
    columns: [
      x,
      y,
      texts(
        'kind',
        group.map((g) => (g === 3 ? 'rare' : 'usual')),
      ),
    ],
    group,
  };
}

test('planted groups are found, their number too, and a centroid is the mean and the shares of its rows', () => {
  const { columns, group } = planted(400, 17);
  const found = cluster(columns);
  assert.equal(found.sizes.length, 4);
  const { nearest } = assign(found, columns);
  const names = new Map(group.map((g, row) => [g, nearest[row]!]));
  assert.equal(new Set(names.values()).size, 4);
  group.forEach((g, row) => {
    assert.equal(nearest[row], names.get(g));
  });
  for (const [g, id] of names) {
    const rows = group.flatMap((other, row) => (other === g ? [row] : []));
    const mean = rows.reduce((sum, row) => sum + Number(columns[0]!.values[row]), 0) / rows.length;
    const told = centroids(found).filter((c) => c.cluster === id);
    assert.ok(Math.abs(told.find((c) => c.feature === 'x')!.mean! - mean) < 1e-6);
    const shares = Object.fromEntries(told.find((c) => c.feature === 'kind')!.shares!.map(({ category, share }) => [category, share]));
    assert.ok(Math.abs(shares['rare']! - (g === 3 ? 1 : 0)) < 1e-9);
  }
});

test('each row stands with the centroid that is nearest, and no row is nearer to another', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 0, max: 9 })), { minLength: 12, maxLength: 60 }),
      (points) => {
        fc.pre(new Set(points.map(([x]) => x)).size > 3);
        const columns = [
          numbers(
            'x',
            points.map(([x]) => x),
          ),
          numbers(
            'y',
            points.map(([x, y]) => y + x / 1000),
          ),
        ];
        const found = cluster(columns, { clusters: 3 });
        const { nearest, distances } = assign(found, columns);
        assert.equal(
          found.sizes.reduce((a, b) => a + b, 0),
          points.length,
        );
        const z = columns.map(({ values }) => {
          const all = Array.from(values as Float64Array);
          const mean = all.reduce((s, v) => s + v, 0) / all.length;
          const deviation = Math.sqrt(all.reduce((s, v) => s + (v - mean) ** 2, 0) / all.length);
          return { mean, deviation };
        });
        const told = centroids(found);
        points.forEach((_, row) => {
          const apart = [1, 2, 3].map((id) =>
            Math.hypot(
              ...columns.map(({ name, values }, c) => {
                const mean = told.find((t) => t.cluster === id && t.feature === name)!.mean!;
                return (Number(values[row]) - mean) / z[c]!.deviation;
              }),
            ),
          );
          apart.forEach((distance, k) => {
            assert.ok(Math.abs(distance - distances[row * 3 + k]!) < 1e-6);
          });
          assert.ok(apart[nearest[row]! - 1]! <= Math.min(...apart) + 1e-6);
        });
      },
    ),
    { numRuns: 40 },
  );
});

test('the same seed gives the same clusters; missing and unseen values are placed; a changed file is noticed', () => {
  const { columns } = planted(200, 23);
  const found = cluster(columns, { clusters: 4, seed: 5 });
  assert.equal(cluster(columns, { clusters: 4, seed: 5 }).hash, found.hash);
  const odd = assign(found, [numbers('x', [Number.NaN]), numbers('y', [7]), texts('kind', ['never seen'])]);
  assert.ok(odd.nearest[0]! >= 1 && odd.distances.every(Number.isFinite));
  const copy = JSON.parse(JSON.stringify(found)) as typeof found;
  assert.equal(checkClusters(copy).hash, found.hash);
  assert.throws(() => checkClusters({ ...copy, sizes: [1, 2, 3, 4] }), { code: 'MODEL_INVALID' });
  assert.throws(() => checkClusters({ format: 'other' }), { code: 'MODEL_INVALID' });
});

test('what can not be clustered is refused', () => {
  const { columns } = planted(200, 23);
  assert.throws(() => cluster(columns, { clusters: 1 }), { code: 'LEARN_PLAN' });
  assert.throws(() => cluster([numbers('x', [1, 2, 3])]), { code: 'LEARN_ROWS' });
  assert.throws(() => cluster(columns, { ignore: ['x', 'y', 'kind'] }), { code: 'LEARN_FEATURES' });
  assert.throws(() => assign(cluster(columns, { clusters: 2 }), [columns[0]!]), { code: 'MODEL_INPUT' });
});

test('california-housing: by place alone, two clusters are chosen, the south and the north', { skip: withoutData }, () => {
  const table = readTable('california-housing/housing.csv.gz', ',', null);
  const found = cluster(table.filter(({ name }) => name === 'longitude' || name === 'latitude'));
  const latitudes = centroids(found)
    .filter((c) => c.feature === 'latitude')
    .map((c) => c.mean!);
  assert.equal(latitudes.length, 2);
  assert.ok(Math.max(...latitudes) > 37 && Math.min(...latitudes) < 35, `${latitudes}`);
});
