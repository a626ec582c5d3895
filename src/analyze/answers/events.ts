/**
 * Events of either shape that Millrace knows as one relation, so that each answer is written once. Another shape is mapped by a view
 * with the names of `flat`. The CTEs: `event` has every row with the reason for which it is set aside, `used` those that count. Neither is
 * materialized as a rule: each reader scans the columns and events that it asks for, where a copy of all would outgrow the memory.
 */
import { fail } from '#core';
import type { Given, Setting } from './kind.ts';
import { needOrders, type Orders } from './orders.ts';
import {
  ambiguity,
  dayOf,
  type Found,
  findTable,
  firstColumn,
  needColumn,
  quote,
  requireMoney,
  requireType,
  textOf,
  withinDays,
} from './tables.ts';

export interface Events {
  readonly table: Found;
  readonly shape: 'flat' | 'ga_hits';
  /**
   * `event`, `used`: time, tie (order within one time), day, event, user, session, order_id, value, aside, and the wanted columns.
   * `session` is NULL unless it is wanted: to find sessions costs one aggregation and a join of all events.
   * Where they are found and several CTEs read the events, `only`, a condition over `plain`, names those that are joined and kept.
   * Errors: ANSWER_COLUMN for a wanted column that the table has not.
   */
  ctes(wanted?: readonly string[], only?: string): string[];
  /** The CTE with the time and `aside` of every event, before anything is joined to them. */
  readonly bare: 'plain' | 'event';
  /** A subquery of all events of the sessions that `relation` names by `session`: only these are joined. For CTEs with sessions. */
  ofSessions(relation: string): string;
  /**
   * `purchase`, after `event`: the orders of the asked days, each once, at its highest value, on the day of its first report; `unvalued`
   * where none had a value; with its lines if their column was wanted. With the option `money=orders` those of paid orders alone, at the
   * orders' amounts; all of them are `reported`.
   */
  purchase(withLines?: boolean): string;
  /** The condition that the instant in `column` lies in the asked days: `used` may reach further back. */
  asked(column: string): string;
  /** Are purchases those of the orders table? */
  readonly paid: boolean;
  /** The same for evidence, over `bare`: without session, day and lines, and so without finding sessions. */
  readonly bought: string;
  /** `seen_order`, over `bare`: the ids of the orders that were reported, whatever the asked days: one may be reported after its midnight. */
  readonly seen: string;
  /** The column with the lines of an order as JSON, or null: {item, price, quantity}. */
  readonly lines: { readonly column: string; readonly item: string } | null;
  /** Facts that weaken the answer, as rows of evidence. */
  readonly caveats: readonly string[];
}

const timeNames = ['_time', 'time', 'ts', 'event_time'];
const userNames = ['user_pseudo_id', 'user_id', 'visitor_id', 'person'];
const kindNames = ['event', 'event_name'];
const defaults = ['raw.events', 'raw.ga_hits', 'main.events'];

const bots = '(?i)bot|crawl|spider|headless';
/** Instants are counted in whole microseconds: DuckDB subtracts TIMESTAMPTZ by the calendar, at some 4 µs a row. */
const idle = 1_800_000_000;
/** The half hour of the clock, counted from 1970. */
export const half = (time: string) => `CAST(floor(epoch_us(${time}) / ${idle}) AS BIGINT)`;

/**
 * `unit` visitor: "user" is the browser, also where a member is known. `used` begins so many days `before` the asked ones.
 * Errors: ANSWER_TABLE, ANSWER_COLUMN, ANSWER_OPTION.
 */
export function eventsOf(
  answer: string,
  given: Given,
  setting: Setting,
  { unit = 'user', before = 0 }: { readonly unit?: 'user' | 'visitor'; readonly before?: number } = {},
): Events {
  const asked = given['events'] as string | null;
  const names = asked === null ? defaults : [asked];
  const table = names.map((name) => findTable(setting, name)).find((found) => found !== null);
  if (table === undefined) {
    return fail('ANSWER_TABLE', {
      what: 'events',
      table: asked,
      needs: 'raw.events or raw.ga_hits, or a view with event, user_pseudo_id and time',
    });
  }
  const days: Days = {
    asked: (column) => withinDays(answer, given, setting, column),
    used: withinDays(answer, { ...given, from: daysEarlier(given, before) }, setting, 'time'),
  };
  days.asked('time');
  const found =
    table.column('full_visitor_id') !== null && table.column('hit_number') !== null
      ? gaHits(table, setting, days)
      : flat(table, setting, days, unit);
  return given['money'] === 'orders' ? asPaid(found, needOrders(given, setting)) : found;
}

/** What is asked for, and what answers look through for it. */
interface Days {
  /** Conditions over an instant. */
  asked(column: string): string[];
  /** The same over `time`, from further back on where what happened before matters. */
  readonly used: readonly string[];
}

/** The first asked day, so many days earlier. */
function daysEarlier(given: Given, days: number): string | null {
  const from = (given['from'] ?? null) as string | null;
  const day = from === null ? Number.NaN : Date.parse(from) - days * 86_400_000;
  // One that is no day is refused as it was given.
  return days === 0 || Number.isNaN(day) ? from : new Date(day).toISOString().slice(0, 10);
}

/** Purchases at the amounts of the shop's paid orders. The orders stand within, as evidence has them beside it. */
function asPaid(events: Events, { cte }: Orders): Events {
  const own = (reported: string) => `${reported.replace(/^purchase AS/, 'reported AS')},
purchase AS (
  -- What the shop was paid: other reports are of no order, of one that is not paid, or of a test.
  WITH ${cte}
  SELECT r.* REPLACE (coalesce(o.amount, 0) AS value, o.amount IS NULL AS unvalued) FROM reported AS r JOIN shop_order AS o USING (order_id) WHERE o.paid AND NOT o.test
)`;
  return { ...events, paid: true, purchase: (withLines) => own(events.purchase(withLines)), bought: own(events.bought) };
}

/** Our own tracker's and GA4's words: one column a property, `event` names the kind. */
function flat(table: Found, setting: Setting, days: Days, unit: 'user' | 'visitor'): Events {
  const time = needColumn(table, 'e', 'the time', timeNames);
  requireInstant(table, time);
  const browser = textOf(table, needColumn(table, 'e', 'the visitor', userNames));
  const event = needColumn(table, 'e', 'the kind of event', kindNames);
  const member = unit === 'visitor' || table.column('user_pseudo_id') === null ? null : idColumn(table, 'user_id');
  // Of one visitor: GA4's ids are the second in which a session began, which visitors share.
  const sessionId = idColumn(table, 'session_id');
  const session = sessionId === null ? null : `${browser} || '/' || ${sessionId}`;
  const agent = firstColumn(table, 'e', ['user_agent']);
  const internal = firstColumn(table, 'e', ['internal']);
  if (internal !== null) requireType(table, internal, 'whether it is staff', /^BOOLEAN$/, 'BOOLEAN');
  requireMoney(table, firstColumn(table, 'e', ['value']), 'the value of an order');
  const aside = [
    `WHEN ${time} IS NULL OR NOT isfinite(${time}) THEN 'no time'`,
    `WHEN ${browser} IS NULL THEN 'no visitor'`,
    ...(agent === null ? [] : [`WHEN regexp_matches(CAST(${agent} AS VARCHAR), '${bots}') THEN 'bot'`]),
    ...(internal === null ? [] : [`WHEN ${internal} THEN 'staff'`]),
  ];
  const known = `known AS (
  -- What names no member is of the one who identified in the browser, whenever that was.
  SELECT ${browser} AS visitor, max(${member}) AS member, min(${member}) <> max(${member}) AS several FROM ${table.sql} AS e WHERE ${member} IS NOT NULL GROUP BY ALL
)`;
  const sessions = [
    `half_hour AS (
  -- A session ends after 30 minutes without an event: what falls into one half hour is of one session, and gaps lie between half hours.
  SELECT ${browser} AS visitor, ${half(time)} AS half, epoch_us(min(${time})) AS first, epoch_us(max(${time})) AS last FROM ${table.sql} AS e WHERE isfinite(${time}) GROUP BY ALL
)`,
    `marked AS (
  SELECT *, CASE WHEN first - lag(last) OVER (PARTITION BY visitor ORDER BY half) <= ${idle} THEN 0 ELSE 1 END AS begins FROM half_hour
)`,
    `half_session AS (
  SELECT visitor, half, CAST(sum(begins) OVER (PARTITION BY visitor ORDER BY half) AS INTEGER) AS nth FROM marked
)`,
  ];
  const plain = (wanted: readonly string[]) => `plain AS NOT MATERIALIZED (
  SELECT ${time} AS time, ${firstColumn(table, 'e', ['_position']) ?? '0'} AS tie, ${event} AS event, ${browser} AS visitor,
    ${member === null ? browser : `coalesce(${member}, k.member, ${browser})`} AS "user",${session === null ? '' : ` ${session} AS session,`}
    ${idColumn(table, 'order_id') ?? 'NULL::VARCHAR'} AS order_id, ${firstColumn(table, 'e', ['value']) ?? 'NULL::DECIMAL(18,2)'} AS value,
    CASE ${aside.join(' ')} END AS aside${wantedColumns(table, wanted)}
  FROM ${table.sql} AS e${member === null ? '' : ` LEFT JOIN known AS k ON k.visitor = ${browser}`}
)`;
  const items = table.column('items');
  return {
    table,
    shape: 'flat',
    ctes: (wanted = [], only) => {
      const found = session === null && wanted.includes('session');
      return [
        ...(member === null ? [] : [known]),
        ...(found ? sessions : []),
        plain(wanted),
        `event AS ${found && only !== undefined ? '' : 'NOT '}MATERIALIZED (
  SELECT ${session === null ? `plain.*, ${found ? `plain.visitor || '/' || h.nth AS session` : 'NULL::VARCHAR AS session'}` : '*'},
    ${dayOf('time', setting)} AS day
  FROM plain${found ? ` LEFT JOIN half_session AS h ON h.visitor = plain.visitor AND h.half = ${half('plain.time')}${only === undefined ? '' : ` WHERE ${only}`}` : ''}
)`,
        usedCte(days),
      ];
    },
    paid: false,
    bare: 'plain',
    ofSessions: (relation) =>
      session === null
        ? `(SELECT plain.*, h.session FROM plain JOIN (
    SELECT visitor, half, visitor || '/' || nth AS session FROM half_session WHERE visitor || '/' || nth IN (SELECT session FROM ${relation})
  ) AS h ON h.visitor = plain.visitor AND h.half = ${half('plain.time')})`
        : sessionsAmong(relation),
    purchase: (withLines = false) =>
      purchaseCte(items === null || !withLines ? null : 'items', days, "event = 'purchase' AND order_id IS NOT NULL"),
    asked: askedIn(days),
    bought: boughtCte('plain', days, "event = 'purchase' AND order_id IS NOT NULL"),
    seen: seenCte('plain', days, "event = 'purchase' AND order_id IS NOT NULL"),
    lines: items === null ? null : { column: 'items', item: 'item_id' },
    caveats: [
      ...skew(table),
      ...doubts(table),
      ...(member === null
        ? []
        : [
            `SELECT 8, 'caveat: browsers of several members, whose events without a member are taken as one of them’s', CAST(count(*) AS VARCHAR) FROM known WHERE several HAVING count(*) > 0`,
          ]),
    ],
  };
}

/** Google Analytics' hits as src/simulate sends them: sessions are the source's, an order is a hit that carries one. */
function gaHits(table: Found, setting: Setting, days: Days): Events {
  const time = needColumn(table, 'e', 'the time', timeNames);
  requireInstant(table, time);
  for (const name of ['session_id', 'order_id', 'revenue', 'action', 'type']) needColumn(table, 'e', name, [name]);
  requireMoney(table, firstColumn(table, 'e', ['revenue']), 'the value of an order');
  return {
    table,
    shape: 'ga_hits',
    ctes: (wanted = []) => [
      `event AS NOT MATERIALIZED (
  SELECT ${time} AS time, e.hit_number AS tie, ${dayOf(time, setting)} AS day, ${idColumn(table, 'full_visitor_id')} AS "user", e.session_id AS session, ${idColumn(table, 'full_visitor_id')} AS visitor,
    CASE WHEN e.order_id IS NOT NULL THEN 'purchase'
      WHEN e.action = 'view' THEN 'view_item' WHEN e.action = 'click' THEN 'select_item' WHEN e.action = 'checkout' THEN 'begin_checkout'
      WHEN e.action IS NOT NULL THEN e.action WHEN e.type = 'PAGE' THEN 'page_view'
      ELSE coalesce(e.event_action, lower(e.type)) END AS event,
    ${idColumn(table, 'order_id')} AS order_id, e.revenue AS value, CASE WHEN ${time} IS NULL THEN 'no time' END AS aside${wantedColumns(table, wanted)}
  FROM ${table.sql} AS e
)`,
      usedCte(days),
    ],
    paid: false,
    bare: 'event',
    ofSessions: sessionsAmong,
    purchase: (withLines = false) => purchaseCte(withLines ? 'products' : null, days, 'order_id IS NOT NULL'),
    asked: askedIn(days),
    bought: boughtCte('event', days, 'order_id IS NOT NULL'),
    seen: seenCte('event', days, 'order_id IS NOT NULL'),
    lines: { column: 'products', item: 'sku' },
    caveats: skew(table),
  };
}

function idColumn(table: Found, name: string): string | null {
  const column = firstColumn(table, 'e', [name]);
  return column === null ? null : textOf(table, column);
}

/** Columns of the events that answers name themselves. */
const own: ReadonlySet<string> = new Set(['time', 'tie', 'day', 'event', 'user', 'visitor', 'session', 'order_id', 'value', 'aside']);

function wantedColumns(table: Found, wanted: readonly string[]): string {
  const extra = [...new Set(wanted.map((name) => name.toLowerCase()))].filter((name) => !own.has(name));
  return extra.map((name) => `,\n    ${needColumn(table, 'e', `"${name}"`, [name])} AS ${quote(name)}`).join('');
}

const sessionsAmong = (relation: string): string => `(SELECT * FROM event WHERE session IN (SELECT session FROM ${relation}))`;

const askedIn = (days: Days) => (column: string) => days.asked(column).join(' AND ') || 'true';

const usedCte = ({ used }: Days): string =>
  `used AS NOT MATERIALIZED (SELECT * FROM event WHERE ${['aside IS NULL', ...used].join(' AND ')})`;

/** Of the asked days are the orders that were first reported in them: what is left out before the reports are one would count twice. */
const firstIn = (days: Days) => (days.asked('time').length === 0 ? '' : ` HAVING ${days.asked('min(time)').join(' AND ')}`);
const once = `SELECT order_id, max(coalesce(value, 0)) AS value, count(value) = 0 AS unvalued, min(time) AS time, arg_min("user", time) AS "user"`;

function purchaseCte(lines: string | null, days: Days, condition: string): string {
  return `purchase AS (
  -- An order counts once, however often it was reported, at its highest value.
  ${once}, arg_min(session, time) AS session,
    arg_min(day, time) AS day, count(*) AS reports${lines === null ? '' : `, arg_min(${lines}, time) FILTER (WHERE ${lines} IS NOT NULL) AS lines`}
  FROM event WHERE aside IS NULL AND ${condition} GROUP BY order_id${firstIn(days)}
)`;
}

function boughtCte(bare: Events['bare'], days: Days, condition: string): string {
  return `purchase AS (
  ${once} FROM ${bare} WHERE aside IS NULL AND ${condition} GROUP BY order_id${firstIn(days)}
)`;
}

const seenCte = (bare: Events['bare'], days: Days, condition: string): string =>
  `seen_order AS (${days.asked('time').length === 0 ? 'SELECT order_id FROM purchase' : `SELECT DISTINCT order_id FROM ${bare} WHERE aside IS NULL AND ${condition}`})`;

function requireInstant(table: Found, column: string): void {
  requireType(table, column, 'the time', /^TIMESTAMP WITH TIME ZONE$/, 'TIMESTAMP WITH TIME ZONE');
}

/** Our own `_time` is the event's, and user_id beside user_pseudo_id is the member: all else is a guess among columns. */
function doubts(table: Found): string[] {
  const times = table.column('_time') === null ? ambiguity(table, 'the time', timeNames) : [];
  const browser = table.column('user_pseudo_id') === null ? userNames : userNames.filter((name) => name !== 'user_id');
  return [...times, ...ambiguity(table, 'the visitor', browser), ...ambiguity(table, 'the kind of event', kindNames)];
}

/** Records whose time lies after their arrival: a client whose clock runs ahead. */
function skew(table: Found): string[] {
  if (table.column('_received') === null || table.column('_time') === null) return [];
  return [
    `SELECT 8 AS ord, 'caveat: events timed after their arrival (clock ahead)' AS fact, CAST(count(*) AS VARCHAR) AS value FROM ${table.sql} WHERE _time > _received + INTERVAL 1 MINUTE HAVING count(*) > 0`,
  ];
}
