import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { catalogue, MillraceError } from '#core';
import { type ClientRecord, type ShopOptions, shopDataset, simulateShop } from '#simulate';
import { comparable, openWarehouse } from './warehouse.ts';

const small: ShopOptions = { seed: 1, users: 300, days: 10, start: '2026-03-02', timeZone: 'Asia/Seoul', currency: 'KRW' };

type Fields = Record<string, unknown>;
type Verdict = { kind: 'good'; id: string; record: Fields } | { kind: 'malformed'; how: string };

/** Judges a record by the rules that the topics declare, without Millrace's own intake. */
function judge({ topic, json }: ClientRecord): Verdict {
  if (json.match(/"event":/g)?.length === 2) return { kind: 'malformed', how: 'duplicate_key' };
  let record: Fields;
  try {
    record = JSON.parse(json);
  } catch {
    return { kind: 'malformed', how: 'broken_json' };
  }
  const id = record[topic === 'events' ? 'event_id' : 'refund_id'];
  if (typeof id !== 'string') return { kind: 'malformed', how: 'missing_id' };
  const year = new Date(String(record['ts'])).getUTCFullYear();
  if (!(year > 2000 && year < 2100)) return { kind: 'malformed', how: 'absurd_time' };
  if ('value' in record && typeof record['value'] !== 'number') return { kind: 'malformed', how: 'wrong_type' };
  return { kind: 'good', id, record };
}

/** The records as a warehouse should hold them: each id once. */
function received(records: Iterable<ClientRecord>) {
  const topics = { events: new Map<string, Fields>(), refunds: new Map<string, Fields>() };
  const malformed: Record<string, number> = {};
  let retries = 0;
  for (const record of records) {
    const verdict = judge(record);
    const topic = topics[record.topic as keyof typeof topics];
    if (verdict.kind === 'malformed') malformed[verdict.how] = (malformed[verdict.how] ?? 0) + 1;
    else if (topic.has(verdict.id)) {
      assert.equal(JSON.stringify(topic.get(verdict.id)), record.json, 'a retry sends the same bytes');
      if (record.topic === 'events') retries++;
    } else topic.set(verdict.id, verdict.record);
  }
  return { ...topics, malformed, retries };
}

test('the same options give the same bytes, another seed gives other ones', () => {
  const bytes = (options: ShopOptions) => {
    const shop = simulateShop(options);
    return JSON.stringify([[...shop.records], [...shop.orders], shop.truth]);
  };
  assert.equal(bytes(small), bytes(small));
  assert.notEqual(bytes(small), bytes({ ...small, seed: 2 }));
});

test('records come in the order of their arrival, whatever time they are of', () => {
  let last = 0;
  let outOfOrder = 0;
  let lastEvent = 0;
  const seen = new Set<string>();
  for (const record of simulateShop(small).records) {
    const verdict = judge(record);
    if (record.topic !== 'events' || verdict.kind === 'malformed' || seen.has(verdict.id)) continue;
    seen.add(verdict.id);
    const arrival = Date.parse(String(verdict.record['sent_at']));
    assert.ok(arrival >= last, `${record.json} comes after ${new Date(last).toISOString()}`);
    last = arrival;
    const time = Date.parse(String(verdict.record['ts']));
    if (time < lastEvent) outOfOrder++;
    lastEvent = time;
  }
  assert.ok(outOfOrder > 100, 'late and overtaken records are part of the traffic');
});

test('every answer in SQL over the delivered records equals the truth, whatever the seed, the zone and the currency', async () => {
  const options = fc.record({
    seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    users: fc.integer({ min: 1, max: 400 }),
    days: fc.integer({ min: 1, max: 20 }),
    start: fc.constantFrom('2026-03-02', '2025-10-20', '2024-02-28'),
    timeZone: fc.constantFrom('Asia/Seoul', 'America/New_York', 'Europe/Berlin', 'Asia/Kolkata', 'UTC'),
    currency: fc.constantFrom('KRW', 'USD', 'JPY', 'EUR'),
  });
  await fc.assert(
    fc.asyncProperty(options, async (chosen) => {
      const shop = simulateShop(chosen);
      const { topics, marts, questions, ordersTable } = shopDataset(chosen.timeZone);
      const { events, refunds } = received(shop.records);
      const warehouse = await openWarehouse();
      try {
        await warehouse.deliver('events', topics['events']!, [...events.values()]);
        await warehouse.deliver('refunds', topics['refunds']!, [...refunds.values()]);
        await warehouse.run(ordersTable.sql);
        await warehouse.append(ordersTable.table, [...shop.orders]);
        for (const { sql } of marts) await warehouse.run(sql);
        for (const { name, sql, expected } of questions) {
          assert.deepEqual(comparable(await warehouse.ask(sql)), comparable(expected(shop.truth)), `${name}\n${sql}`);
        }
      } finally {
        warehouse.close();
      }
    }),
    { numRuns: 6, examples: [[small]] },
  );
});

test('the truth counts retries and every kind of malformed record as they are sent', () => {
  const shop = simulateShop({ ...small, users: 1500 });
  const { events, refunds, malformed, retries } = received(shop.records);
  const { records } = shop.truth;
  assert.deepEqual(malformed, records.malformed);
  assert.ok(Object.values(records.malformed).every((count) => count > 0));
  assert.deepEqual([events.size, refunds.size, retries], [records.events, records.refunds, records.retried]);
  assert.ok(records.retried > 0 && records.late > 0);
});

test('malformed records are expected to be rejected under codes of the catalogue', () => {
  const { truth } = simulateShop({ ...small, users: 1500 });
  const rejections = shopDataset('UTC').rejections(truth);
  assert.deepEqual(Object.values(rejections).sort(), Object.values(truth.records.malformed).sort());
  for (const code of Object.keys(rejections)) assert.ok(code in catalogue, code);
});

test('each difference between the orders table and the purchase events has its reason in the truth', () => {
  const shop = simulateShop({ ...small, users: 3000 });
  const purchases = new Map<string, Fields[]>();
  for (const record of received(shop.records).events.values()) {
    if (record['event'] !== 'purchase') continue;
    const id = String(record['order_id']);
    purchases.set(id, [...(purchases.get(id) ?? []), record]);
  }
  const found = { missing: 0, twice: 0, neverPaid: 0, test: 0 };
  const orders = [...shop.orders];
  for (const order of orders) {
    const events = purchases.get(order.order_id) ?? [];
    assert.ok(events.every(({ value, currency }) => Number(order.amount) === value && currency === order.currency));
    assert.equal(new Set(events.map((event) => event['event_id'])).size, events.length);
    if (order.is_test) found.test++;
    else if (order.status === 'awaiting_payment') found.neverPaid++;
    else if (events.length === 0) found.missing++;
    if (events.length === 2) found.twice++;
  }
  const { reasons } = shop.truth.reconciliation;
  assert.deepEqual(found, {
    missing: reasons.ad_blocker + reasons.page_closed,
    twice: reasons.page_reload,
    neverPaid: reasons.never_paid,
    test: reasons.test_order,
  });
  assert.ok(
    Object.values(reasons).every((count) => count > 0),
    JSON.stringify(reasons),
  );
  assert.ok([...purchases.keys()].every((id) => orders.some((order) => order.order_id === id)));
});

test('amounts are exact decimal text in the currency: their cents sum up to the truth', () => {
  const shop = simulateShop({ ...small, users: 1500, currency: 'USD' });
  let cents = 0n;
  let refunded = 0n;
  const inCents = (amount: string) => {
    assert.match(amount, /^\d+\.\d\d$/);
    return BigInt(amount.replace('.', ''));
  };
  for (const order of shop.orders) {
    if (order.is_test || order.status === 'awaiting_payment') continue;
    assert.ok(inCents(order.refund_amount) <= inCents(order.amount));
    cents += inCents(order.amount);
    refunded += inCents(order.refund_amount);
  }
  assert.deepEqual([inCents(shop.truth.shop.amount), inCents(shop.truth.shop.refunded)], [cents, refunded]);
  assert.ok(refunded > 0n);
});

test('times carry the offset that the zone has at that instant, across a change of the clocks', () => {
  // America/New_York changed from -05:00 to -04:00 on 2026-03-08 at 07:00 UTC.
  const change = Date.parse('2026-03-08T07:00:00Z');
  const offsets = new Set<string>();
  for (const order of simulateShop({ ...small, users: 600, timeZone: 'America/New_York' }).orders) {
    const offset = order.ordered_at.slice(-6);
    offsets.add(offset);
    assert.equal(offset, Date.parse(order.ordered_at) < change ? '-05:00' : '-04:00', order.ordered_at);
  }
  assert.equal(offsets.size, 2);
});

test('variant B of the experiment sells better by about its true effect', () => {
  const { experiment } = simulateShop({ ...small, users: 8000, days: 20 }).truth;
  assert.equal(experiment.effect, 1.25);
  const [a, b] = experiment.variants.map(({ users, buyers }) => ({ rate: buyers / users, users }));
  // A person may reach the checkout several times, so the ratio per person lies below that per checkout.
  const ratio = b!.rate / a!.rate;
  assert.ok(ratio > 1.08 && ratio < 1.4, `observed ratio ${ratio} of ${a!.users} and ${b!.users} users`);
});

test('Korean text, quotes inside text and paths outside ASCII are part of the traffic', () => {
  const text = [...simulateShop(small).records].map(({ json }) => json).join('\n');
  for (const part of ['봄맞이 세일', '쿠션 \\"구름\\"', '/event/봄맞이-세일', '/search?q=']) assert.ok(text.includes(part), part);
});

test('options that can not be simulated are refused with their name and value', () => {
  const wrong: Partial<ShopOptions>[] = [
    { users: 0 },
    { users: 1.5 },
    { days: 0 },
    { seed: -1 },
    { start: '2026-02-30x' },
    { start: '02.03.2026' },
    { timeZone: 'Asia/Atlantis' },
    { currency: 'WON' },
  ];
  for (const part of wrong) {
    assert.throws(
      () => simulateShop({ ...small, ...part }),
      (error) => error instanceof MillraceError && error.code === 'SIMULATE_OPTION' && error.params['value'] === Object.values(part)[0],
      JSON.stringify(part),
    );
  }
});
