import { dashboardOf } from './dashboard.ts';
import { type Difference, dailyRevenueMart, type ExportKind } from './dataset.ts';

/**
 * Google Analytics (Universal) sessions as BigQuery exports them (ga_sessions_*): a row a session with its hits nested.
 * Schema: Google's "BigQuery Export schema". Each hit becomes a record. Amounts of the export are millionths.
 */
export const gaSessions: ExportKind = {
  name: 'ga_sessions',
  title: 'Google Analytics sessions',
  marks: { fullVisitorId: 'VARCHAR', visitStartTime: 'BIGINT', hits: 'STRUCT(', totals: 'STRUCT(' },
  topic: 'ga_hits',
  topics: {
    ga_hits: `title: Hits of Google Analytics sessions
id: hit_id
time:
  field: hit_time
  unit: ms
  required: true
type: type
drift: evolve
fields:
  hit_id: { type: text, required: true }
  session_id: { type: text, required: true }
  full_visitor_id: { type: text, required: true }
  visit_id: integer
  visit_number: integer
  hit_number: { type: integer, required: true }
  hit_time: integer
  date: date
  type: text
  hostname: text
  page: text
  page_title: text
  referrer: text
  channel: text
  source: text
  medium: text
  campaign: text
  device: text
  browser: text
  operating_system: text
  country: text
  city: text
  action: text
  event_category: text
  event_action: text
  event_label: text
  promotion_impressions: json
  promotion_clicks: json
  list_impressions: json
  list_clicks: json
  products: json
  order_id: text
  revenue: decimal(18,6)
  tax: decimal(18,6)
  shipping: decimal(18,6)
  currency: text
`,
  },
  dashboards: {
    shop: dashboardOf({
      title: 'Google Analytics sessions',
      description: 'Visits and purchases by the day and the page on which a visit began.',
      visits: 'true',
      origin: { title: 'Channels', column: 'channel' },
      events: 'SELECT session_id, action FROM raw.ga_hits',
      steps: [
        { title: 'Saw a product', condition: "e.action = 'view'" },
        { title: 'Put it in the cart', condition: "e.action = 'add_to_cart'" },
        { title: 'Began the checkout', condition: "e.action = 'checkout'" },
        { title: 'Bought', condition: "e.action = 'purchase'" },
      ],
    }),
  },
  // A session that crosses midnight stands in the export twice, with one visitId and two start times: hence the start in its id.
  records: `WITH hit AS (
  SELECT s.*, concat_ws('-', s.fullVisitorId, s.visitId, s.visitStartTime) AS session_id, unnest(s.hits) AS hit FROM staging.export AS s
)
SELECT
  session_id || '-' || hit.hitNumber AS hit_id,
  session_id,
  fullVisitorId AS full_visitor_id,
  visitId AS visit_id,
  visitNumber AS visit_number,
  hit.hitNumber AS hit_number,
  visitStartTime * 1000 + hit.time AS hit_time,
  date[1:4] || '-' || date[5:6] || '-' || date[7:8] AS date,
  hit.type AS type,
  hit.page.hostname AS hostname,
  hit.page.pagePath AS page,
  hit.page.pageTitle AS page_title,
  hit.referer AS referrer,
  channelGrouping AS channel,
  trafficSource.source AS source,
  trafficSource.medium AS medium,
  nullif(trafficSource.campaign, '(not set)') AS campaign,
  device.deviceCategory AS device,
  device.browser AS browser,
  device.operatingSystem AS operating_system,
  geoNetwork.country AS country,
  geoNetwork.city AS city,
  CASE hit.eCommerceAction.action_type
    WHEN '1' THEN 'click' WHEN '2' THEN 'view' WHEN '3' THEN 'add_to_cart' WHEN '4' THEN 'remove_from_cart'
    WHEN '5' THEN 'checkout' WHEN '6' THEN 'purchase' WHEN '7' THEN 'refund' WHEN '8' THEN 'checkout_option'
  END AS action,
  hit.eventInfo.eventCategory AS event_category,
  hit.eventInfo.eventAction AS event_action,
  hit.eventInfo.eventLabel AS event_label,
  CASE WHEN hit.promotionActionInfo.promoIsView THEN list_transform(hit.promotion, lambda p:
    {'id': p.promoId, 'name': p.promoName, 'creative': p.promoCreative, 'position': p.promoPosition}) END AS promotion_impressions,
  CASE WHEN hit.promotionActionInfo.promoIsClick THEN list_transform(hit.promotion, lambda p:
    {'id': p.promoId, 'name': p.promoName, 'creative': p.promoCreative, 'position': p.promoPosition}) END AS promotion_clicks,
  nullif(list_transform(list_filter(hit.product, lambda p: p.isImpression), lambda p:
    {'list': p.productListName, 'position': p.productListPosition, 'sku': p.productSKU, 'name': p.v2ProductName}), []) AS list_impressions,
  nullif(list_transform(list_filter(hit.product, lambda p: p.isClick), lambda p:
    {'list': p.productListName, 'position': p.productListPosition, 'sku': p.productSKU, 'name': p.v2ProductName}), []) AS list_clicks,
  nullif(list_transform(list_filter(hit.product, lambda p: NOT coalesce(p.isImpression, false) AND NOT coalesce(p.isClick, false)), lambda p:
    {'sku': p.productSKU, 'name': p.v2ProductName, 'category': p.v2ProductCategory, 'quantity': p.productQuantity,
     'price': CAST(p.productPrice * CAST(0.000001 AS DECIMAL(7,6)) AS DECIMAL(18,6))}), []) AS products,
  hit.transaction.transactionId AS order_id,
  CAST(hit.transaction.transactionRevenue * CAST(0.000001 AS DECIMAL(7,6)) AS DECIMAL(18,6)) AS revenue,
  CAST(hit.transaction.transactionTax * CAST(0.000001 AS DECIMAL(7,6)) AS DECIMAL(18,6)) AS tax,
  CAST(hit.transaction.transactionShipping * CAST(0.000001 AS DECIMAL(7,6)) AS DECIMAL(18,6)) AS shipping,
  hit.transaction.currencyCode AS currency
FROM hit`,
  marts: [
    {
      table: 'mart.sessions',
      // A session may begin with an event; the landing page is that of its first page view, if it has one.
      sql: `CREATE OR REPLACE TABLE mart.sessions AS
SELECT
  session_id,
  any_value(full_visitor_id) AS visitor,
  min(_time) AS started,
  max(_time) AS ended,
  min(date) AS day,
  coalesce(arg_min(page, hit_number) FILTER (WHERE type = 'PAGE'), arg_min(page, hit_number)) AS landing_page,
  any_value(channel) AS channel,
  any_value(device) AS device,
  any_value(country) AS country,
  count(*) AS hits,
  count(*) FILTER (WHERE type = 'PAGE') AS page_views
FROM raw.ga_hits GROUP BY session_id`,
    },
    {
      table: 'mart.orders',
      // A confirmation page that is opened again reports its order again, sometimes at another value: it counts once, at its highest.
      sql: `CREATE OR REPLACE TABLE mart.orders AS
SELECT
  order_id,
  coalesce(max(revenue), 0) AS value,
  min(_time) AS time,
  arg_min(session_id, _time) AS session_id,
  count(*) AS hits,
  count(revenue) AS reports,
  string_agg(CAST(CAST(revenue AS DECIMAL(18,2)) AS VARCHAR), ' and ' ORDER BY _time) AS reported
FROM raw.ga_hits WHERE order_id IS NOT NULL GROUP BY order_id`,
    },
    dailyRevenueMart,
  ],
  questions: [
    {
      name: 'summary',
      title: 'Sessions, hits, users, orders, revenue, conversion',
      sql: `SELECT
  (SELECT count(*) FROM mart.sessions) AS sessions,
  (SELECT count(*) FROM raw.ga_hits) AS hits,
  (SELECT count(DISTINCT visitor) FROM mart.sessions) AS users,
  (SELECT count(*) FROM mart.orders) AS orders,
  (SELECT CAST(coalesce(sum(value), 0) AS DECIMAL(18,2)) FROM mart.orders) AS revenue,
  (SELECT round(count(DISTINCT session_id) / nullif((SELECT count(*) FROM mart.sessions), 0), 6) FROM mart.orders) AS conversion`,
    },
    {
      name: 'top_pages',
      title: 'Revenue by the page on which the session began',
      sql: `SELECT page, CAST(sum(orders) AS BIGINT) AS orders, CAST(sum(revenue) AS DECIMAL(18,2)) AS revenue
FROM mart.daily_revenue GROUP BY page ORDER BY revenue DESC, page`,
    },
    {
      name: 'daily_revenue',
      title: 'Revenue by day and page',
      sql: `SELECT CAST(day AS VARCHAR) AS day, page, orders, CAST(revenue AS DECIMAL(18,2)) AS revenue FROM mart.daily_revenue ORDER BY day, page`,
    },
    {
      name: 'channels',
      title: 'Sessions, orders and revenue by channel',
      sql: `SELECT s.channel, count(*) AS sessions, CAST(sum(coalesce(o.orders, 0)) AS BIGINT) AS orders, CAST(sum(coalesce(o.revenue, 0)) AS DECIMAL(18,2)) AS revenue
FROM mart.sessions AS s
LEFT JOIN (SELECT session_id, count(*) AS orders, sum(value) AS revenue FROM mart.orders GROUP BY session_id) AS o ON o.session_id = s.session_id
GROUP BY s.channel ORDER BY revenue DESC, s.channel`,
    },
    {
      name: 'repeated_orders',
      title: 'Orders that were reported with a value more than once',
      sql: `SELECT order_id, reports, reported, CAST(value AS DECIMAL(18,2)) AS counted FROM mart.orders WHERE reports > 1 ORDER BY order_id`,
    },
  ],
  differences: `SELECT
  (SELECT count(*) FROM mart.orders) AS orders,
  (SELECT CAST(coalesce(sum(value), 0) AS DECIMAL(18,2)) FROM mart.orders) AS revenue,
  (SELECT count(*) FROM raw.ga_hits WHERE order_id IS NOT NULL) AS order_hits,
  (SELECT count(*) FROM raw.ga_hits WHERE order_id IS NOT NULL AND revenue IS NOT NULL) AS valued_hits,
  (SELECT CAST(coalesce(sum(revenue), 0) AS DECIMAL(18,2)) FROM raw.ga_hits WHERE order_id IS NOT NULL) AS hit_revenue,
  (SELECT count(*) FROM mart.orders WHERE reports > 1) AS repeated,
  (SELECT count(*) FROM staging.export
    WHERE totals.totalTransactionRevenue <> list_sum(list_transform(hits, lambda h: h.transaction.transactionRevenue))) AS sessions_off,
  (SELECT CAST(coalesce(sum(totals.transactions), 0) AS BIGINT) FROM staging.export) AS source_orders,
  (SELECT CAST(coalesce(sum(totals.totalTransactionRevenue), 0) * CAST(0.000001 AS DECIMAL(7,6)) AS DECIMAL(18,2)) FROM staging.export) AS source_revenue`,
  explain: explainSessions,
};

/** Why the export's other two figures for orders and revenue differ from ours. Only what the figures themselves show is said. */
function explainSessions(f: Readonly<Record<string, string | number | null>>): Difference[] {
  const n = (name: string) => Number(f[name]);
  const money = (value: number) => value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const above = n('hit_revenue') - n('revenue');
  const below = n('hit_revenue') - n('source_revenue');
  const repeats =
    n('repeated') === 0
      ? 'no order was reported with a value more than once'
      : `${n('repeated')} of the orders were reported with a value more than once (see "repeated_orders"); each counts once here, at its highest value, which is ${money(above)} less`;
  const totals =
    Math.abs(below) < 0.005
      ? 'its revenue is the sum over the hits'
      : `its revenue is ${money(Math.abs(below))} ${below > 0 ? 'below' : 'above'} the sum of its own hits, in ${n('sessions_off')} sessions; the export does not say why`;
  return [
    { figure: 'an order counts once, at its highest value', orders: n('orders'), revenue: String(f['revenue']), why: 'the answer above' },
    {
      figure: `sum over the ${n('order_hits')} hits that carry an order`,
      orders: n('valued_hits'),
      revenue: String(f['hit_revenue']),
      why: `${n('valued_hits')} of these hits have a value, the others repeat an order without one; ${repeats}`,
    },
    {
      figure: "the source's own session totals",
      orders: n('source_orders'),
      revenue: String(f['source_revenue']),
      why: `the source counts every report with a value as an order (${n('source_orders') === n('orders') ? 'as many' : `${n('source_orders')}, not ${n('orders')}`}); ${totals}`,
    },
  ];
}
