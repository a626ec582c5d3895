/**
 * Sessions, ready-made: definitions of views from a topic's events to people, sessions and orders, as text that a user reads,
 * changes and keeps. What each rule says is in docs/views.md with its sources.
 */
import { fail, type Millis } from '#core';
import { name, text } from '#store';

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

export interface SessionRule {
  readonly title: string;
  /** A session ends when nothing came for longer than this. */
  readonly idle: Millis;
  /** An event later than this after the session's start begins another; null: no limit. */
  readonly cap: Millis | null;
  /** A new day in the property's time zone begins another session. */
  readonly midnight: boolean;
  /** An event with another campaign than the last one known begins another session. */
  readonly campaign: boolean;
}

export const sessionRules = {
  ga4: { title: 'Google Analytics 4', idle: 30 * MINUTE, cap: null, midnight: false, campaign: false },
  posthog: { title: 'PostHog', idle: 30 * MINUTE, cap: 24 * HOUR, midnight: false, campaign: false },
  universal: { title: 'Universal Analytics', idle: 30 * MINUTE, cap: null, midnight: true, campaign: true },
} as const satisfies Record<string, SessionRule>;

/** Which of the topic's columns says what; what is left out is taken as absent. */
export interface SessionFields {
  /** Who: a cookie's or a device's id. */
  readonly anonymous: string;
  /** Who, once known. An event that has both joins them: that is what `identify` records are. */
  readonly user?: string;
  /** A further id of the same person (`alias` records): it belongs to the user of its event, and is joined with the event's id. */
  readonly alias?: string;
  readonly event?: string;
  readonly page?: string;
  readonly source?: string;
  readonly medium?: string;
  readonly campaign?: string;
  readonly order?: string;
  readonly revenue?: string;
}

export interface SessionOptions {
  readonly topic: string;
  readonly rule: keyof typeof sessionRules | SessionRule;
  /** IANA name: where midnight is for a rule that asks. */
  readonly timeZone: string;
  readonly fields: SessionFields;
  /** Values of `event` that are a page view, and that make a session engaged by themselves. */
  readonly pageViews?: readonly string[];
  readonly keyEvents?: readonly string[];
  /** Default: mart. */
  readonly schema?: string;
  /** As the option of a view, '2 hours': an event that comes later than that changes no session. Default: every event counts. */
  readonly lateness?: string;
}

/**
 * Definitions in an order in which each reads only earlier ones: identities (where there is a user field), alias_links, alias_groups,
 * alias_users, joined_ids (where there is an alias field), person_events, session_events, session_orders, sessions. Errors: VIEW_SESSIONS.
 */
export function sessionViews(options: SessionOptions): readonly { readonly name: string; readonly sql: string }[] {
  const rule: SessionRule | undefined = typeof options.rule === 'string' ? sessionRules[options.rule] : options.rule;
  if (rule === undefined) fail('VIEW_SESSIONS', { problem: `the rule ${options.rule} is none of ${Object.keys(sessionRules).join(', ')}` });
  if (!isZone(options.timeZone)) fail('VIEW_SESSIONS', { problem: `${options.timeZone} is no IANA time zone` });
  const schema = options.schema ?? 'mart';
  const about = `-- ${rule.title}: ${inWords(rule, options.timeZone)}.`;
  if (options.lateness !== undefined && !SPAN.test(options.lateness))
    fail('VIEW_SESSIONS', { problem: `the lateness ${options.lateness} is none: say '2 hours'` });
  const definitions: [string, string | null, string][] = [
    ...(options.fields.user === undefined
      ? []
      : [['identities', identityKey(options.fields), identities(options)] as [string, string, string]]),
    ...(options.fields.alias === undefined ? [] : aliases(options, schema)),
    ['person_events', anyone(options), personEvents(options, schema)],
    ['session_events', 'person', `${about}\n${sessionEvents(rule, options, schema)}`],
    ['session_orders', 'order_id', sessionOrders(schema)],
    ['sessions', 'person', sessions(options, schema)],
  ];
  if (options.lateness !== undefined) definitions.unshift(['timely_events', `date_trunc('second', _time)`, timelyEvents(options)]);
  return definitions.map(([view, partition, query]) => {
    const late = view === 'timely_events' ? `, lateness = ${text(options.lateness!)}` : '';
    const limit = partition === null ? `, time_limit = ${text(ALIAS_LIMIT)}` : '';
    const by = partition === null ? '' : `PARTITION BY ${partition}\n`;
    return {
      name: `${schema}.${view}`,
      sql: `CREATE MATERIALIZED VIEW ${schema}.${view}\n${by}OPTIONS (refresh = '1 second'${late}${limit})\nAS ${query}\n`,
    };
  });
}

/** Whoever may send events may send a chain of aliases that takes for ever to follow; deliveries wait no longer than this for it. */
const ALIAS_LIMIT = '10 seconds';

const SPAN = /^\d{1,6} (second|minute|hour|day)s?$/;

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function inWords({ idle, cap, midnight, campaign }: SessionRule, zone: string): string {
  return [
    `a session ends after ${idle / MINUTE} minutes without an event`,
    ...(cap === null ? [] : [`${cap / HOUR} hours after its start`]),
    ...(midnight ? [`at midnight in ${zone}`] : []),
    ...(campaign ? ['when another campaign brings the visitor'] : []),
  ].join(', ');
}

/** Names under which analytics tools keep what the session views ask for; the first that a topic has is taken. */
const USUAL: Readonly<Record<keyof SessionFields, readonly string[]>> = {
  anonymous: ['anonymous_id', 'visitor_id', 'client_id', 'device_id', 'user_pseudo_id', 'full_visitor_id', 'distinct_id', 'cookie_id'],
  user: ['user_id', 'customer_id', 'member_id', 'account_id'],
  alias: ['alias_id', 'alias', 'previous_id'],
  event: ['event', 'event_name', 'event_type', 'type', 'name'],
  page: ['page', 'page_location', 'page_path', 'page_url', 'url', 'path'],
  source: ['source', 'utm_source', 'traffic_source'],
  medium: ['medium', 'utm_medium', 'traffic_medium'],
  campaign: ['campaign', 'utm_campaign', 'campaign_name'],
  order: ['order_id', 'transaction_id'],
  revenue: ['revenue', 'purchase_revenue', 'order_value', 'amount', 'value'],
};

/**
 * The fields of a topic with these columns: those that `said` names, and for the rest the usual names. `null` says that there is none.
 * Errors: VIEW_SESSIONS for a column or a field that does not exist, and where nothing says who an event belongs to.
 */
export function sessionFields(columns: readonly string[], said: Readonly<Record<string, string | null>>): SessionFields {
  const has = new Set(columns.map((column) => column.toLowerCase()));
  const kinds = Object.keys(USUAL) as (keyof SessionFields)[];
  for (const [field, column] of Object.entries(said)) {
    if (!kinds.includes(field as never)) fail('VIEW_SESSIONS', { problem: `the field ${field} is none of ${kinds.join(', ')}` });
    if (column !== null && !has.has(column.toLowerCase())) fail('VIEW_SESSIONS', { problem: `the topic has no column ${column}` });
  }
  const found = kinds.flatMap((field) => {
    const column = said[field] === undefined ? USUAL[field].find((usual) => has.has(usual)) : said[field];
    return column == null ? [] : [[field, column] as const];
  });
  const fields = Object.fromEntries(found) as unknown as Partial<SessionFields>;
  const { anonymous } = fields;
  if (anonymous === undefined)
    return fail('VIEW_SESSIONS', { problem: `no column says who; name it with anonymous=COLUMN (there are ${columns.join(', ')})` });
  return { ...fields, anonymous };
}

const own = (field: string | undefined, type = 'VARCHAR') => (field === undefined ? `NULL::${type}` : `e.${name(field)}`);
const interval = (span: Millis) => `INTERVAL '${span / 1000} seconds'`;
const anyOf = (field: string, values: readonly string[]) => `${field} IN (${values.map(text).join(', ')})`;

/** Events of a server may carry a user and no anonymous id. */
function anyone({ fields }: SessionOptions): string {
  return fields.user === undefined ? name(fields.anonymous) : `coalesce(${name(fields.anonymous)}, ${name(fields.user)})`;
}

const identityKey = ({ anonymous, alias }: SessionFields) =>
  alias === undefined ? name(anonymous) : `unnest([${name(anonymous)}, ${name(alias)}])`;

const eventsOf = ({ topic, schema = 'mart', lateness }: { topic: string; schema?: string | undefined; lateness?: string | undefined }) =>
  lateness === undefined ? `raw.${name(topic)}` : `${schema}.timely_events`;

function timelyEvents({ topic, fields }: SessionOptions): string {
  const own = [...new Set(Object.values(fields) as string[])].map(name);
  return `-- Events that came in time: what is later stands in millrace.late.
SELECT date_trunc('second', _time) AS second, _id, _time, _position, ${own.join(', ')}
FROM raw.${name(topic)} WHERE _time IS NOT NULL`;
}

/** The first user that was seen with an id owns what the id did without a user: a later login by another person takes nothing away. */
function identities({ topic, fields, schema, lateness }: SessionOptions): string {
  const seen = `SELECT ${identityKey(fields)} AS anonymous_id, ${name(fields.user!)} AS user_id, _time AS time, _position AS position
  FROM ${eventsOf({ topic, schema, lateness })} WHERE ${name(fields.user!)} IS NOT NULL AND _time IS NOT NULL`;
  return `-- Whose an anonymous id is: the first user that was seen with it.
SELECT anonymous_id, arg_min(user_id, (time, position)) AS user_id, min(time) AS since, arg_min(position, (time, position)) AS position
FROM (
  ${seen}
) AS seen
WHERE anonymous_id IS NOT NULL GROUP BY anonymous_id`;
}

/** Ids that alias records join, in however many steps and circles, are one person's. */
function aliases(options: SessionOptions, schema: string): [string, string | null, string][] {
  const { fields } = options;
  const [anonymous, alias] = [name(fields.anonymous), name(fields.alias!)];
  const links = `-- Which ids an alias record joined.
SELECT ${anonymous} AS anonymous_id, ${alias} AS alias_id, min(_time) AS since
FROM ${eventsOf({ ...options, schema })} WHERE ${anonymous} <> ${alias} AND _time IS NOT NULL GROUP BY ${anonymous}, ${alias}`;
  const groups = `-- Every id that is joined to another, directly or through others, under the least of them. Computed as a whole, from the links alone;
-- whoever reads it is told only what came out differently. Each round an id takes the least of what its neighbours stand under two steps
-- on, and so does what it stands under itself (Zhang, Azad, Hu: FastSV, 2020): a chain of n links takes some log n rounds.
WITH RECURSIVE edges AS MATERIALIZED (
  SELECT anonymous_id AS here, alias_id AS there FROM ${schema}.alias_links UNION SELECT alias_id, anonymous_id FROM ${schema}.alias_links
), grouped(id, least_id, moves) AS (
  SELECT here, least(here, min(there)), true FROM edges GROUP BY here
  UNION ALL
  SELECT id, least_id, bool_or(least_id < was) OVER () FROM (
    SELECT id, min(least_id) AS least_id, max(was) AS was FROM (
      SELECT unnest([e.here, h.least_id]) AS id, g.least_id, NULL AS was
      FROM edges AS e JOIN grouped AS h ON h.id = e.here JOIN grouped AS t ON t.id = e.there JOIN grouped AS g ON g.id = t.least_id WHERE h.moves
      UNION ALL
      SELECT o.id, g.least_id, o.least_id FROM grouped AS o JOIN grouped AS g ON g.id = o.least_id WHERE o.moves
    ) AS offered GROUP BY id
  ) AS taken
)
SELECT id AS anonymous_id, min(least_id) AS group_id FROM grouped GROUP BY id`;
  const users = `-- Whose a group of joined ids is: the first user that was seen with any of them.
SELECT g.group_id, arg_min(i.user_id, (i.since, i.position)) AS user_id
FROM ${schema}.alias_groups AS g JOIN ${schema}.identities AS i ON i.anonymous_id = g.anonymous_id GROUP BY g.group_id`;
  const known = fields.user !== undefined;
  const joined = `-- The person behind each joined id: the group's user, else the least of its ids.
SELECT g.anonymous_id, ${known ? 'coalesce(u.user_id, g.group_id)' : 'g.group_id'} AS person
FROM ${schema}.alias_groups AS g${known ? ` LEFT JOIN ${schema}.alias_users AS u ON u.group_id = g.group_id` : ''}`;
  return [
    ['alias_links', anonymous, links],
    ['alias_groups', null, groups],
    ...(known ? [['alias_users', 'group_id', users] as [string, string, string]] : []),
    ['joined_ids', 'anonymous_id', joined],
  ];
}

function personEvents(options: SessionOptions, schema: string): string {
  const { fields } = options;
  const known = fields.user !== undefined;
  const aliased = fields.alias !== undefined;
  const id = known ? `coalesce(${own(fields.anonymous)}, ${own(fields.user)})` : own(fields.anonymous);
  const owners = [...(known ? [own(fields.user), 'i.user_id'] : []), ...(aliased ? ['j.person'] : []), own(fields.anonymous)];
  const person = owners.length === 1 ? owners[0] : `coalesce(${owners.join(', ')})`;
  const joins = [
    ...(known ? [` LEFT JOIN ${schema}.identities AS i ON i.anonymous_id = ${id}`] : []),
    ...(aliased ? [` LEFT JOIN ${schema}.joined_ids AS j ON j.anonymous_id = ${id}`] : []),
  ];
  return `-- Events with the person that they belong to: the user of the event, else the user of its anonymous id${aliased ? ', else the person of what that is joined to' : ''}, else that id.
SELECT
  ${id} AS anonymous_id, ${person} AS person, ${own(fields.user)} AS user_id,
  e._id AS event_id, e._time AS time, e._position AS position,
  ${own(fields.event)} AS event, ${own(fields.page)} AS page,
  ${own(fields.source)} AS source, ${own(fields.medium)} AS medium, ${own(fields.campaign)} AS campaign,
  ${own(fields.order)} AS order_id, ${own(fields.revenue, 'DECIMAL(18,2)')} AS revenue
FROM ${eventsOf(options)} AS e${joins.join('')}
WHERE e._time IS NOT NULL AND ${id} IS NOT NULL`;
}

function sessionEvents(rule: SessionRule, { timeZone, fields }: SessionOptions, schema: string): string {
  const zone = text(timeZone);
  const begins = [
    'previous IS NULL',
    // Not as a difference: DuckDB subtracts instants by the calendar, at some 4 µs a row.
    `time > previous + ${interval(rule.idle)}`,
    ...(rule.midnight ? [`CAST(timezone(${zone}, time) AS DATE) <> CAST(timezone(${zone}, previous) AS DATE)`] : []),
    // Events of one instant are never parted: their order is not known.
    ...(rule.campaign ? ['(time > previous AND touch IS NOT NULL AND touch IS DISTINCT FROM last_touch)'] : []),
  ];
  const touches = fields.source === undefined ? '' : `WHEN source IS NOT NULL AND source NOT IN ('(direct)', 'direct') `;
  const touch =
    touches === ''
      ? `NULL::STRUCT(source VARCHAR, medium VARCHAR, campaign VARCHAR)`
      : `CASE ${touches}THEN {'source': source, 'medium': medium, 'campaign': campaign} END`;
  const capped = rule.cap === null ? '' : cappedStarts(rule.cap);
  const started =
    rule.cap === null
      ? 'min(time) OVER (PARTITION BY person, stretch)'
      : `CASE WHEN starts IS NULL THEN min(time) OVER (PARTITION BY person, stretch)
      ELSE make_timestamptz(list_filter(starts, lambda s: s <= epoch_us(time))[-1]) END`;
  return `WITH touched AS (
  -- A touch is where the visitor came from; direct visits are none.
  SELECT *, ${touch} AS touch FROM ${schema}.person_events WHERE person IS NOT NULL
), ordered AS (
  SELECT *, lag(time) OVER (PARTITION BY person ORDER BY time, position) AS previous,
    last_value(touch IGNORE NULLS) OVER (PARTITION BY person ORDER BY time, position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_touch
  FROM touched
), stretches AS (
  SELECT *, count(*) FILTER (WHERE ${begins.join('\n      OR ')})
    OVER (PARTITION BY person ORDER BY time, position ROWS UNBOUNDED PRECEDING) AS stretch
  FROM ordered
), ${capped}started AS (
  SELECT *, ${started} AS session_started
  FROM stretches${rule.cap === null ? '' : ' LEFT JOIN capped USING (person, stretch)'}
), attributed AS (
  SELECT *,
    dense_rank() OVER (PARTITION BY person ORDER BY session_started) AS session_number,
    row_number() OVER (PARTITION BY person, session_started ORDER BY time, position) AS event_number,
    last_value(CASE WHEN touch IS NOT NULL THEN {'touch': touch, 'time': time} END IGNORE NULLS)
      OVER (PARTITION BY person ORDER BY time, position ROWS UNBOUNDED PRECEDING) AS latest
  FROM started
)
SELECT
  person, person || '.' || epoch_us(session_started) AS session_id, session_number, session_started, event_number,
  event_id, time, position, anonymous_id, user_id, event, page, order_id, revenue, touch,
  -- Event scope: the last touch at or before the event, for 90 days.
  CASE WHEN time <= latest.time + INTERVAL '2160 hours' THEN latest.touch END AS event_touch
FROM attributed`;
}

/** The starts within a stretch that goes on for longer than the cap: each the first event later than the cap after the start before. */
function cappedStarts(cap: Millis): string {
  return `capped AS (
  SELECT person, stretch, list_reduce(list([epoch_us(time)] ORDER BY time),
    lambda starts, next: CASE WHEN next[1] - starts[-1] > ${cap * 1000} THEN list_concat(starts, next) ELSE starts END) AS starts
  FROM stretches GROUP BY person, stretch HAVING max(time) > min(time) + ${interval(cap)}
), `;
}

function sessionOrders(schema: string): string {
  return `-- An order counts once, in the session that reported it first, at its highest value, whatever number of events report it.
SELECT order_id, arg_min(person, (time, position)) AS person, arg_min(session_id, (time, position)) AS session_id,
  min(time) AS time, max(revenue) AS revenue, count(*) AS reports
FROM ${schema}.session_events WHERE order_id IS NOT NULL GROUP BY order_id`;
}

function sessions({ pageViews = ['page_view'], keyEvents = ['purchase'], fields }: SessionOptions, schema: string): string {
  const viewed = fields.event === undefined ? 'page IS NOT NULL' : anyOf('event', pageViews);
  const engaged = [
    'duration_ms > 10000',
    'page_views >= 2',
    ...(fields.event === undefined || keyEvents.length === 0 ? [] : ['key_events > 0']),
  ];
  return `WITH visit AS (
  SELECT person, session_id, any_value(session_number) AS session_number, min(time) AS started, max(time) AS ended,
    date_diff('millisecond', min(time), max(time)) AS duration_ms,
    count(*) AS events, count(*) FILTER (WHERE ${viewed}) AS page_views,
    count(*) FILTER (WHERE ${fields.event === undefined || keyEvents.length === 0 ? 'false' : anyOf('event', keyEvents)}) AS key_events,
    arg_min(page, event_number) FILTER (WHERE ${viewed}) AS entry_page,
    arg_max(page, event_number) FILTER (WHERE ${viewed}) AS exit_page,
    arg_min(touch, event_number) FILTER (WHERE touch IS NOT NULL) AS own_touch,
    any_value(event_touch) FILTER (WHERE event_number = 1) AS earlier_touch
  FROM ${schema}.session_events GROUP BY person, session_id
), orders AS (
  SELECT person, session_id, count(*) AS orders, sum(revenue) AS revenue FROM ${schema}.session_orders GROUP BY person, session_id
), attributed AS (
  SELECT visit.*,
    -- Session scope: what brought this session, else the last touch of an earlier one within 90 days.
    coalesce(own_touch, earlier_touch) AS session_touch,
    -- User scope: what brought the person's first session.
    first_value(own_touch) OVER (PARTITION BY visit.person ORDER BY session_number) AS user_touch
  FROM visit
)
SELECT a.person, a.session_id, session_number, started, ended, duration_ms / 1000 AS duration,
  events, page_views, entry_page, exit_page, ${engaged.join(' OR ')} AS engaged,
  coalesce(session_touch.source, '(direct)') AS session_source, session_touch.medium AS session_medium, session_touch.campaign AS session_campaign,
  coalesce(user_touch.source, '(direct)') AS user_source, user_touch.medium AS user_medium, user_touch.campaign AS user_campaign,
  coalesce(o.orders, 0) AS orders, coalesce(o.revenue, 0) AS revenue
FROM attributed AS a LEFT JOIN orders AS o ON o.person = a.person AND o.session_id = a.session_id`;
}
