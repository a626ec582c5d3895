import { experiment } from './goods.ts';
import { fates, late, type Malformed, malformed } from './mess.ts';
import { people } from './person.ts';
import type { Plan } from './plan.ts';
import type { Discrepancy, Order, Visit } from './visit.ts';

/**
 * The right answers, counted while the visits are simulated and never from the records. Everything but the numbers of
 * records, bots and the shop's own table is about customers whose records are sent (no crawler, no staff, no ad-blocker).
 * Amounts are decimal text in the shop's currency; days are local days of the visit's start.
 */
export interface Truth {
  readonly records: {
    /** Distinct well-formed records of the topic `events`, of the topic `refunds`. */
    readonly events: number;
    readonly refunds: number;
    /** Events that were sent a second time with the same id and time. */
    readonly retried: number;
    /** Events that were sent an hour or more after they happened. */
    readonly late: number;
    readonly malformed: Readonly<Record<Malformed, number>>;
  };
  readonly users: number;
  readonly sessions: number;
  readonly pageViews: number;
  readonly bots: { readonly users: number; readonly sessions: number };
  /** Orders that the browser reported at least once: each counts once. */
  readonly orders: number;
  readonly revenue: string;
  /** Sessions with such an order / sessions. */
  readonly conversion: number;
  readonly pages: readonly PageTruth[];
  /** By day and landing page, only where there is revenue; by day, then page. */
  readonly dailyRevenue: readonly (PageTruth & { readonly day: string })[];
  readonly campaigns: readonly {
    readonly campaign: string;
    readonly sessions: number;
    readonly orders: number;
    readonly revenue: string;
  }[];
  /** Promotions that were at least half visible for a second or more, and clicks on them. */
  readonly promotions: readonly {
    readonly placement: string;
    readonly content: string;
    readonly impressions: number;
    readonly clicks: number;
  }[];
  /** Products in lists, the same way. */
  readonly lists: readonly { readonly list: string; readonly item: string; readonly impressions: number; readonly clicks: number }[];
  readonly experiment: {
    readonly name: string;
    /** The true ratio of the probabilities to buy, B to A; the observed one scatters around it. */
    readonly effect: number;
    readonly variants: readonly { readonly variant: 'A' | 'B'; readonly users: number; readonly buyers: number }[];
  };
  /** The shop's own table: paid orders that are no tests, and what was given back for them. */
  readonly shop: { readonly orders: number; readonly amount: string; readonly refunds: number; readonly refunded: string };
  readonly reconciliation: {
    /** Paid orders that have a purchase event. */
    readonly matched: number;
    /** All orders that differ between the shop's table and the events, by reason. */
    readonly reasons: Readonly<Record<Discrepancy, number>>;
  };
}

export interface PageTruth {
  /** The page on which the session began. */
  readonly page: string;
  readonly orders: number;
  readonly revenue: string;
}

interface Tally {
  sessions: number;
  orders: number;
  revenue: number;
  impressions: number;
  clicks: number;
}

/** Counters by key. The parts of a key are joined with a character that none of them has. */
function tallies() {
  const map = new Map<string, Tally>();
  return {
    of(...key: string[]): Tally {
      const name = key.join('\n');
      let tally = map.get(name);
      if (tally === undefined) map.set(name, (tally = { sessions: 0, orders: 0, revenue: 0, impressions: 0, clicks: 0 }));
      return tally;
    },
    all: () => [...map].map(([name, tally]) => ({ key: name.split('\n'), ...tally })),
  };
}

const ascending =
  <T>(...by: ((row: T) => string)[]) =>
  (a: T, b: T) => {
    const differing = by.find((key) => key(a) !== key(b));
    return differing === undefined ? 0 : differing(a) < differing(b) ? -1 : 1;
  };

/** One pass over the visits. Memory: a byte a person and the counters. */
export function tellTruth(plan: Plan, visits: Iterable<Visit>): Truth {
  const seen = new Uint8Array(people(plan));
  const flags = { visited: 1, exposed: 2, bought: 4 } as const;
  const mark = (index: number, flag: number) => {
    const before = seen[index]! & flag;
    seen[index]! |= flag;
    return before === 0 ? 1 : 0;
  };
  const records = { events: 0, refunds: 0, retried: 0, late: 0, malformed: zeros(malformed) };
  const bots = { users: 0, sessions: 0 };
  const shop = { orders: 0, amount: 0, refunds: 0, refunded: 0 };
  const reasons: Record<Discrepancy, number> = { ad_blocker: 0, page_closed: 0, page_reload: 0, never_paid: 0, test_order: 0 };
  const variants = { A: { users: 0, buyers: 0 }, B: { users: 0, buyers: 0 } };
  const total = { users: 0, sessions: 0, pageViews: 0, orders: 0, revenue: 0, matched: 0 };
  const days = tallies();
  const campaigns = tallies();
  const promotions = tallies();
  const lists = tallies();

  function countRecords(visit: Visit): void {
    for (const [index, { arrival, retried, broken }] of fates(plan, visit).entries()) {
      records.events++;
      if (retried !== null) records.retried++;
      if (arrival - visit.events[index]!.time >= late) records.late++;
      if (broken !== null) records.malformed[broken]++;
    }
  }

  function countOrderOfShop(order: Order): void {
    if (order.refund !== null) records.refunds++;
    if (order.discrepancy !== null) reasons[order.discrepancy]++;
    if (order.discrepancy === 'test_order' || !order.paid) return;
    shop.orders++;
    shop.amount += order.value;
    if (order.refund !== null) shop.refunds++;
    shop.refunded += order.refund?.amount ?? 0;
    if (order.purchaseEvents > 0) total.matched++;
  }

  function countEvents(visit: Visit): void {
    for (const { event, fields } of visit.events) {
      if (event === 'page_view') total.pageViews++;
      else if (event === 'experiment_viewed') variants[visit.person.variant].users += mark(visit.person.index, flags.exposed);
      else if (event === 'view_promotion')
        promotions.of(fields['placement'] as string, fields['content'] as string).impressions += Number(fields['visible']);
      else if (event === 'select_promotion') promotions.of(fields['placement'] as string, fields['content'] as string).clicks++;
      else if (event === 'select_item') lists.of(fields['list'] as string, fields['item_id'] as string).clicks++;
      else if (event === 'view_item_list') {
        for (const item of fields['items'] as { item_id: string; visible: boolean }[]) {
          lists.of(fields['list'] as string, item.item_id).impressions += Number(item.visible);
        }
      }
    }
  }

  function countSession(visit: Visit): void {
    total.users += mark(visit.person.index, flags.visited);
    total.sessions++;
    const campaign = campaigns.of(visit.campaign.campaign ?? '(none)');
    campaign.sessions++;
    const { order } = visit;
    if (order === null || order.purchaseEvents === 0) return;
    total.orders++;
    total.revenue += order.value;
    variants[visit.person.variant].buyers += mark(visit.person.index, flags.bought);
    for (const tally of [campaign, days.of(plan.localDay(visit.start), visit.landing)]) {
      tally.orders++;
      tally.revenue += order.value;
    }
  }

  for (const visit of visits) {
    const { person, order } = visit;
    if (order !== null) countOrderOfShop(order);
    if (person.blocked) continue;
    countRecords(visit);
    if (person.kind === 'bot') {
      bots.users += mark(person.index, flags.visited);
      bots.sessions++;
    }
    if (person.kind !== 'customer') continue;
    countEvents(visit);
    countSession(visit);
  }

  const dailyRevenue = days
    .all()
    .map(({ key: [day, page], orders, revenue }) => ({ day: day!, page: page!, orders, revenue: plan.money(revenue) }))
    .sort(
      ascending(
        (row) => row.day,
        (row) => row.page,
      ),
    );
  return {
    records,
    users: total.users,
    sessions: total.sessions,
    pageViews: total.pageViews,
    bots,
    orders: total.orders,
    revenue: plan.money(total.revenue),
    conversion: total.sessions === 0 ? 0 : total.orders / total.sessions,
    pages: revenueByPage(plan, days.all()),
    dailyRevenue,
    campaigns: campaigns
      .all()
      .map(({ key: [campaign], sessions, orders, revenue }) => ({ campaign: campaign!, sessions, orders, revenue: plan.money(revenue) }))
      .sort(ascending((row) => row.campaign)),
    promotions: promotions
      .all()
      .map(({ key: [placement, content], impressions, clicks }) => ({ placement: placement!, content: content!, impressions, clicks }))
      .sort(
        ascending(
          (row) => row.placement,
          (row) => row.content,
        ),
      ),
    lists: lists
      .all()
      .map(({ key: [list, item], impressions, clicks }) => ({ list: list!, item: item!, impressions, clicks }))
      .sort(
        ascending(
          (row) => row.list,
          (row) => row.item,
        ),
      ),
    experiment: {
      name: experiment.name,
      effect: experiment.purchase.B / experiment.purchase.A,
      variants: [
        { variant: 'A', ...variants.A },
        { variant: 'B', ...variants.B },
      ],
    },
    shop: { ...shop, amount: plan.money(shop.amount), refunded: plan.money(shop.refunded) },
    reconciliation: { matched: total.matched, reasons },
  };
}

const zeros = <K extends string>(keys: Readonly<Record<K, unknown>>) =>
  Object.fromEntries(Object.keys(keys).map((key) => [key, 0])) as Record<K, number>;

/** By revenue, highest first; equal ones by name. */
function revenueByPage(plan: Plan, days: readonly { key: string[]; orders: number; revenue: number }[]): PageTruth[] {
  const pages = tallies();
  for (const { key, orders, revenue } of days) {
    const page = pages.of(key[1]!);
    page.orders += orders;
    page.revenue += revenue;
  }
  return pages
    .all()
    .sort((a, b) => b.revenue - a.revenue || ascending<typeof a>((row) => row.key[0]!)(a, b))
    .map(({ key, orders, revenue }) => ({ page: key[0]!, orders, revenue: plan.money(revenue) }));
}
