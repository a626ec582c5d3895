import { dashboardOf } from './dashboard.ts';
import { type Cell, type Dataset, dailyRevenueMart, type Question, quoted } from './dataset.ts';
import { malformed } from './mess.ts';
import { shopTopics } from './topics.ts';
import type { Truth } from './truth.ts';

/** A question whose right answer is known. */
export interface CheckedQuestion extends Question {
  readonly expected: (truth: Truth) => Cell[][];
}

/** The shop's dataset. Beside the topics it reads `shop.orders`, the shop's own table. Days are those of `timeZone`. */
export interface ShopDataset extends Dataset {
  readonly questions: readonly CheckedQuestion[];
  /** Makes the empty orders table, so that its types don't hang on the rows that are loaded. */
  readonly ordersTable: { readonly table: string; readonly sql: string };
  /** How many of the topic's records must be rejected, by the code of the reason. */
  readonly rejections: (truth: Truth) => Readonly<Record<string, number>>;
}

export function shopDataset(timeZone: string, currency = 'KRW'): ShopDataset {
  const dashboards = { shop: dashboardOf({ ...shown, currency }) };
  return {
    name: 'shop',
    title: 'Simulated shop',
    topics: shopTopics,
    dashboards,
    marts: marts(timeZone),
    questions,
    ordersTable,
    rejections,
  };
}

const shown = {
  title: 'Shop',
  description: 'Visits and purchases by the day and the page on which a visit began. Crawlers and staff are left out.',
  visits: "s.kind = 'customer'",
  origin: { title: 'Campaigns', column: 'campaign' },
  events: 'SELECT session_id, event FROM mart.events',
  steps: [
    { title: 'Saw a product', condition: "e.event = 'view_item'" },
    { title: 'Put it in the cart', condition: "e.event = 'add_to_cart'" },
    { title: 'Began the checkout', condition: "e.event = 'begin_checkout'" },
    { title: 'Bought', condition: "e.event = 'purchase'" },
  ],
};

const rejections = ({ records }: Truth) =>
  Object.fromEntries((Object.keys(malformed) as (keyof typeof malformed)[]).map((kind) => [malformed[kind], records.malformed[kind]]));

const ordersTable = {
  table: 'shop.orders',
  sql: `CREATE OR REPLACE TABLE shop.orders AS
SELECT
  CAST(NULL AS VARCHAR) AS order_id, CAST(NULL AS TIMESTAMPTZ) AS ordered_at, CAST(NULL AS VARCHAR) AS customer_id,
  CAST(NULL AS DECIMAL(18,2)) AS amount, CAST(NULL AS VARCHAR) AS currency, CAST(NULL AS VARCHAR) AS payment_type, CAST(NULL AS VARCHAR) AS status,
  CAST(NULL AS DECIMAL(18,2)) AS refund_amount, CAST(NULL AS TIMESTAMPTZ) AS refunded_at, CAST(NULL AS BIGINT) AS item_count, CAST(NULL AS BOOLEAN) AS is_test
WHERE false`,
};

const marts = (timeZone: string) => [
  {
    table: 'mart.events',
    // A browser is the person who identified in it, whenever that was. A session ends after 30 minutes without an event.
    sql: `CREATE OR REPLACE TABLE mart.events AS
WITH known AS (
  SELECT user_pseudo_id AS browser_id, max(user_id) AS member FROM raw.events WHERE user_id IS NOT NULL GROUP BY user_pseudo_id
), marked AS (
  SELECT e.*,
    coalesce(k.member, e.user_pseudo_id) AS person,
    CASE
      WHEN regexp_matches(e.user_agent, '(?i)bot|crawl|spider|headless') THEN 'bot'
      WHEN e.internal THEN 'staff'
      ELSE 'customer'
    END AS kind,
    CASE WHEN e._time - lag(e._time) OVER browsing <= INTERVAL 30 MINUTE THEN 0 ELSE 1 END AS begins
  FROM raw.events AS e LEFT JOIN known AS k ON k.browser_id = e.user_pseudo_id
  WINDOW browsing AS (PARTITION BY e.user_pseudo_id ORDER BY e._time)
)
SELECT
  _time AS time, event, person, kind,
  user_pseudo_id || '/' || sum(begins) OVER (PARTITION BY user_pseudo_id ORDER BY _time) AS session_id,
  page, source, medium, campaign, device, country, list, placement, content, item_id, visible, items, value, order_id, variant
FROM marked`,
  },
  {
    table: 'mart.sessions',
    sql: `CREATE OR REPLACE TABLE mart.sessions AS
SELECT
  session_id,
  any_value(person) AS person,
  any_value(kind) AS kind,
  min(time) AS started,
  max(time) AS ended,
  CAST(min(time) AT TIME ZONE ${quoted(timeZone)} AS DATE) AS day,
  arg_min(page, time) AS landing_page,
  max(source) AS source,
  max(medium) AS medium,
  max(campaign) AS campaign,
  any_value(device) AS device,
  any_value(country) AS country,
  count(*) AS events,
  count(*) FILTER (WHERE event = 'page_view') AS page_views
FROM mart.events GROUP BY session_id`,
  },
  {
    table: 'mart.orders',
    // An order counts once, however often the browser reported it.
    sql: `CREATE OR REPLACE TABLE mart.orders AS
SELECT order_id, max(value) AS value, min(time) AS time, arg_min(session_id, time) AS session_id, any_value(person) AS person, count(*) AS reports
FROM mart.events WHERE event = 'purchase' AND kind = 'customer' GROUP BY order_id`,
  },
  dailyRevenueMart,
];

const questions: readonly CheckedQuestion[] = [
  {
    name: 'summary',
    title: 'Sessions, users, orders, revenue, conversion',
    sql: `SELECT
  (SELECT count(*) FROM mart.sessions WHERE kind = 'customer') AS sessions,
  (SELECT count(DISTINCT person) FROM mart.sessions WHERE kind = 'customer') AS users,
  (SELECT CAST(sum(page_views) AS BIGINT) FROM mart.sessions WHERE kind = 'customer') AS page_views,
  (SELECT count(*) FROM mart.orders) AS orders,
  (SELECT coalesce(sum(value), 0) FROM mart.orders) AS revenue,
  (SELECT round(count(DISTINCT session_id) / (SELECT count(*) FROM mart.sessions WHERE kind = 'customer'), 6) FROM mart.orders) AS conversion`,
    expected: (t) => [[t.sessions, t.users, t.pageViews, t.orders, t.revenue, Number(t.conversion.toFixed(6))]],
  },
  {
    name: 'records',
    title: 'Rows in the warehouse, each record once; records that came an hour or more late',
    sql: `SELECT
  (SELECT count(*) FROM raw.events) AS events,
  (SELECT count(*) FROM raw.refunds) AS refunds,
  (SELECT count(*) FROM raw.events WHERE sent_at - _time >= INTERVAL 1 HOUR) AS late`,
    expected: ({ records }) => [[records.events, records.refunds, records.late]],
  },
  {
    name: 'bots',
    title: 'Crawlers, told by their user agent',
    sql: `SELECT count(DISTINCT person) AS crawlers, count(*) AS sessions FROM mart.sessions WHERE kind = 'bot'`,
    expected: ({ bots }) => [[bots.users, bots.sessions]],
  },
  {
    name: 'top_pages',
    title: 'Revenue by the page on which the session began',
    sql: `SELECT page, CAST(sum(orders) AS BIGINT) AS orders, sum(revenue) AS revenue FROM mart.daily_revenue GROUP BY page ORDER BY revenue DESC, page`,
    expected: ({ pages }) => pages.map(({ page, orders, revenue }) => [page, orders, revenue]),
  },
  {
    name: 'daily_revenue',
    title: 'Revenue by day and page',
    sql: `SELECT CAST(day AS VARCHAR) AS day, page, orders, revenue FROM mart.daily_revenue ORDER BY day, page`,
    expected: ({ dailyRevenue }) => dailyRevenue.map(({ day, page, orders, revenue }) => [day, page, orders, revenue]),
  },
  {
    name: 'campaigns',
    title: 'Sessions, orders and revenue by campaign',
    sql: `SELECT coalesce(s.campaign, '(none)') AS campaign, count(*) AS sessions, count(o.order_id) AS orders, coalesce(sum(o.value), 0) AS revenue
FROM mart.sessions AS s LEFT JOIN mart.orders AS o ON o.session_id = s.session_id
WHERE s.kind = 'customer' GROUP BY 1 ORDER BY 1`,
    expected: ({ campaigns }) => campaigns.map(({ campaign, sessions, orders, revenue }) => [campaign, sessions, orders, revenue]),
  },
  {
    name: 'promotions',
    title: 'Promotions: impressions (half visible for a second) and clicks, by content',
    sql: `SELECT placement, content,
  count(*) FILTER (WHERE event = 'view_promotion' AND visible) AS impressions,
  count(*) FILTER (WHERE event = 'select_promotion') AS clicks
FROM mart.events WHERE kind = 'customer' AND event IN ('view_promotion', 'select_promotion')
GROUP BY placement, content ORDER BY placement, content`,
    expected: ({ promotions }) =>
      promotions.map(({ placement, content, impressions, clicks }) => [placement, content, impressions, clicks]),
  },
  {
    name: 'lists',
    title: 'Product lists: impressions and clicks, by list and product',
    sql: `WITH shown AS (
  SELECT list, unnest(json_extract(items, '$[*]')) AS item FROM mart.events WHERE kind = 'customer' AND event = 'view_item_list'
), seen AS (
  SELECT list, json_extract_string(item, '$.item_id') AS item_id, CAST(json_extract_string(item, '$.visible') = 'true' AS INTEGER) AS impressions, 0 AS clicks
  FROM shown
  UNION ALL
  SELECT list, item_id, 0, 1 FROM mart.events WHERE kind = 'customer' AND event = 'select_item'
)
SELECT list, item_id, CAST(sum(impressions) AS BIGINT) AS impressions, CAST(sum(clicks) AS BIGINT) AS clicks
FROM seen GROUP BY list, item_id ORDER BY list, item_id`,
    expected: ({ lists }) => lists.map(({ list, item, impressions, clicks }) => [list, item, impressions, clicks]),
  },
  {
    name: 'experiment',
    title: 'A/B test of the checkout page: who saw it, who bought',
    sql: `SELECT e.variant, count(DISTINCT e.person) AS users, count(DISTINCT o.person) AS buyers
FROM mart.events AS e LEFT JOIN mart.orders AS o ON o.person = e.person
WHERE e.event = 'experiment_viewed' AND e.kind = 'customer' GROUP BY e.variant ORDER BY e.variant`,
    expected: ({ experiment }) =>
      experiment.variants.filter(({ users }) => users > 0).map(({ variant, users, buyers }) => [variant, users, buyers]),
  },
  {
    name: 'shop',
    title: "The shop's own table: paid orders without tests, and what was given back",
    sql: `SELECT count(*) AS orders, coalesce(sum(o.amount), 0) AS amount, count(r.refund_id) AS refunds, coalesce(sum(r.value), 0) AS refunded
FROM shop.orders AS o LEFT JOIN raw.refunds AS r ON r.order_id = o.order_id
WHERE o.status <> 'awaiting_payment' AND NOT o.is_test`,
    expected: ({ shop }) => [[shop.orders, shop.amount, shop.refunds, shop.refunded]],
  },
  {
    name: 'reconciliation',
    title: "The shop's orders against the purchase events",
    sql: `WITH both_sides AS (
  SELECT s.status, s.is_test, e.reports FROM shop.orders AS s LEFT JOIN mart.orders AS e ON e.order_id = s.order_id
)
SELECT
  count(*) FILTER (WHERE reports > 0 AND status <> 'awaiting_payment') AS matched,
  count(*) FILTER (WHERE reports IS NULL AND status <> 'awaiting_payment' AND NOT is_test) AS without_event,
  count(*) FILTER (WHERE reports > 1) AS reported_twice,
  count(*) FILTER (WHERE status = 'awaiting_payment' AND NOT is_test) AS never_paid,
  count(*) FILTER (WHERE is_test) AS test_orders
FROM both_sides`,
    expected: ({ reconciliation: { matched, reasons } }) => [
      [matched, reasons.ad_blocker + reasons.page_closed, reasons.page_reload, reasons.never_paid, reasons.test_order],
    ],
  },
];
