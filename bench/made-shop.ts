/** A shop of any size made in SQL, for `bench/answers.ts`: tables as answers read them, and beside them what was made to be true. */
import type { Store } from '#store';

export interface Made {
  /** Orders by fate, also those that one of the two tables lacks. */
  readonly fates: Readonly<Record<string, number>>;
  /** Revenue that variant B brought after visitors had seen it, as far as it was reported. */
  readonly caused: number;
  /** Orders that the buyers make in the 39 weeks after those that are known. */
  readonly later: number;
  /** What they pay for them. */
  readonly laterMoney: number;
  /** The standard errors of both sums over customers, as shares of them. */
  readonly laterErrors: { readonly orders: number; readonly money: number };
  /** Reported orders by visitor, crawlers aside. */
  readonly ordered: { readonly mean: number; readonly deviation: number };
}

/** Makes main.events, main.orders and main.buyers, and main.truth, which no answer reads. 50 events a visitor in five visits. */
export async function makeShop(store: Store, events: number, customers: number): Promise<Made> {
  const buyers = drawBuyers(customers);
  return store.write(async (tx) => {
    await tx.run(eventsTable(events));
    await tx.run(truthTable(events));
    await tx.run(ordersTable);
    await tx.run(
      'CREATE OR REPLACE TABLE main.buyers (order_id VARCHAR, customer_id VARCHAR, ordered_at TIMESTAMPTZ, amount DECIMAL(18,2))',
    );
    for (const sql of buyers.sql) await tx.run(sql);
    tx.changed({ kind: 'statement', target: 'main.events', rows: events });
    const fates = await tx.rows('SELECT fate, count(*) AS orders FROM main.truth GROUP BY fate');
    const [caused] = await tx.rows(causedSql);
    const [ordered] = await tx.rows(orderedSql(events));
    return {
      fates: Object.fromEntries(fates.map(({ fate, orders }) => [String(fate), Number(orders)])),
      caused: Number(caused!['revenue']),
      later: buyers.later,
      laterMoney: buyers.laterMoney,
      laterErrors: buyers.laterErrors,
      ordered: { mean: Number(ordered!['mean']), deviation: Number(ordered!['deviation']) },
    };
  });
}

const elapsed = (v: string, j: string) => `((hash(u, ${v}) % 2592000)::BIGINT * 1000000 + ${j} * 40000000)`;
/** Which of the two promotions a visit sees: a coin that knows nothing of the visitor's variant, which makes him buy more, or of what an order is worth. */
const slot = `CASE WHEN hash(u, v, 5) % 2 = 0 THEN 'slot1' ELSE 'slot3' END`;
/** When a visitor first sees a variant: at the first checkout of five visits. */
const firstSeen = `least(${[0, 1, 2, 3, 4].map((v) => `CASE WHEN hash(50 * u + ${10 * v + 6}) % 100 < 30 THEN ${elapsed(String(v), '6')} END`).join(', ')})`;
/**
 * What each event is made to be. `fate` is what becomes of an order on its way to the two tables; `lot`, which decides it, is hashed
 * twice, as it would be tied to `dice` otherwise. Variant B makes its visitors buy more once they have seen it, not before.
 */
const made = (events: number) => `made AS (
  SELECT *, j = 7 AND dice < bar OR j = 8 AND hash(n) % 100 < bar AND lot BETWEEN 50 AND 59 AS buys FROM (
    SELECT *, hash(hash(n)) % 1000 AS lot, CASE WHEN u % 2 = 1 AND ${elapsed('v', '7')} >= ${firstSeen} THEN 12 ELSE 10 END AS bar FROM (
      SELECT i, i // 50 AS u, (i % 50) // 10 AS v, i % 10 AS j, hash(i) % 100 AS dice, CASE WHEN i % 10 = 8 THEN i - 1 ELSE i END AS n FROM range(${events}) AS r(i)))
), fated AS (
  SELECT * EXCLUDE (lot, bar), CASE WHEN NOT buys THEN NULL WHEN u % 500 = 7 THEN 'bot' WHEN lot < 20 THEN 'lost by the shop' WHEN lot < 30 THEN 'refund' WHEN lot < 35 THEN 'cancelled'
    WHEN lot < 40 THEN 'amount differs' WHEN lot < 45 THEN 'test' WHEN lot < 50 THEN 'never paid' WHEN lot < 60 THEN 'duplicate sent'
    WHEN lot < 70 THEN CASE WHEN hash(n - 1) % 100 < 30 THEN 'payment redirect' ELSE 'unknown' END ELSE 'matched' END AS fate
  FROM made
)`;
/** 2026-02-25 06:13:20 UTC: no event is earlier. */
const start = 1_772_000_000;
const timeOf = `make_timestamptz(${start}000000 + ${elapsed('v', 'j')})`;
const eventsTable = (events: number) => `CREATE OR REPLACE TABLE main.events AS
WITH ${made(events)}, sent AS (SELECT *, buys AND fate NOT IN ('payment redirect', 'unknown') AS reports FROM fated)
SELECT CASE j WHEN 0 THEN 'page_view' WHEN 1 THEN 'view_promotion' WHEN 2 THEN 'view_item_list'
    WHEN 3 THEN CASE WHEN dice < 50 THEN 'select_item' ELSE 'select_promotion' END WHEN 4 THEN 'view_item'
    WHEN 5 THEN CASE WHEN dice < 40 THEN 'add_to_cart' ELSE 'page_view' END
    WHEN 6 THEN CASE WHEN dice < 30 THEN 'begin_checkout' ELSE 'page_view' END
    ELSE CASE WHEN reports THEN 'purchase' ELSE 'page_view' END END AS event,
  'u' || u AS user_pseudo_id, ${timeOf} AS time, i AS _position, CASE WHEN u % 500 = 7 THEN 'Crawler-bot/1.0' ELSE 'Mozilla/5.0' END AS user_agent,
  '/page/' || (hash(i) // 100 % 40) AS page, CASE WHEN u % 3 = 0 THEN 'phone' ELSE 'desk' END AS device, 'source' || u % 5 AS source, 'web' AS medium,
  'Chrome' AS browser, CASE WHEN j = 1 OR (j = 3 AND dice >= 50) THEN ${slot} END AS placement,
  CASE WHEN j = 1 OR (j = 3 AND dice >= 50) THEN 'banner' || i % 20 END AS content, CASE WHEN j IN (2, 3) THEN 'list' || i % 3 END AS list,
  CASE WHEN j = 3 THEN 'p' || i % 30 END AS item_id, true AS visible,
  CASE WHEN j = 2 THEN '[{"item_id":"p1","visible":true},{"item_id":"p2","visible":true}]' WHEN reports THEN '[{"item_id":"p1","price":10.5,"quantity":2}]' END AS items,
  CASE WHEN reports THEN 'o' || n END AS order_id, CASE WHEN j = 6 OR reports THEN CAST(21 + n % 50 AS DECIMAL(18,2)) END AS value,
  CASE WHEN j = 6 AND dice < 30 THEN CASE WHEN u % 2 = 0 THEN 'A' ELSE 'B' END END AS variant
FROM sent`;
/** Every order that was made, also those that one of the two tables lacks. */
const truthTable = (events: number) => `CREATE OR REPLACE TABLE main.truth AS
WITH ${made(events)}
SELECT 'o' || n AS order_id, ${timeOf} AS time, u, dice, 21 + n % 50 AS value, fate FROM fated WHERE j = 7 AND buys
UNION ALL
-- Before anything was collected, and of customers who refused to be seen: each an order for 5,000 events.
SELECT 'b' || i, make_timestamptz(${start - 100_000}000000 - i * 1000000), -2 * i - 1, 0, 30, 'before tracking' FROM range(${Math.floor(events / 5000)}) AS r(i)
UNION ALL
SELECT 'c' || i, make_timestamptz(${start + 86_400}000000 + i * 100000000 % 2000000000000), -2 * i - 2, 0, 30, 'consent' FROM range(${Math.floor(events / 5000)}) AS r(i)`;
const ordersTable = `CREATE OR REPLACE TABLE main.orders AS
SELECT order_id, time AS ordered_at, CAST(value + CASE WHEN fate = 'amount differs' THEN 5 ELSE 0 END AS DECIMAL(18,2)) AS amount, 'u' || u AS customer_id,
  CASE WHEN u % 4 = 0 THEN 'bank' ELSE 'card' END AS payment_type, CASE fate WHEN 'cancelled' THEN 'cancelled' WHEN 'never paid' THEN 'awaiting_payment' ELSE 'paid' END AS status,
  CAST(CASE WHEN fate IN ('refund', 'cancelled') THEN value ELSE 0 END AS DECIMAL(18,2)) AS refund_amount, fate = 'test' AS is_test
FROM main.truth WHERE fate <> 'lost by the shop'`;
/** What variant B made visitors buy after they had seen it, as far as it was reported: every order whose dice only B's visitors win with. */
const causedSql = `SELECT sum(t.value) AS revenue FROM main.truth AS t JOIN (
  SELECT user_pseudo_id, min(time) AS first FROM main.events WHERE variant = 'B' AND user_agent NOT LIKE '%bot%' GROUP BY 1) AS s ON s.user_pseudo_id = 'u' || t.u
WHERE t.dice IN (10, 11) AND t.time >= s.first AND t.fate NOT IN ('payment redirect', 'unknown')`;

const orderedSql = (events: number) => `SELECT avg(n) AS mean, stddev_samp(n) AS deviation FROM (
  SELECT r.u, count(t.order_id) AS n FROM range(${Math.ceil(events / 50)}) AS r(u) LEFT JOIN main.truth AS t ON t.u = r.u AND t.fate NOT IN ('payment redirect', 'unknown') WHERE r.u % 500 <> 7 GROUP BY r.u)`;

/**
 * Customers of BG/NBD over 39 weeks who pay by Gamma–Gamma, both with the parameters published for CDNOW (Fader, Hardie, Lee 2005; Fader,
 * Hardie 2013), and how often they buy and what they pay in the 39 weeks after.
 */
function drawBuyers(count: number): { readonly sql: string[] } & Pick<Made, 'later' | 'laterMoney' | 'laterErrors'> {
  let state = 20_261_123;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  // Marsaglia and Tsang 2000, boosted below shape 1.
  const gamma = (shape: number): number => {
    if (shape < 1) return gamma(shape + 1) * uniform() ** (1 / shape);
    const d = shape - 1 / 3;
    for (;;) {
      const x = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      const v = (1 + x / Math.sqrt(9 * d)) ** 3;
      if (v > 0 && Math.log(uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  const rows: string[] = [];
  const sums = { orders: 0, money: 0, squares: 0, moneySquares: 0 };
  for (let customer = 0; customer < count; customer++) {
    const rate = gamma(0.243) / 4.414;
    const [a, b] = [gamma(0.793), gamma(2.426)];
    const drop = a / (a + b);
    const scale = gamma(3.74) / 15.44;
    const paid = () => Math.max(1, Math.round((100 * gamma(6.25)) / scale));
    // The first purchase is everybody's; after each further one the customer may be gone.
    let week = uniform() * 12;
    const bought = () => rows.push(`(${customer}, ${Math.floor(week * 7)}, ${paid()})`);
    let [orders, money] = [0, 0];
    bought();
    for (week += -Math.log(uniform()) / rate; week < 78; week += -Math.log(uniform()) / rate) {
      if (week < 39) bought();
      else {
        orders++;
        money += paid() / 100;
      }
      if (uniform() < drop) break;
    }
    sums.orders += orders;
    sums.money += money;
    sums.squares += orders ** 2;
    sums.moneySquares += money ** 2;
  }
  const sql = Array.from(
    { length: Math.ceil(rows.length / 5000) },
    (_, at) =>
      `INSERT INTO main.buyers SELECT 'b' || row_number() OVER () || '/${at}', 'c' || c, TIMESTAMPTZ '2025-01-01 12:00:00Z' + to_days(d), CAST(p AS DECIMAL(18,2)) / 100 FROM (VALUES ${rows.slice(at * 5000, at * 5000 + 5000).join(', ')}) AS v(c, d, p)`,
  );
  const laterErrors = { orders: Math.sqrt(sums.squares) / sums.orders, money: Math.sqrt(sums.moneySquares) / sums.money };
  return { sql, later: sums.orders, laterMoney: sums.money, laterErrors };
}
