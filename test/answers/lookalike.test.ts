import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { fitLikeness, type Seen } from '../../src/analyze/answers/lookalike-fit.ts';
import { openWarehouse, type Warehouse } from './fixture.ts';

describe('the fit of likeness', () => {
  const visitors = fc.array(
    fc.record({ x: fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: -3, max: 3 })), member: fc.boolean(), held: fc.boolean() }),
    { minLength: 20, maxLength: 60 },
  );

  test('is where the penalised likelihood has no slope, whatever the visitors', () => {
    fc.assert(
      fc.property(visitors, (seen) => {
        const { weights, means, deviations } = fitLikeness(seen);
        const z = seen.map(({ x }) => [...x.map((value, k) => (value - means[k]!) / deviations[k]!), 1]);
        const chance = z.map((row) => 1 / (1 + Math.exp(-row.reduce((sum, value, k) => sum + value * weights[k]!, 0))));
        const members = seen.filter(({ member }) => member).length;
        // With members or others alone the constant goes to infinity: there is no such place.
        fc.pre(members > 0 && members < seen.length);
        for (let k = 0; k < 3; k++) {
          const slope = seen.reduce(
            (sum, { member }, row) => sum + (Number(member) - chance[row]!) * z[row]![k]!,
            k < 2 ? -weights[k]! : 0,
          );
          assert.ok(Math.abs(slope) < 1e-6, `${k}: ${slope}`);
        }
      }),
    );
  });

  test('tells no visitor from another where membership has nothing to do with what they did', () => {
    const members = [
      [0, -3],
      [4, -2],
      [6, 2],
      [5, -1],
      [2, -2],
      [7, 3],
      [7, 1],
      [9, -1],
    ];
    const others = [
      [3, 3],
      [2, -3],
      [2, 1],
      [5, -3],
      [9, -3],
      [9, -1],
      [6, 2],
      [4, 1],
    ];
    const own = [members, others].flatMap((group, k) => group.map((x) => ({ x, member: k === 0, held: false })));
    const held = [0, 1, 2, 3].map((y) => ({ x: [0, -y], member: y % 2 === 0, held: true }));
    assert.ok(fitLikeness(own).weights.every((weight) => Math.abs(weight) < 1e-15));
    assert.equal(fitLikeness([...own, ...held]).area, 0.5);
  });

  test('tells its area as counting pairs does, on visitors that it did not see', () => {
    fc.assert(
      fc.property(visitors, (seen: readonly Seen[]) => {
        const [own, held] = [seen.filter((each) => !each.held), seen.filter((each) => each.held)];
        const mixed = (of: readonly Seen[]) => of.some(({ member }) => member) && of.some(({ member }) => !member);
        fc.pre(mixed(own) && mixed(held));
        const { weights, means, deviations } = fitLikeness(own);
        const score = ({ x }: Seen) => x.reduce((sum, value, k) => sum + (weights[k]! * (value - means[k]!)) / deviations[k]!, 0);
        const pairs = held
          .filter(({ member }) => member)
          .flatMap((one) => held.filter(({ member }) => !member).map((other) => score(one) - score(other)));
        const above = pairs.reduce((sum, gap) => sum + (Math.abs(gap) < 1e-12 ? 0.5 : Number(gap > 0)), 0) / pairs.length;
        assert.ok(Math.abs(fitLikeness(seen).area - above) < 1e-9);
      }),
    );
  });
});

describe('lookalike', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse();
    // Half of the visitors look at much and fill carts; a third of these has bought, who else of them would is what is asked.
    await warehouse.make(
      `CREATE TABLE main.events AS
       SELECT 'u' || u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 10:00:00Z' + to_days(CAST(hash(u, i) % 20 AS INTEGER)) AS time,
         CASE WHEN u % 2 = 0 AND hash(hash(u, i)) % 10 < 4 THEN 'add_to_cart' WHEN hash(hash(u, i)) % 10 < 7 THEN 'view_item' ELSE 'page_view' END AS event, NULL::VARCHAR AS order_id
       FROM range(900) AS v(u) CROSS JOIN range(12) AS r(i) WHERE i < 4 + hash(hash(u)) % 9`,
      `CREATE TABLE main.orders AS SELECT 'o' || u AS order_id, TIMESTAMPTZ '2026-01-21 10:00:00Z' AS ordered_at, 10.0 AS amount, 'u' || u AS customer_id FROM range(900) AS v(u) WHERE u % 6 = 0`,
    );
    warehouse.definitions.segments.set('buyers', 'where: orders > 0\n');
    warehouse.definitions.segments.set('rich', 'where: net > 1000\n');
  });
  after(() => warehouse.close());

  test('ranks those first who behave like members, says how well it tells, and lists no member', async () => {
    const { rows, facts } = await warehouse.run('lookalike', { segment: 'buyers' });
    const of = (row: { user?: string }) => Number(row.user!.slice(1));
    assert.equal(rows.length, 750);
    assert.ok(rows.every((row) => of(row) % 6 !== 0));
    // Of the 300 others who behave so, nearly all are among the first 300.
    const found = rows.slice(0, 300).filter((row) => of(row) % 2 === 0).length;
    assert.ok(found > 280, String(found));
    // A third of those who behave so are members; nobody of the rest is.
    const like = rows.filter((row) => of(row) % 2 === 0);
    const mean = like.reduce((sum, row) => sum + row['likeness'], 0) / like.length;
    assert.ok(mean > 0.27 && mean < 0.39, String(mean));
    assert.equal(facts['members of the segment, other visitors'], '150, 750');
    const area = Number(facts['members told from others (area under the curve, visitors that the fit did not see)']);
    // Half of the others can't be told from members (1/2), the rest nearly always: (300 × 0.5 + 450) / 750.
    assert.ok(area > 0.7 && area < 0.88, String(area));
    const [carts] = await warehouse.ask(
      `SELECT count(*) AS n FROM main.events WHERE event = 'add_to_cart' AND user_pseudo_id = '${rows[0]!['user']}'`,
    );
    assert.equal(rows[0]!['add_to_cart'], carts!['n']);
  });

  test('refuses a segment with too few members among the visitors', async () => {
    await assert.rejects(warehouse.run('lookalike', { segment: 'rich' }), { code: 'ANSWER_TOO_FEW', message: /there are 0/ });
  });
});
