import type { Millis } from '#core';
import { heap } from './heap.ts';
import { breakRecord, fates } from './mess.ts';
import { people, person } from './person.ts';
import { type Plan, planShop, type ShopOptions } from './plan.ts';
import { random } from './random.ts';
import { type Truth, tellTruth } from './truth.ts';
import { amount, makeVisit, nextStart, type Order, type Visit, type WebEvent } from './visit.ts';

/** One record as the client sends it. `json` may be malformed on purpose; it never has a line break. */
export interface ClientRecord {
  readonly topic: string;
  readonly json: string;
}

/** A row of the shop's own orders table. Amounts are decimal text in the currency, times ISO 8601 with the shop's offset. */
export interface OrderRow {
  readonly order_id: string;
  readonly ordered_at: string;
  /** null: ordered as a guest. */
  readonly customer_id: string | null;
  readonly amount: string;
  readonly currency: string;
  readonly payment_type: Order['payment'];
  readonly status: 'paid' | 'awaiting_payment' | 'cancelled' | 'refunded' | 'partially_refunded';
  readonly refund_amount: string;
  readonly refunded_at: string | null;
  readonly item_count: number;
  readonly is_test: boolean;
}

export interface Shop {
  /** In the order of arrival. Each iteration simulates anew. */
  readonly records: Iterable<ClientRecord>;
  /** In the order of their time. */
  readonly orders: Iterable<OrderRow>;
  /** What the right answers are; computed at the first reading, by one more simulation. */
  readonly truth: Truth;
}

/**
 * A shop's traffic, its orders table and the truth about both. Deterministic: the same options give the same bytes.
 * Memory is that of one heap entry a person plus the records under way. Errors: SIMULATE_OPTION.
 */
export function simulateShop(options: ShopOptions): Shop {
  const plan = planShop(options);
  let truth: Truth | undefined;
  return {
    records: { [Symbol.iterator]: () => records(plan) },
    orders: { [Symbol.iterator]: () => orders(plan) },
    get truth() {
      truth ??= tellTruth(plan, visits(plan));
      return truth;
    },
  };
}

/** All visits in the order of their start. */
function* visits(plan: Plan): Generator<Visit> {
  const waiting = heap<{ index: number; number: number }>();
  for (let index = 0; index < people(plan); index++) waiting.push(person(plan, index).firstVisit, { index, number: 0 });
  while (waiting.next() < plan.to) {
    const start = waiting.next();
    const { index, number } = waiting.pop();
    const visit = makeVisit(plan, person(plan, index), number, start);
    waiting.push(nextStart(plan, visit), { index, number: number + 1 });
    yield visit;
  }
}

/** What the visits bring, in the order of its own times. Nothing that a visit brings is earlier than the visit's start. */
function* inOrder<T>(plan: Plan, bring: (visit: Visit, at: (time: Millis, thing: T) => void) => void): Generator<T> {
  const pending = heap<T>();
  for (const visit of visits(plan)) {
    while (pending.next() <= visit.start) yield pending.pop();
    bring(visit, pending.push);
  }
  while (pending.next() < Number.POSITIVE_INFINITY) yield pending.pop();
}

function records(plan: Plan): Generator<ClientRecord> {
  return inOrder(plan, (visit, at) => {
    if (!visit.person.blocked) sendEvents(plan, visit, at);
    if (visit.order?.refund) sendRefund(plan, visit.order, at);
  });
}

function sendEvents(plan: Plan, visit: Visit, at: (time: Millis, record: ClientRecord) => void): void {
  const fate = fates(plan, visit);
  for (const [index, event] of visit.events.entries()) {
    const { arrival, retried, broken } = fate[index]!;
    const fields = eventRecord(plan, visit, event, index, arrival);
    const record = { topic: 'events', json: JSON.stringify(fields) };
    at(arrival, record);
    if (retried !== null) at(retried, record);
    if (broken !== null) at(arrival, { topic: 'events', json: breakRecord(broken, fields) });
  }
}

function eventRecord(plan: Plan, visit: Visit, { event, time, page, userId, fields }: WebEvent, index: number, sentAt: Millis) {
  const { person, device, campaign } = visit;
  return {
    event_id: `${visit.pseudoId}-${visit.number}-${index}`,
    event,
    ts: plan.localTime(time),
    sent_at: plan.localTime(sentAt),
    user_pseudo_id: visit.pseudoId,
    ...(userId === null ? {} : { user_id: userId }),
    page,
    ...(index === 0
      ? {
          source: campaign.source,
          medium: campaign.medium,
          ...(campaign.campaign === null ? {} : { campaign: campaign.campaign }),
          ...(campaign.referrer === null ? {} : { referrer: campaign.referrer }),
        }
      : {}),
    device: device.device,
    browser: device.browser,
    user_agent: device.userAgent,
    country: person.country,
    ...(person.kind === 'staff' ? { internal: true } : {}),
    ...fields,
  };
}

/** The shop's server reports a refund; it retries more often than browsers do. */
function sendRefund(plan: Plan, order: Order, at: (time: Millis, record: ClientRecord) => void): void {
  const refund = order.refund!;
  const draw = random(plan.seed, 5, order.time % 2 ** 31);
  const json = JSON.stringify({
    refund_id: refund.id,
    event: 'refund',
    ts: plan.localTime(refund.time),
    order_id: order.id,
    kind: refund.kind,
    value: amount(plan, refund.amount),
    currency: plan.currency,
    reason: refund.reason,
  });
  at(refund.time, { topic: 'refunds', json });
  if (draw.chance(0.1)) at(refund.time + draw.integer(1000, 600_000), { topic: 'refunds', json });
}

function orders(plan: Plan): Generator<OrderRow> {
  return inOrder(plan, (visit, at) => {
    if (visit.order !== null) at(visit.order.time, orderRow(plan, visit, visit.order));
  });
}

function orderRow(plan: Plan, { person }: Visit, order: Order): OrderRow {
  return {
    order_id: order.id,
    ordered_at: plan.localTime(order.time),
    customer_id: person.userId,
    amount: plan.money(order.value),
    currency: plan.currency,
    payment_type: order.payment,
    status: order.refund?.kind ?? (order.paid ? 'paid' : 'awaiting_payment'),
    refund_amount: plan.money(order.refund?.amount ?? 0),
    refunded_at: order.refund === null ? null : plan.localTime(order.refund.time),
    item_count: order.lines.reduce((sum, { quantity }) => sum + quantity, 0),
    is_test: order.discrepancy === 'test_order',
  };
}
