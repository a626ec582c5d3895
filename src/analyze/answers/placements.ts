import { fail } from '#core';
import type { Experiment } from '#experiment';
import { type Events, eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, moneyOption, type Setting } from './kind.ts';
import { journeyCtes } from './markov.ts';
import { costsOf, giantOrder, moneyCaveats, refundsOf } from './orders.ts';
import { readStep, sessionless } from './steps.ts';
import { literal, quote, withinDays } from './tables.ts';

const keys = ['placement', 'content', 'day'] as const;
const kinds = ['promotion', 'list', 'page'] as const;
const models = ['last_click', 'first_click', 'linear', 'position', 'time_decay'] as const;

/**
 * The ledger of the shop's places. Money is shared out order by order in the smallest unit of `digits`, the rest going to the largest
 * remainders, so that each column sums to the orders' money exactly; what no click leads to stands in the row "(unassigned)".
 * Observed models: last, first, linear, position 40/20/40, time decay with a half-life of 7 days. `item_bought` gives a line's money to
 * the last click on that very product. `modelled` is the removal effect of an order-1 Markov chain over placements (Anderl et al. 2016)
 * with a bootstrap interval over users; it is there when asked by placement alone. `randomised` is what the
 * placement brought in experiments that name it: revenue by visitor beyond that of the control, which does without it, times the visitors
 * who had it, with a 95 % interval. A page's click is a view after which the visitor went on. With `as_of`, `last_click_net_then` is the
 * net as it was known on that day, and `restated` what refunds have changed since.
 */
export const placements: AnswerKind = {
  name: 'placements',
  title: 'Does each placement earn its room?',
  summary: 'Placement × content × day: impressions, clicks, orders, units, revenue by attribution model, refunds, revenue per impression.',
  options: [
    { name: 'by', type: 'list', default: 'placement,content,day', summary: 'What a row is: any of placement, content, day.' },
    {
      name: 'window',
      type: 'choice',
      choices: ['session', 'days'],
      default: 'session',
      summary: 'Clicks count that came before the order in its session, or within some days.',
    },
    { name: 'days', type: 'integer', default: 30, summary: 'How many, with window=days.' },
    { name: 'kinds', type: 'list', default: 'promotion,list', summary: 'Which places: any of promotion, list, page.' },
    { name: 'experiments', type: 'list', summary: 'Experiments whose definition names a placement, for `randomised` (by=placement).' },
    { name: 'as_of', type: 'text', of: 'day', summary: 'A day, YYYY-MM-DD: what was known then stands beside what is known now.' },
    { name: 'digits', type: 'integer', default: 2, summary: 'Decimal digits of the currency (0 for KRW).' },
    {
      name: 'bootstrap',
      type: 'integer',
      default: 100,
      summary: 'Resamples of the users for the interval of `modelled`; 0 leaves it out.',
    },
    ...eventOptions,
    moneyOption,
  ],
  sql(given, setting) {
    const { events, by, digits, asOf, costs, tests } = parts(given, setting);
    const modelled = isModelled(by);
    const shared = [...models, 'refunds', ...(asOf === null ? [] : ['refunds_later']), ...(costs === null ? [] : ['cost'])];
    const totals: Readonly<Record<string, string>> = { refunds: 'refund', refunds_later: 'refund_later', cost: 'cost' };
    const list = ['kind', ...by].join(', ');
    const empty = ['kind', ...by].map((key) => (key === 'kind' ? `'(unassigned)' AS kind` : `NULL AS ${key}`)).join(', ');
    // Whole minor units to DECIMAL without a double between.
    const unit = digits === 0 ? '1' : `0.${'1'.padStart(digits, '0')}`;
    const money = (column: string) => `CAST(CAST(${column} AS DECIMAL(30,0)) * ${unit} AS DECIMAL(38,${digits}))`;
    const none = `CAST(NULL AS DECIMAL(38,${digits}))`;
    const share = (model: string) => `coalesce(sum(part) FILTER (WHERE model = '${model}'), 0) AS ${model}`;
    return `WITH${modelled ? ' RECURSIVE' : ''} ${ctes(events, given, setting).join(',\n')}${modelled ? `,\n${journeyCtes({ days: given['window'] === 'session' ? null : (given['days'] as number), resamples: given['bootstrap'] as number, former: given['from'] !== null }).join(',\n')}` : ''},
room AS (
  -- What earned an order of the asked days has its row, were it clicked before them.
  SELECT ${list}, count(*) FILTER (WHERE asked AND NOT click) AS impressions, count(*) FILTER (WHERE asked AND click) AS clicks
  FROM (SELECT ${list}, click, asked FROM seen WHERE asked UNION ALL SELECT ${list}, click, false FROM pair WHERE NOT asked) GROUP BY ALL
),
earned AS (
  SELECT ${list}, coalesce(sum(orders), 0) AS orders, coalesce(sum(units), 0) AS units, ${shared.map(share).join(', ')}
  FROM given GROUP BY ALL
),
same AS (SELECT ${list}, sum(part) AS item_bought FROM line_given GROUP BY ALL),
assigned AS (
  SELECT ${['r.kind', ...by.map((key) => `r.${key}`)].join(', ')}, r.impressions, r.clicks, coalesce(e.orders, 0) AS orders, coalesce(e.units, 0) AS units,
    ${shared.map((model) => `coalesce(e.${model}, 0) AS ${model}`).join(', ')}, coalesce(s.item_bought, 0) AS item_bought,
    ${modelled ? `CAST(round(m.share * t.attributed) AS HUGEINT) AS modelled, m.low * t.attributed AS modelled_low, m.high * t.attributed AS modelled_high` : 'NULL::HUGEINT AS modelled, NULL::DOUBLE AS modelled_low, NULL::DOUBLE AS modelled_high'},
    ${tests.length > 0 ? 'x.value AS randomised, x.half AS randomised_half' : 'NULL::DOUBLE AS randomised, NULL::DOUBLE AS randomised_half'}
  FROM room AS r
  LEFT JOIN earned AS e ON ${['kind', ...by].map((key) => `e.${key} IS NOT DISTINCT FROM r.${key}`).join(' AND ')}
  LEFT JOIN same AS s ON ${['kind', ...by].map((key) => `s.${key} IS NOT DISTINCT FROM r.${key}`).join(' AND ')}${
    modelled
      ? `\n  LEFT JOIN effect AS m ON m.kind = r.kind AND m.placement IS NOT DISTINCT FROM r.placement\n  CROSS JOIN (SELECT coalesce(sum(minor) FILTER (WHERE touched), 0) AS attributed FROM sale) AS t`
      : ''
  }${tests.length > 0 ? '\n  LEFT JOIN tried AS x ON x.placement = r.placement' : ''}
),
ledger AS (
  SELECT * FROM assigned
  UNION ALL
  SELECT ${empty}, NULL, NULL, t.orders - a.orders, t.units - a.units,
    ${shared.map((model) => `t.${totals[model] ?? 'minor'} - a.${model}`).join(', ')}, t.minor - a.item_bought, ${modelled ? 't.minor - a.modelled' : 'NULL'}, NULL, NULL, NULL, NULL
  FROM (SELECT count(*) AS orders, coalesce(sum(units), 0) AS units, coalesce(sum(minor), 0) AS minor, coalesce(sum(refund), 0) AS refund, coalesce(sum(refund_later), 0) AS refund_later, coalesce(sum(cost), 0) AS cost FROM sale) AS t
  CROSS JOIN (SELECT ${['orders', 'units', ...shared, 'item_bought', 'modelled'].map((column) => `coalesce(sum(${column}), 0) AS ${column}`).join(', ')} FROM assigned) AS a
)
SELECT ${list}, impressions, clicks, round(clicks / nullif(impressions, 0), 6) AS click_rate, CAST(orders AS BIGINT) AS orders, CAST(units AS BIGINT) AS units,
  ${models.map((model) => `${money(model)} AS ${model}`).join(', ')},
  ${money('item_bought')} AS item_bought, ${money('refunds')} AS refunds, ${money('last_click - refunds')} AS last_click_net,
  ${asOf === null ? none : money('last_click - refunds + refunds_later')} AS last_click_net_then, ${asOf === null ? none : money('-refunds_later')} AS restated,
  ${costs === null ? none : money('cost')} AS cost, ${costs === null ? none : money('last_click - refunds - cost')} AS margin,
  ${money('modelled')} AS modelled, round(modelled_low / ${10 ** digits}, ${digits}) AS modelled_low, round(modelled_high / ${10 ** digits}, ${digits}) AS modelled_high,
  round(CAST(randomised AS DECIMAL(38,6)), ${digits}) AS randomised, round(CAST(randomised - randomised_half AS DECIMAL(38,6)), ${digits}) AS randomised_low, round(CAST(randomised + randomised_half AS DECIMAL(38,6)), ${digits}) AS randomised_high,
  ${[...models, 'item_bought'].map((column) => `round(${column} / ${10 ** digits} / nullif(impressions, 0), 6) AS ${column}_per_impression`).join(', ')}
FROM ledger ORDER BY kind = '(unassigned)', ${list}`;
  },
  evidence(given, setting) {
    const { events, kinds, costs, asOf, digits } = parts(given, setting);
    const orders = (fact: string, condition: string) =>
      `SELECT 6, '${fact}', CAST(count(*) AS VARCHAR) || ' worth ' || CAST(CAST(coalesce(sum(value), 0) AS DECIMAL(38,${digits})) AS VARCHAR) FROM purchase${condition}`;
    const more = [
      orders('orders shared out', ''),
      ...moneyCaveats(events),
      giantOrder('purchase', 'value'),
      ...lineCaveats(events, kinds),
      ...(given['window'] === 'session' && events.table.column('session_id') !== null ? [sessionless] : []),
      ...(costs === null
        ? []
        : [
            `SELECT 6, 'orders without a cost', CAST(count(*) AS VARCHAR) FROM purchase AS p LEFT JOIN (${costs}) AS c USING (order_id) WHERE c.value IS NULL HAVING count(*) > 0`,
          ]),
      ...(asOf === null
        ? []
        : [
            `SELECT 6, 'given back after ' || ${literal(asOf)}, CAST(coalesce(sum(f.later), 0) AS VARCHAR) FROM purchase AS p JOIN (${refundsOf(given, setting, asOf)}) AS f USING (order_id)`,
          ]),
      ...(events.shape === 'ga_hits' || events.table.column('visible') === null
        ? [`SELECT 8, 'caveat: impressions', 'as reported; the source has no rule of visibility'`]
        : [
            `SELECT 2, 'set aside: impressions not half visible for a second', CAST(count(*) AS VARCHAR) FROM offered WHERE NOT coalesce(visible, false) AND ${events.asked('time')}`,
          ]),
    ];
    return eventEvidence('placements', events, given, setting, more, offeredCtes(events, kinds), seenColumns(events, kinds));
  },
};

function parts(given: Given, setting: Setting) {
  // A session that began before the asked days is over within one.
  const before = given['window'] === 'session' ? 1 : (given['days'] as number);
  const asked = given['by'] as readonly string[];
  const refuse = (option: string, problem: string) => fail('ANSWER_OPTION', { answer: 'placements', option, problem });
  if (asked.length === 0 || asked.some((key) => !(keys as readonly string[]).includes(key)))
    refuse('by', `it is any of ${keys.join(', ')}`);
  if ((given['digits'] as number) > 6) refuse('digits', 'a currency has at most 6');
  if ((given['bootstrap'] as number) > 1000) refuse('bootstrap', 'at most 1000');
  if ((given['days'] as number) < 1 || (given['days'] as number) > 366) refuse('days', 'it is from 1 to 366');
  const shown = given['kinds'] as readonly string[];
  if (shown.length === 0 || shown.some((kind) => !(kinds as readonly string[]).includes(kind)))
    refuse('kinds', `it is any of ${kinds.join(', ')}`);
  const asOf = given['as_of'] as string | null;
  if (asOf !== null) withinDays('placements', { from: asOf }, setting, 'time');
  const by = keys.filter((key) => asked.includes(key));
  const events = eventsOf('placements', given, setting, { before });
  return {
    events,
    by,
    kinds: shown,
    digits: given['digits'] as number,
    asOf,
    costs: costsOf(given, setting),
    tests: testsOf(given, setting, events, by),
  };
}

/** An experiment's condition of exposure and its variant, over `used`. */
interface Test {
  readonly definition: Experiment;
  readonly condition: string;
  readonly columns: readonly string[];
}

function testsOf(given: Given, setting: Setting, events: Events, by: readonly string[]): Test[] {
  const asked = [...new Set(given['experiments'] as readonly string[])];
  const refuse = (problem: string) => fail('ANSWER_OPTION', { answer: 'placements', option: 'experiments', problem });
  if (asked.length > 0 && !isModelled(by)) refuse('an experiment tells of a placement as a whole: use by=placement');
  const tests = asked.map((name) => {
    const definition = setting.experiment(name);
    if (definition.placement === null) refuse(`the definition of "${name}" names no placement`);
    if (definition.unit !== 'user') refuse(`"${name}" draws browsers, the ledger counts users`);
    const { condition, columns } = readStep('placements', 'experiments', definition.exposure, events);
    return { definition, condition, columns: [...columns, definition.variant] };
  });
  for (const [at, { definition: one }] of tests.entries()) {
    const other = tests.slice(at + 1).find(({ definition }) => definition.placement === one.placement && overlap(definition, one));
    // Both would tell of the same purchases, and their sum would count these twice.
    if (other !== undefined) refuse(`"${one.name}" and "${other.definition.name}" try one placement on the same days: name one of them`);
  }
  return tests;
}

const overlap = (a: Experiment, b: Experiment) =>
  (a.to === null || b.from === null || b.from <= a.to) && (b.to === null || a.from === null || a.from <= b.to);

/** `tried`: placement, what it brought, half its 95 % interval (Welch); experiments of other days add up. */
function triedCte(tests: readonly Test[], events: Events): string {
  const one = ({ definition, condition }: Test) => {
    const variant = `CAST(${quote(definition.variant.toLowerCase())} AS VARCHAR)`;
    const names = definition.variants.map(({ name }) => literal(name));
    const began = definition.from === null ? '' : ` AND day >= DATE '${definition.from}'`;
    const ended = definition.to === null ? '' : ` AND day <= DATE '${definition.to}'`;
    return `SELECT ${literal(definition.name)} AS experiment, ${literal(definition.placement!)} AS placement, treated, count(*) AS n, avg(y) AS mean, var_samp(y) AS variance FROM (
    SELECT s."user", s.treated, coalesce(sum(p.value) FILTER (WHERE p.time >= s.first${ended.replace('day', 'p.day')}), 0) AS y
    FROM (SELECT "user", any_value(variant) <> ${names[0]} AS treated, min(first) AS first
      FROM (SELECT "user", ${variant} AS variant, min(time) AS first FROM used WHERE ${condition}${began}${ended} AND ${events.asked('time')} AND ${variant} IN (${names.join(', ')}) GROUP BY ALL)
      GROUP BY "user" HAVING count(*) = 1) AS s LEFT JOIN purchase AS p ON p."user" = s."user" GROUP BY ALL
  ) GROUP BY treated`;
  };
  const arms = tests.map(one).join('\n  UNION ALL ');
  return `tried AS (
  SELECT t.placement, sum(t.n * (t.mean - c.mean)) AS value, 1.959963984540054 * sqrt(sum(t.n ** 2 * (t.variance / t.n + c.variance / c.n))) AS half
  FROM (${arms}) AS t JOIN (${arms}) AS c ON c.experiment = t.experiment AND t.treated AND NOT c.treated GROUP BY t.placement
)`;
}

const isModelled = (by: readonly string[]) => by.length === 1 && by[0] === 'placement';

function seenColumns(events: Events, shown: readonly string[]): string[] {
  const pages = shown.includes('page') ? ['session', pageOf(events)] : [];
  const names =
    events.shape === 'ga_hits'
      ? ['list_impressions', 'list_clicks', 'promotion_impressions', 'promotion_clicks', 'products']
      : ['placement', 'content', 'list', 'item_id', 'items', 'visible'];
  return [...names.filter((name) => events.table.column(name) !== null), ...pages];
}

/** Errors: ANSWER_COLUMN. */
function pageOf({ table }: Events): string {
  const name = ['page', 'page_path', 'page_location'].find((each) => table.column(each) !== null);
  return name ?? fail('ANSWER_COLUMN', { table: table.name, what: 'pages', names: 'page, page_path, page_location' });
}

/** offered: every impression and click, with whether it was visible. */
function offeredCtes(events: Events, shown: readonly string[]): string[] {
  const common = 'time, tie, day, "user", session';
  const listed = (column: string, of: string) => `FROM (SELECT ${of}${common}, unnest(${elements(events, column)}) AS x FROM used WHERE`;
  const pages = shown.includes('page')
    ? [
        `SELECT 'page' AS kind, page AS placement, NULL::VARCHAR AS content, NULL::VARCHAR AS item, c.click, true AS visible, ${common}
  FROM (SELECT *, ${quote(pageOf(events))} AS page, lead(time) OVER (PARTITION BY session ORDER BY time, tie) AS next FROM used) CROSS JOIN (VALUES (false), (true)) AS c(click)
  WHERE event = 'page_view' AND (NOT c.click OR next IS NOT NULL)`,
      ]
    : [];
  const [promotions, lists] = [shown.includes('promotion'), shown.includes('list')];
  if (events.shape === 'ga_hits') {
    const part = (kind: string, column: string, placement: string, content: string, item: string, click: boolean) =>
      events.table.column(column) === null
        ? []
        : [
            `SELECT '${kind}' AS kind, ${placement} AS placement, ${content} AS content, ${item} AS item, ${click} AS click, true AS visible, ${common}
  ${listed(column, '')} ${column} IS NOT NULL)`,
          ];
    const text = (key: string) => `json_extract_string(x, '$.${key}')`;
    const list = [text('list'), `coalesce(${text('name')}, ${text('sku')})`, text('sku')] as const;
    const promotion = [`coalesce(${text('position')}, ${text('id')})`, text('name'), 'NULL::VARCHAR'] as const;
    return offered([
      ...(lists ? [...part('list', 'list_impressions', ...list, false), ...part('list', 'list_clicks', ...list, true)] : []),
      ...(promotions
        ? [...part('promotion', 'promotion_impressions', ...promotion, false), ...part('promotion', 'promotion_clicks', ...promotion, true)]
        : []),
      ...pages,
    ]);
  }
  const has = (...names: string[]) => names.every((name) => events.table.column(name) !== null);
  const visible = has('visible') ? `(visible OR event <> 'view_promotion')` : 'true';
  return offered([
    ...(promotions && has('placement')
      ? [
          `SELECT 'promotion' AS kind, placement, ${has('content') ? 'content' : 'NULL::VARCHAR'} AS content, NULL::VARCHAR AS item, event = 'select_promotion' AS click, ${visible} AS visible, ${common}
  FROM used WHERE event IN ('view_promotion', 'select_promotion')`,
        ]
      : []),
    ...(lists && has('list', 'items')
      ? [
          `SELECT 'list' AS kind, list AS placement, json_extract_string(x, '$.item_id') AS content, json_extract_string(x, '$.item_id') AS item, false AS click,
    coalesce(json_extract_string(x, '$.visible'), 'true') = 'true' AS visible, ${common}
  ${listed('items', 'list, ')} event = 'view_item_list')`,
        ]
      : []),
    ...(lists && has('list', 'item_id')
      ? [`SELECT 'list', list, item_id, item_id, true, true, ${common} FROM used WHERE event = 'select_item'`]
      : []),
    ...pages,
  ]);

  function offered(selects: readonly string[]): string[] {
    if (selects.length === 0)
      return fail('ANSWER_COLUMN', { table: events.table.name, what: 'placements', names: 'placement, or list with items' });
    return [`offered AS (\n  ${selects.join('\n  UNION ALL ')}\n)`];
  }
}

/** The elements of a column with a JSON list; one that is no JSON has none. `as`: the name under which a relation has the column. */
function elements({ table }: Events, column: string, as = column): string {
  const list = table.type(column) === 'JSON' ? as : `CASE WHEN json_valid(${as}) THEN ${as} END`;
  return `CAST(json_extract(${list}, '$[*]') AS JSON[])`;
}

const numberOf = (key: string, type: string) => `TRY_CAST(json_extract_string(x, '$.${key}') AS ${type})`;
const [price, quantity] = [numberOf('price', 'DECIMAL(18,6)'), numberOf('quantity', 'INTEGER')];
/** One line that is no number must not end the whole ledger: it is taken as none, or as one, and counted in the evidence. */
const [priceOf, quantityOf] = [`coalesce(${price}, 0)`, `coalesce(${quantity}, 1)`];

function lineCaveats(events: Events, shown: readonly string[]): string[] {
  const { lines, table } = events;
  const lists = [...new Set([...seenColumns(events, shown), ...(lines === null ? [] : [lines.column])])].filter(
    (name) => /^(items|products|list_.*s|promotion_.*s)$/.test(name) && table.type(name) !== 'JSON',
  );
  const broken = lists.map((name) => `NOT json_valid(${quote(name)})`).join(' OR ');
  const asked = events.asked('time');
  const isNone = (key: string, number: string) => `json_extract_string(x, '$.${key}') IS NOT NULL AND ${number} IS NULL`;
  return [
    ...(lines === null
      ? []
      : [
          `SELECT 8, 'caveat: order lines whose price or quantity is no number, taken as 0 and 1', CAST(count(*) AS VARCHAR)
    FROM (SELECT unnest(${elements(events, lines.column)}) AS x FROM used WHERE event = 'purchase' AND ${lines.column} IS NOT NULL AND ${asked})
    WHERE ${isNone('price', price)} OR ${isNone('quantity', quantity)} HAVING count(*) > 0`,
        ]),
    ...(broken === ''
      ? []
      : [
          `SELECT 8, 'caveat: events whose list of items cannot be read', CAST(count(*) AS VARCHAR) FROM used WHERE (${broken}) AND ${asked} HAVING count(*) > 0`,
        ]),
  ];
}

function ctes(events: Events, given: Given, setting: Setting): string[] {
  const scale = 10 ** (given['digits'] as number);
  const lines = events.lines;
  const { kinds, asOf, costs, tests } = parts(given, setting);
  const window =
    given['window'] === 'session' ? 't.session = p.session' : `t."user" = p."user" AND t.time >= p.time - INTERVAL ${given['days']} DAY`;
  const wanted = [
    ...(given['window'] === 'session' ? ['session'] : []),
    ...seenColumns(events, kinds),
    ...tests.flatMap(({ columns }) => columns),
    ...(lines === null ? [] : [lines.column]),
  ];
  // A page is left by any event, all else is told by its own.
  const told = ['view_promotion', 'select_promotion', 'view_item_list', 'select_item', 'purchase'].map(literal).join(', ');
  const only = kinds.includes('page') ? 'true' : [`event IN (${told})`, ...tests.map(({ condition }) => `(${condition})`)].join(' OR ');
  return [
    ...events.ctes(wanted, only),
    events.purchase(true),
    ...offeredCtes(events, kinds),
    `seen AS (SELECT * EXCLUDE (visible), ${events.asked('time')} AS asked FROM offered WHERE visible OR click)`,
    ...(given['from'] === null
      ? []
      : [
          `former AS (SELECT "user", session, time FROM used WHERE event = 'purchase' AND order_id IS NOT NULL AND NOT (${events.asked('time')}))`,
        ]),
    ...(tests.length === 0 ? [] : [triedCte(tests, events)]),
    `refunded AS (${refundsOf(given, setting, asOf)})`,
    `costing AS (${costs ?? 'SELECT NULL::VARCHAR AS order_id, 0 AS value WHERE false'})`,
    `line AS (${
      lines === null
        ? `SELECT NULL::VARCHAR AS order_id, NULL::VARCHAR AS item, 0 AS quantity, 0::HUGEINT AS minor WHERE false`
        : `
  SELECT order_id, json_extract_string(x, '$.${lines.item}') AS item, sum(${quantityOf}) AS quantity, CAST(round(sum(${priceOf} * ${quantityOf}) * ${scale}) AS HUGEINT) AS minor
  FROM (SELECT order_id, unnest(${elements(events, lines.column, 'lines')}) AS x FROM purchase WHERE lines IS NOT NULL) GROUP BY ALL
`
    })`,
    `pair AS (
  -- An order with each click that came before it in the window: k of m.
  SELECT p.order_id, p.time AS ordered, t.*, row_number() OVER (PARTITION BY p.order_id ORDER BY t.time, t.tie, t.kind, t.placement, t.content) AS k, count(*) OVER (PARTITION BY p.order_id) AS m
  FROM purchase AS p JOIN seen AS t ON t.click AND ${window} AND t.time <= p.time
)`,
    `sale AS (
  SELECT p.order_id, CAST(round(p.value * ${scale}) AS HUGEINT) AS minor, coalesce(CAST(round(f.value * ${scale}) AS HUGEINT), 0) AS refund,
    coalesce(CAST(round(f.later * ${scale}) AS HUGEINT), 0) AS refund_later, coalesce(CAST(round(w.value * ${scale}) AS HUGEINT), 0) AS cost,
    coalesce(l.units, 0) AS units, t.order_id IS NOT NULL AS touched
  FROM purchase AS p LEFT JOIN refunded AS f USING (order_id) LEFT JOIN costing AS w USING (order_id)
  LEFT JOIN (SELECT order_id, sum(quantity) AS units FROM line GROUP BY order_id) AS l USING (order_id)
  LEFT JOIN (SELECT DISTINCT order_id FROM pair) AS t USING (order_id)
)`,
    `weighed AS (
  -- Whole weights keep the sharing exact. Position: 40 % each end, 20 % between; time decay: half after 7 days.
  SELECT pair.*, s.units, v.model, CASE v.model WHEN 'refunds' THEN s.refund WHEN 'refunds_later' THEN s.refund_later WHEN 'cost' THEN s.cost ELSE s.minor END AS money,
    CAST(CASE v.model
      WHEN 'first_click' THEN CAST(k = 1 AS BIGINT)
      WHEN 'linear' THEN 1
      WHEN 'position' THEN CASE WHEN k IN (1, m) THEN greatest(2 * (m - 2), 1) ELSE 1 END
      WHEN 'time_decay' THEN greatest(1, CAST(round(1073741824 * pow(0.5, (epoch_ms(ordered) // 1000 - epoch_ms(pair.time) // 1000) / 604800)) AS BIGINT))
      ELSE CAST(k = m AS BIGINT) END AS HUGEINT) AS weight
  FROM pair JOIN sale AS s USING (order_id)
  CROSS JOIN (VALUES ${[...models, 'refunds', ...(asOf === null ? [] : ['refunds_later']), ...(costs === null ? [] : ['cost'])].map((model) => `('${model}')`).join(', ')}) AS v(model)
)`,
    `floored AS (
  SELECT *, abs(money) * weight // sum(weight) OVER (PARTITION BY order_id, model) AS base, abs(money) * weight % sum(weight) OVER (PARTITION BY order_id, model) AS remainder
  FROM weighed
)`,
    `given AS (
  -- The largest remainders take what the division left, so that the parts of an order sum to it.
  SELECT * EXCLUDE (units), sign(money) * (base + CAST(row_number() OVER (PARTITION BY order_id, model ORDER BY remainder DESC, k) <= abs(money) - sum(base) OVER (PARTITION BY order_id, model) AS HUGEINT)) AS part,
    CASE WHEN model = 'last_click' AND k = m THEN 1 END AS orders, CASE WHEN model = 'last_click' AND k = m THEN units END AS units
  FROM floored
)`,
    `line_valued AS (
  -- A line's price is the list's, a coupon may have made less of the order: then the lines share what was paid, by largest remainders.
  SELECT order_id, item, side * CASE WHEN total <= paid THEN own
    ELSE own * paid // total + CAST(row_number() OVER (PARTITION BY order_id ORDER BY own * paid % total DESC, item) <= paid - sum(own * paid // total) OVER (PARTITION BY order_id) AS HUGEINT) END AS minor
  FROM (
    SELECT order_id, item, side, paid, own, greatest(1, sum(own) OVER (PARTITION BY order_id)) AS total
    -- Of what is beyond any order their product would outgrow the numbers.
    FROM (SELECT order_id, l.item, sign(s.minor) AS side, abs(s.minor) AS paid, least(greatest(l.minor * sign(s.minor), 0), 1000000000000000) AS own FROM line AS l JOIN sale AS s USING (order_id))
  )
)`,
    `line_given AS (
  -- The stricter view: a line's money goes to the last click on that very product.
  SELECT c.kind, c.placement, c.content, c.day, l.minor AS part
  FROM line_valued AS l JOIN pair AS c ON c.order_id = l.order_id AND c.item = l.item
  QUALIFY row_number() OVER (PARTITION BY l.order_id, l.item ORDER BY c.k DESC) = 1
)`,
  ];
}
