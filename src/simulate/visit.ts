import type { Millis } from '#core';
import {
  type Campaign,
  campaigns,
  categories,
  categoryPage,
  type Device,
  eventPage,
  experiment,
  type Product,
  payments,
  productPage,
  products,
  promotions,
  refundReasons,
  searchTerms,
} from './goods.ts';
import type { Person } from './person.ts';
import type { Plan } from './plan.ts';
import { type Random, random } from './random.ts';

/** One thing that happened in the browser. `fields` are the record's own fields; what all records of the visit share is added when it is sent. */
export interface WebEvent {
  readonly event: string;
  readonly time: Millis;
  readonly page: string;
  readonly userId: string | null;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Line {
  readonly product: Product;
  readonly quantity: number;
}

/** Why the shop's orders and the purchase events differ; null where they agree. */
export type Discrepancy = 'ad_blocker' | 'page_closed' | 'page_reload' | 'never_paid' | 'test_order';

export interface Refund {
  readonly id: string;
  readonly time: Millis;
  readonly kind: 'cancelled' | 'refunded' | 'partially_refunded';
  readonly amount: number;
  readonly reason: string;
}

/** An order as the shop knows it. Amounts are minor units of the currency. */
export interface Order {
  readonly id: string;
  readonly time: Millis;
  readonly lines: readonly Line[];
  readonly value: number;
  readonly payment: 'card' | 'easy_pay' | 'bank_transfer';
  readonly paid: boolean;
  readonly refund: Refund | null;
  readonly discrepancy: Discrepancy | null;
  /** How many purchase events the browser sent for it: 0, 1 or 2. */
  readonly purchaseEvents: number;
}

/**
 * One visit: a session by the 30-minute rule. Within a visit no two events are 30 minutes apart, and the next visit of the
 * person begins more than 30 minutes after this one's last event.
 */
export interface Visit {
  readonly person: Person;
  readonly number: number;
  readonly start: Millis;
  readonly end: Millis;
  readonly device: Device;
  readonly pseudoId: string;
  readonly landing: string;
  readonly campaign: Campaign;
  readonly events: readonly WebEvent[];
  readonly order: Order | null;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
/** Kept below the session rule of 30 minutes with room for the milliseconds that ordering adds. */
const longestPause = 29 * minute;

/** The browser's side of a visit while it goes on: the clock, and what was said so far. */
interface Browsing {
  readonly plan: Plan;
  readonly person: Person;
  readonly draw: Random;
  readonly events: WebEvent[];
  page: string;
  clock: Millis;
  userId: string | null;
  cart: Line[];
}

/** A pure function of the plan, the person, the number of the visit and its start. */
export function makeVisit(plan: Plan, person: Person, number: number, start: Millis): Visit {
  const draw = random(plan.seed, 2, person.index, number);
  const slot = number % person.devices.length;
  const device = person.devices[slot]!;
  const firstHere = number < person.devices.length;
  const campaign = person.kind === 'customer' ? draw.weighted(campaigns) : campaigns[0]!;
  const browsing: Browsing = {
    plan,
    person,
    draw,
    events: [],
    page: landingPage(draw, campaign),
    clock: start,
    userId: firstHere ? null : person.userId,
    cart: [],
  };
  const landing = browsing.page;
  const order = person.kind === 'bot' ? crawl(browsing) : browse(browsing, number, firstHere);
  return {
    person,
    number,
    start,
    end: browsing.clock,
    device,
    pseudoId: `${person.index * 7919 + 104729}.${slot + 1}`,
    landing,
    campaign,
    events: browsing.events,
    order,
  };
}

/** When the person comes back. */
export function nextStart(plan: Plan, visit: Visit): Millis {
  const draw = random(plan.seed, 3, visit.person.index, visit.number);
  return visit.end + 31 * minute + Math.floor(draw.exponential(visit.person.meanGap));
}

function landingPage(draw: Random, campaign: Campaign): string {
  if (campaign.campaign !== null && draw.chance(0.5)) return eventPage;
  if (draw.chance(0.45)) return '/';
  return draw.chance(0.5) ? categoryPage(draw.pick(categories)) : productPage(draw.pick(products));
}

/** Says an event now. The clock always moves on, so that no two events of a visit have the same time. */
function say(b: Browsing, event: string, fields: Readonly<Record<string, unknown>> = {}): void {
  b.events.push({ event, time: b.clock, page: b.page, userId: b.userId, fields });
  b.clock += b.draw.integer(40, 900);
}

/** Reads the page; one time in fifty leaves it open for long. */
function read(b: Browsing): void {
  const pause = b.draw.chance(0.02) ? b.draw.unit() * longestPause : 2 * second + b.draw.exponential(30 * second);
  b.clock += Math.floor(Math.min(pause, longestPause - minute));
}

function open(b: Browsing, page: string): void {
  b.page = page;
  say(b, 'page_view');
}

function crawl(b: Browsing): null {
  for (let left = b.draw.integer(15, 50); left > 0; left--) {
    open(b, left % 4 === 0 ? categoryPage(b.draw.pick(categories)) : productPage(b.draw.pick(products)));
    b.clock += b.draw.integer(300, 2000);
  }
  return null;
}

/** The visit of a customer: page after page until nothing is interesting or an order is made. */
function browse(b: Browsing, number: number, firstHere: boolean): Order | null {
  let next: string | null = b.page;
  for (let pages = 0; next !== null && pages < 25; pages++) {
    open(b, next);
    if (pages === 0 && firstHere && b.person.userId !== null) identify(b);
    next = look(b);
    if (next !== null) read(b);
    if (next === '/cart') return checkout(b, number);
  }
  return null;
}

function identify(b: Browsing): void {
  b.userId = b.person.userId;
  say(b, 'identify');
}

/** What the visitor does on the page: the next page, or null to leave. */
function look(b: Browsing): string | null {
  const { draw, page } = b;
  if (page.startsWith('/product/')) return lookAtProduct(b, products.find((product) => productPage(product) === page)!);
  const shelf = products.filter((product) => categoryPage(product.category) === page);
  const chosen = (page === '/' ? seePromotions(b) : null) ?? seeList(b, listName(page), shelf.length > 0 ? shelf : sample(draw, 6));
  if (chosen !== null) return chosen;
  if (draw.chance(0.45)) return null;
  return draw.chance(0.12) ? search(b) : categoryPage(draw.pick(categories));
}

const listName = (page: string) =>
  page === '/' ? 'home_recommended' : page === eventPage ? 'event_list' : page.startsWith('/search') ? 'search_results' : 'category_list';

function sample(draw: Random, count: number): Product[] {
  const from = draw.integer(0, products.length - 1);
  return Array.from({ length: count }, (_, step) => products[(from + step * 5) % products.length]!);
}

function search(b: Browsing): string {
  const term = b.draw.pick(searchTerms);
  say(b, 'search', { search_term: term });
  return `/search?q=${term}`;
}

function seePromotions(b: Browsing): string | null {
  for (const { placement, content, position, visible, click, target } of promotions) {
    const seen = b.draw.chance(visible);
    const visible_ms = seen ? b.draw.integer(1000, 9000) : b.draw.integer(0, 999);
    say(b, 'view_promotion', { placement, content, position, visible: seen, visible_ms });
    if (seen && b.draw.chance(click)) {
      say(b, 'select_promotion', { placement, content, position });
      return target;
    }
  }
  return null;
}

function seeList(b: Browsing, list: string, shown: readonly Product[]): string | null {
  const seen = b.draw.integer(1, shown.length);
  say(b, 'view_item_list', {
    list,
    items: shown.map((product, index) => ({ item_id: product.id, item_name: product.name, index: index + 1, visible: index < seen })),
  });
  for (const [index, product] of shown.slice(0, seen).entries()) {
    if (!b.draw.chance(product.appeal / (1 + index / 4))) continue;
    say(b, 'select_item', { list, item_id: product.id, position: index + 1 });
    return productPage(product);
  }
  return null;
}

function lookAtProduct(b: Browsing, product: Product): string | null {
  say(b, 'view_item', {
    value: amount(b.plan, b.plan.price(product.won)),
    currency: b.plan.currency,
    items: items(b.plan, [{ product, quantity: 1 }]),
  });
  if (b.draw.chance(0.2)) {
    const line = { product, quantity: b.draw.chance(0.85) ? 1 : b.draw.integer(2, 4) };
    b.cart = [...b.cart, line];
    say(b, 'add_to_cart', { value: amount(b.plan, worth(b.plan, [line])), currency: b.plan.currency, items: items(b.plan, [line]) });
    if (b.draw.chance(0.6)) return '/cart';
  }
  if (b.draw.chance(0.5)) return null;
  return b.draw.chance(0.5) ? categoryPage(product.category) : productPage(b.draw.pick(products));
}

function checkout(b: Browsing, number: number): Order | null {
  const { draw, person } = b;
  open(b, '/cart');
  read(b);
  if (draw.chance(0.25)) return null;
  open(b, '/checkout');
  say(b, 'experiment_viewed', { experiment: experiment.name, variant: person.variant });
  say(b, 'begin_checkout', { value: amount(b.plan, worth(b.plan, b.cart)), currency: b.plan.currency, items: items(b.plan, b.cart) });
  read(b);
  if (!draw.chance(experiment.purchase[person.variant])) return null;
  const order = makeOrder(b, number);
  const purchase = {
    order_id: order.id,
    value: amount(b.plan, order.value),
    currency: b.plan.currency,
    payment_type: order.payment,
    items: items(b.plan, b.cart),
  };
  for (let sent = 0; sent < order.purchaseEvents; sent++) {
    open(b, '/order/complete');
    say(b, 'purchase', purchase);
    b.clock += draw.integer(1, 90) * second;
  }
  return order;
}

function makeOrder(b: Browsing, number: number): Order {
  const { plan, person, draw, clock: time, cart: lines } = b;
  const goods = worth(plan, lines);
  const value = goods + (goods < plan.price(50_000) ? plan.price(3_000) : 0);
  const { payment } = draw.weighted(payments);
  const paid = payment !== 'bank_transfer' || draw.chance(0.7);
  const test = person.kind === 'staff';
  const closed = draw.chance(0.04);
  const reloaded = draw.chance(0.03);
  const id = `${plan.localDay(time).replaceAll('-', '')}-${person.index}-${number}`;
  // An order that was never paid is no sale: that explains it, whether it was reported or not.
  const discrepancy: Discrepancy | null = test
    ? 'test_order'
    : !paid
      ? 'never_paid'
      : person.blocked
        ? 'ad_blocker'
        : closed
          ? 'page_closed'
          : reloaded
            ? 'page_reload'
            : null;
  const purchaseEvents = !test && (person.blocked || closed) ? 0 : discrepancy === 'page_reload' ? 2 : 1;
  const refund = paid && !test && draw.chance(0.08) ? makeRefund(b, id, value, lines) : null;
  return { id, time, lines, value, payment, paid, refund, discrepancy, purchaseEvents };
}

function makeRefund({ plan, draw, clock }: Browsing, orderId: string, value: number, lines: readonly Line[]): Refund {
  const kind = draw.chance(0.35) ? 'cancelled' : lines.length > 1 && draw.chance(0.6) ? 'partially_refunded' : 'refunded';
  return {
    id: `R-${orderId}`,
    kind,
    time: clock + (kind === 'cancelled' ? draw.integer(1, 12) * hour : draw.integer(48, 240) * hour),
    amount: kind === 'partially_refunded' ? worth(plan, lines.slice(0, 1)) : value,
    reason: draw.pick(refundReasons),
  };
}

const worth = (plan: Plan, lines: readonly Line[]) =>
  lines.reduce((sum, { product, quantity }) => sum + plan.price(product.won) * quantity, 0);

/** A JSON number whose shortest digits are the exact amount (money stays far below 2^53 minor units). */
export const amount = (plan: Plan, minor: number) => minor / 10 ** plan.digits;

const items = (plan: Plan, lines: readonly Line[]) =>
  lines.map(({ product, quantity }) => ({
    item_id: product.id,
    item_name: product.name,
    item_category: product.category,
    price: amount(plan, plan.price(product.won)),
    quantity,
  }));
