/** What a dataset's tables have in common: mart.sessions (session_id, day, landing_page, device) and mart.orders (session_id, value). */
export interface Shown {
  readonly title: string;
  readonly description: string;
  /** A condition on mart.sessions AS s: whose visits count. */
  readonly visits: string;
  /** A column of mart.sessions that says where visits come from. */
  readonly origin: { readonly title: string; readonly column: string };
  /** One row an event, with session_id and what the steps' conditions read. */
  readonly events: string;
  /** From the visit to the purchase. */
  readonly steps: readonly { readonly title: string; readonly condition: string }[];
  /** ISO 4217, where all amounts have one currency. */
  readonly currency?: string;
}

/** Purchases × behaviour by day and page, as a file for the workspace's dashboards/ folder. */
export function dashboardOf({ title, description, visits, origin, events, steps, currency }: Shown): string {
  const chosen = `s.day >= $from::DATE AND s.day < $to::DATE
        AND ($page IS NULL OR s.landing_page = $page) AND ($device IS NULL OR s.device = $device)`;
  const sold = `FROM mart.orders AS o JOIN mart.sessions AS s ON s.session_id = o.session_id
      WHERE ${chosen}`;
  const unit = currency === undefined ? '' : `\n    unit: ${currency}`;
  const seen = steps.map(({ condition }, at) => `bool_or(${condition}) AS step_${at + 1}`).join(', ');
  const counts = steps.map(({ title: step }, at) => `UNION ALL SELECT '${step}', count(*) FILTER (WHERE step_${at + 1}) FROM seen`);
  return `title: ${title}
description: ${description}
refresh: 30
filters:
  - name: page
    title: Landing page
    sql: SELECT landing_page FROM mart.sessions AS s WHERE ${visits} GROUP BY 1 ORDER BY count(*) DESC, 1
  - name: device
    title: Device
    sql: SELECT DISTINCT device FROM mart.sessions AS s WHERE ${visits} ORDER BY 1
tiles:
  - title: Revenue
    chart: number${unit}
    sql: |
      SELECT sum(o.value) AS revenue
      ${sold}
  - title: Orders
    chart: number
    sql: |
      SELECT count(*) AS orders
      ${sold}
  - title: Sessions
    chart: number
    sql: |
      SELECT count(*) AS sessions
      FROM mart.sessions AS s
      WHERE ${visits} AND ${chosen}
  - title: Conversion
    chart: number
    unit: "%"
    sql: |
      SELECT count(DISTINCT o.session_id) / nullif(count(DISTINCT s.session_id), 0) AS conversion
      FROM mart.sessions AS s LEFT JOIN mart.orders AS o ON o.session_id = s.session_id
      WHERE ${visits} AND ${chosen}
  - title: Revenue by day
    chart: bar
    x: day
    y: revenue${unit}
    width: 8
    sql: |
      SELECT s.day, sum(o.value) AS revenue
      ${sold}
      GROUP BY 1 ORDER BY 1
  - title: From visit to purchase
    chart: funnel
    width: 4
    sql: |
      WITH seen AS (
        SELECT s.session_id, ${seen}
        FROM (${events}) AS e JOIN mart.sessions AS s ON s.session_id = e.session_id
        WHERE ${visits} AND ${chosen}
        GROUP BY 1
      )
      SELECT 'Visit' AS step, count(*) AS sessions FROM seen
      ${counts.join('\n      ')}
  - title: Sessions by day and device
    chart: line
    x: day
    y: sessions
    series: device
    sql: |
      SELECT s.day, s.device, count(*) AS sessions
      FROM mart.sessions AS s
      WHERE ${visits} AND ${chosen}
      GROUP BY 1, 2 ORDER BY 1, 2
  - title: Revenue by landing page
    chart: bar
    x: page
    y: revenue${unit}
    sql: |
      SELECT s.landing_page AS page, sum(o.value) AS revenue
      ${sold}
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12
  - title: ${origin.title}
    chart: table
    width: 12
    sql: |
      SELECT coalesce(s.${origin.column}, '(none)') AS ${origin.column}, count(DISTINCT s.session_id) AS sessions, count(o.order_id) AS orders,
        round(100 * count(DISTINCT o.session_id) / count(DISTINCT s.session_id), 2) AS "conversion %", coalesce(sum(o.value), 0) AS revenue
      FROM mart.sessions AS s LEFT JOIN mart.orders AS o ON o.session_id = s.session_id
      WHERE ${visits} AND ${chosen}
      GROUP BY 1 ORDER BY revenue DESC, 1
`;
}
