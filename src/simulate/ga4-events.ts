import { dashboardOf } from './dashboard.ts';
import { type Difference, dailyRevenueMart, type ExportKind } from './dataset.ts';

/**
 * GA4 events as BigQuery exports them (events_*): a row an event, its parameters and items nested. Each event becomes a record.
 * Schema: Google's "BigQuery Export schema" for GA4. The export has no event id: two rows that are alike in all columns are one event.
 */
export const ga4Events: ExportKind = {
  name: 'ga4_events',
  title: 'GA4 events',
  marks: { event_timestamp: 'BIGINT', event_name: 'VARCHAR', event_params: 'STRUCT(', user_pseudo_id: 'VARCHAR', ecommerce: 'STRUCT(' },
  topic: 'ga4_events',
  topics: {
    ga4_events: `title: GA4 events
id: event_id
time:
  field: event_time
  unit: us
  required: true
type: event
drift: evolve
fields:
  event_id: { type: text, required: true }
  event: { type: text, required: true }
  event_time: integer
  date: date
  user_pseudo_id: text
  user_id: text
  ga_session_id: integer
  page_location: text
  page: text
  page_title: text
  referrer: text
  source: text
  medium: text
  campaign: text
  device: text
  browser: text
  operating_system: text
  country: text
  city: text
  items: json
  order_id: text
  value: decimal(18,2)
  currency: text
`,
  },
  dashboards: {
    shop: dashboardOf({
      title: 'GA4 events',
      description: 'Visits and purchases by the day and the first page that is known of a visit.',
      visits: 'true',
      origin: { title: 'Sources', column: 'source' },
      events: "SELECT concat_ws('-', user_pseudo_id, ga_session_id) AS session_id, event FROM raw.ga4_events",
      steps: [
        { title: 'Saw a product', condition: "e.event = 'view_item'" },
        { title: 'Put it in the cart', condition: "e.event = 'add_to_cart'" },
        { title: 'Began the checkout', condition: "e.event = 'begin_checkout'" },
        { title: 'Bought', condition: "e.event = 'purchase'" },
      ],
    }),
  },
  records: `WITH event AS (
  SELECT e.*, md5(CAST(e AS VARCHAR)) AS event_id,
    list_extract(list_filter(e.event_params, lambda p: p.key = 'page_location'), 1).value.string_value AS page_location
  FROM staging.export AS e
)
SELECT
  event_id,
  event_name AS event,
  event_timestamp AS event_time,
  event_date[1:4] || '-' || event_date[5:6] || '-' || event_date[7:8] AS date,
  user_pseudo_id,
  user_id,
  list_extract(list_filter(event_params, lambda p: p.key = 'ga_session_id'), 1).value.int_value AS ga_session_id,
  page_location,
  regexp_extract(page_location, '^[a-z]+://[^/?#]*([^?#]*)', 1) AS page,
  list_extract(list_filter(event_params, lambda p: p.key = 'page_title'), 1).value.string_value AS page_title,
  list_extract(list_filter(event_params, lambda p: p.key = 'page_referrer'), 1).value.string_value AS referrer,
  traffic_source.source AS source,
  traffic_source.medium AS medium,
  traffic_source.name AS campaign,
  device.category AS device,
  device.web_info.browser AS browser,
  device.operating_system AS operating_system,
  geo.country AS country,
  geo.city AS city,
  list_transform(items, lambda i:
    {'item_id': i.item_id, 'item_name': i.item_name, 'item_category': i.item_category, 'price': i.price, 'quantity': i.quantity,
     'list': nullif(i.item_list_name, '(not set)'), 'promotion': nullif(i.promotion_name, '(not set)')}) AS items,
  nullif(ecommerce.transaction_id, '(not set)') AS order_id,
  CAST(ecommerce.purchase_revenue AS DECIMAL(18,2)) AS value,
  list_extract(list_filter(event_params, lambda p: p.key = 'currency'), 1).value.string_value AS currency
FROM event`,
  marts: [
    {
      table: 'mart.sessions',
      sql: `CREATE OR REPLACE TABLE mart.sessions AS
SELECT
  concat_ws('-', user_pseudo_id, ga_session_id) AS session_id,
  any_value(user_pseudo_id) AS visitor,
  min(_time) AS started,
  max(_time) AS ended,
  min(date) AS day,
  arg_min(page, _time) AS landing_page,
  any_value(source) AS source,
  any_value(medium) AS medium,
  any_value(device) AS device,
  any_value(country) AS country,
  count(*) AS events,
  count(*) FILTER (WHERE event = 'page_view') AS page_views
FROM raw.ga4_events GROUP BY user_pseudo_id, ga_session_id`,
    },
    {
      table: 'mart.orders',
      // A purchase without an order number can be matched with no other: it is an order of its own.
      sql: `CREATE OR REPLACE TABLE mart.orders AS
SELECT
  coalesce(order_id, 'event ' || event_id) AS order_id,
  coalesce(max(value), 0) AS value,
  min(_time) AS time,
  arg_min(concat_ws('-', user_pseudo_id, ga_session_id), _time) AS session_id,
  count(*) AS reports
FROM raw.ga4_events WHERE event = 'purchase' GROUP BY 1`,
    },
    dailyRevenueMart,
  ],
  questions: [
    {
      name: 'summary',
      title: 'Sessions, events, users, orders, revenue, conversion',
      sql: `SELECT
  (SELECT count(*) FROM mart.sessions) AS sessions,
  (SELECT count(*) FROM raw.ga4_events) AS events,
  (SELECT count(DISTINCT visitor) FROM mart.sessions) AS users,
  (SELECT count(*) FROM mart.orders) AS orders,
  (SELECT coalesce(sum(value), 0) FROM mart.orders) AS revenue,
  (SELECT round(count(DISTINCT session_id) / nullif((SELECT count(*) FROM mart.sessions), 0), 6) FROM mart.orders) AS conversion`,
    },
    {
      name: 'top_pages',
      title: 'Revenue by the first page that is known of the session',
      sql: `SELECT page, CAST(sum(orders) AS BIGINT) AS orders, sum(revenue) AS revenue FROM mart.daily_revenue GROUP BY page ORDER BY revenue DESC, page`,
    },
    {
      name: 'daily_revenue',
      title: 'Revenue by day and page',
      sql: `SELECT CAST(day AS VARCHAR) AS day, page, orders, revenue FROM mart.daily_revenue ORDER BY day, page`,
    },
    {
      name: 'events',
      title: 'Events by kind',
      sql: 'SELECT event, count(*) AS events FROM raw.ga4_events GROUP BY event ORDER BY events DESC, event',
    },
  ],
  differences: `SELECT
  (SELECT count(*) FROM mart.orders) AS orders,
  (SELECT coalesce(sum(value), 0) FROM mart.orders) AS revenue,
  (SELECT count(*) FROM raw.ga4_events WHERE event = 'purchase') AS purchases,
  (SELECT count(*) FROM raw.ga4_events WHERE event = 'purchase' AND order_id IS NULL) AS nameless,
  (SELECT count(*) FROM mart.orders WHERE reports > 1) AS repeated,
  (SELECT count(*) FROM raw.ga4_events WHERE event = 'purchase' AND value IS NULL) AS worthless,
  (SELECT CAST(coalesce(sum(ecommerce.purchase_revenue), 0) AS DECIMAL(18,2)) FROM staging.export WHERE event_name = 'purchase') AS source_revenue`,
  explain: explainEvents,
};

function explainEvents(f: Readonly<Record<string, string | number | null>>): Difference[] {
  const n = (name: string) => Number(f[name]);
  return [
    { figure: 'an order counts once, at its highest value', orders: n('orders'), revenue: String(f['revenue']), why: 'the answer above' },
    {
      figure: 'sum over the purchase events of the source',
      orders: n('purchases'),
      revenue: String(f['source_revenue']),
      why:
        `${n('repeated')} orders were reported more than once and count once here; ${n('nameless')} purchases have no order number and count one by one; ` +
        `${n('worthless')} purchases have no value and count as 0`,
    },
  ];
}
