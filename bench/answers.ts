/**
 * Each answer over events made in SQL: seconds and the process's peak of resident memory, warehouse included; and beside estimates the
 * truth that the events were made with, and how far a right answer may be off it: one that is further off does not meet its goal.
 *   node --conditions=source bench/answers.ts [--events 50000000] [--memory 1000] [--quick] [--json] [--data FOLDER] [--only ANSWER,…]
 * 50 events a visitor in five visits, an order in about every tenth visit; whoever has seen variant B orders 1.2 times as often from then on. Each order's
 * fate on its way to the two tables is drawn. Customers of the lifetime value are drawn from BG/NBD and pay by Gamma–Gamma
 * with the parameters of CDNOW, and what they buy in the 39 weeks after is known. With --data the shop is kept in that folder and taken from there the next time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { openAnalyst, openAnswers } from '#analyze';
import type { Principal } from '#core';
import { openStore } from '#store';
import { type Made, makeShop } from './made-shop.ts';
import { type Figure, type Goal, report } from './report.ts';

const { values } = parseArgs({
  options: {
    events: { type: 'string' },
    memory: { type: 'string', default: '1000' },
    quick: { type: 'boolean' },
    data: { type: 'string' },
    make: { type: 'boolean' },
    only: { type: 'string' },
    json: { type: 'boolean' },
  },
});
const events = Number(values.events ?? (values.quick ? 2_000_000 : 50_000_000));
const memory = Number(values.memory) * 1e6;

const definitions = {
  metrics: 'table: main.orders\nexpression: sum(amount)\ntime: ordered_at\ndimensions: [payment_type, status]\n',
  journeys: 'steps:\n  - { name: item, event: view_item, next: [cart] }\n  - { name: cart, event: add_to_cart, next: [(end)] }\n',
  segments: 'where: net > 50 AND recency_days < 10\n',
  experiments:
    'placement: slot1\nexposure: begin_checkout\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: orders, kind: count, event: purchase, role: primary, minimum_effect: 0.05 }\n  - { name: buyers }\n  - { name: revenue, kind: revenue }\n',
} as const;
const asked: readonly (readonly [answer: string, options: Readonly<Record<string, unknown>>])[] = [
  ['reconcile', {}],
  ['placements', { by: 'placement', experiments: 'own' }],
  ['placements', {}],
  ['funnel', { steps: 'view_item,add_to_cart,begin_checkout,purchase' }],
  ['dropoff', { steps: 'view_item,add_to_cart,purchase' }],
  ['paths', {}],
  ['journey', { journey: 'own' }],
  ['retention', {}],
  ['cohorts', { orders: 'main.orders' }],
  ['rfm', { orders: 'main.orders' }],
  ['lifecycle', { orders: 'main.orders', grain: 'day' }],
  ['segment', { orders: 'main.orders', segment: 'own' }],
  ['segments', { orders: 'main.orders', segments: 'own' }],
  ['lookalike', { orders: 'main.orders', segment: 'own' }],
  ['lifetime', { orders: 'main.buyers', days: 273, rows: 'total' }],
  ['experiment', { experiment: 'own' }],
  ['experiment_bayes', { experiment: 'own' }],
  ['sample_ratio', { experiment: 'own' }],
  ['experiment_plan', { experiment: 'own' }],
  ['aa_replay', {}],
  ['metric', { metric: 'own', by: 'payment_type', grain: 'day' }],
  ['drivers', { metric: 'own', from: '2026-03-10', to: '2026-03-12', before_from: '2026-03-07', before_to: '2026-03-09' }],
];

const who: Principal = { name: 'bench', role: 'admin', topics: null };
const limit = { seconds: 3600, rows: 1_000_000, concurrency: 1 };

/** Where each fate must be told, as outcome and reason. */
const namedAs: Readonly<Record<string, readonly [outcome: string, reason: string | null]>> = {
  matched: ['matched', null],
  refund: ['matched', 'refund'],
  cancelled: ['matched', 'cancelled'],
  'duplicate sent': ['matched', 'duplicate sent'],
  'amount differs': ['amount differs', 'unknown'],
  test: ['set aside', 'test'],
  bot: ['set aside', 'bot'],
  'never paid': ['only in events', 'never paid'],
  'lost by the shop': ['only in events', 'unknown'],
  'payment redirect': ['only in orders', 'payment redirect'],
  unknown: ['only in orders', 'unknown'],
  'before tracking': ['only in orders', 'before tracking'],
  consent: ['only in orders', 'consent'],
};

type Row = Readonly<Record<string, unknown>>;
interface Told {
  readonly columns: { readonly name: string }[];
  readonly rows: unknown[][];
}
interface Truth {
  readonly what: string;
  told(rows: readonly Row[]): number;
  readonly truth: number;
  /** How far a right answer may be off, in the unit of the truth: 0, or by chance, which is said where it is worked out. */
  off(rows: readonly Row[]): number;
}

/** Two-sided normal quantile at 99.9 %: a right answer is further off in one of a thousand shops. */
const rare = 3.2905267314919255;
/** From half an interval at 95 % to half of one at 99.9 %. */
const wider = rare / 1.959963984540054;
const half = (row: Row, low: string, high: string) => (Number(row[high]) - Number(row[low])) / 2;

/** What an answer says beside what was made to be true. */
const truthsOf = (made: Made): Readonly<Record<string, readonly Truth[]>> => ({
  reconcile: Object.entries(namedAs).map(([fate, [outcome, reason]]) => ({
    what: `orders "${fate}"`,
    told: (rows) => cell(rows, { outcome, reason }, 'orders'),
    truth: made.fates[fate]!,
    // Told from what lies near the order, which may be of somebody else: the more visitors at once, the more often.
    off: () => (['payment redirect', 'unknown', 'consent'].includes(fate) ? 0.02 * made.fates[fate]! : 0),
  })),
  placements_by_placement: [
    {
      what: 'share of last-click revenue that promotions earn (clicks are drawn evenly)',
      told: (rows) =>
        totalWhere(rows, { kind: 'promotion' }, 'last_click') /
        (total(rows, 'last_click') - totalWhere(rows, { kind: '(unassigned)' }, 'last_click')),
      truth: 0.5,
      // A coin for each order; amounts of 21 to 70 add a tenth to its variance (their variance over their mean squared).
      off: (rows) => rare * Math.sqrt((0.25 * 1.1) / (total(rows, 'orders') - totalWhere(rows, { kind: '(unassigned)' }, 'orders'))),
    },
    {
      what: 'modelled share of one of the two promotions (even by symmetry)',
      told: (rows) => cell(rows, { placement: 'slot1' }, 'modelled') / modelled(rows),
      truth: 0.25,
      off: (rows) => (wider * half(found(rows, { placement: 'slot1' }), 'modelled_low', 'modelled_high')) / modelled(rows),
    },
    {
      what: 'randomised revenue of the slot that the control does without',
      told: (rows) => cell(rows, { placement: 'slot1' }, 'randomised'),
      truth: made.caused,
      off: (rows) => wider * half(found(rows, { placement: 'slot1' }), 'randomised_low', 'randomised_high'),
    },
  ],
  // The interval is right however often one looks, so that at one look it is one of more than 99.9 %.
  experiment: [
    {
      what: 'lift of orders',
      told: (rows) => cell(rows, { metric: 'orders', variant: 'B' }, 'lift'),
      truth: 0.2,
      off: (rows) =>
        half(found(rows, { metric: 'orders', variant: 'B' }), 'low', 'high') / cell(rows, { metric: 'orders', variant: 'A' }, 'mean'),
    },
    {
      what: 'revenue that the change brought',
      told: (rows) => brought(rows),
      truth: made.caused,
      off: (rows) =>
        half(found(rows, { metric: 'revenue', variant: 'B' }), 'low', 'high') * cell(rows, { metric: 'revenue', variant: 'B' }, 'visitors'),
    },
  ],
  experiment_bayes: [
    {
      what: 'lift of orders',
      told: (rows) => cell(rows, { metric: 'orders', variant: 'B' }, 'lift'),
      truth: 0.2,
      off: (rows) =>
        (wider * half(found(rows, { metric: 'orders', variant: 'B' }), 'difference_low', 'difference_high')) /
        cell(rows, { metric: 'orders', variant: 'A' }, 'mean'),
    },
    {
      what: 'revenue that the change brought',
      told: (rows) => brought(rows),
      truth: made.caused,
      off: (rows) =>
        wider *
        half(found(rows, { metric: 'revenue', variant: 'B' }), 'difference_low', 'difference_high') *
        cell(rows, { metric: 'revenue', variant: 'B' }, 'visitors'),
    },
  ],
  experiment_plan: [
    {
      what: 'orders by visitor',
      told: (rows) => cell(rows, { metric: 'orders' }, 'mean'),
      truth: made.ordered.mean,
      // Sums of doubles.
      off: () => 1e-9 * made.ordered.mean,
    },
    {
      what: 'visitors that a lift of 5 % needs',
      told: (rows) => cell(rows, { metric: 'orders' }, 'visitors_needed'),
      // Two halves; z(1 − 0.05 / 6) for three metrics together, and z(0.8).
      truth: 4 * ((2.3939797998185104 + 0.8416212335729143) * (made.ordered.deviation / (0.05 * made.ordered.mean))) ** 2,
      // Whole visitors.
      off: () => 1,
    },
  ],
  lifetime: [
    {
      what: 'orders that customers make in the next 39 weeks',
      told: (rows) => Number(rows[0]?.['expected_orders']),
      truth: made.later,
      off: () => forecast(made.laterErrors.orders) * made.later,
    },
    {
      what: 'what they pay for them',
      told: (rows) => Number(rows[0]?.['expected_value']),
      truth: made.laterMoney,
      off: () => forecast(made.laterErrors.money) * made.laterMoney,
    },
  ],
  aa_replay: [
    {
      what: 'false positives of revenue by visitor at 5 %',
      told: (rows) => cell(rows, { metric: 'revenue' }, 'false_positive_rate'),
      truth: 0.05,
      off: (rows) => rare * Math.sqrt((0.05 * 0.95) / cell(rows, { metric: 'revenue' }, 'splits')),
    },
  ],
});

/**
 * By which share a right forecast is off: what is to come scatters over customers by `error`, and what was learned from as many of them
 * about as much again; and a purchase is a day here, where two orders of one day are two to come (half a per cent).
 */
const forecast = (error: number) => 0.005 + rare * Math.sqrt(2) * error;

const matches = (row: Row, where: Row) => Object.entries(where).every(([key, value]) => row[key] === value);
const found = (rows: readonly Row[], where: Row): Row => rows.find((row) => matches(row, where)) ?? {};
const cell = (rows: readonly Row[], where: Row, column: string): number => Number(found(rows, where)[column] ?? 0);
const total = (rows: readonly Row[], column: string) => rows.reduce((sum, row) => sum + Number(row[column]), 0);
const totalWhere = (rows: readonly Row[], where: Row, column: string) =>
  total(
    rows.filter((row) => matches(row, where)),
    column,
  );

const modelled = (rows: readonly Row[]) => total(rows, 'modelled') - totalWhere(rows, { kind: '(unassigned)' }, 'modelled');
const brought = (rows: readonly Row[]) =>
  cell(rows, { metric: 'revenue', variant: 'B' }, 'difference') * cell(rows, { metric: 'revenue', variant: 'B' }, 'visitors');

/** DuckDB's share as the platform gives it of as much memory. */
const open = (folder: string) => openStore({ dataPath: folder, memory: (memory - 300e6) * 0.5, threads: 2 });
const folder = values.data ?? mkdtempSync(join(tmpdir(), 'millrace-bench-answers-'));
const noted = join(folder, 'made.json');
// The shop is made by a process of its own, so that the memory of making it is not counted.
if (values.make === true) {
  const store = await open(folder);
  const made = await makeShop(store, events, values.quick ? 20_000 : 200_000);
  await store.close();
  writeFileSync(noted, JSON.stringify({ events, made }));
} else {
  try {
    if (!existsSync(noted)) await makeApart();
    await measure();
  } finally {
    if (values.data === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function makeApart(): Promise<void> {
  const own = [...process.execArgv, process.argv[1]!, '--make', '--data', folder, '--events', String(events), '--memory', values.memory];
  const child = spawn(process.execPath, [...own, ...(values.quick ? ['--quick'] : [])], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`making the shop ended with ${code}`);
}

async function drained(body: Readable): Promise<null> {
  for await (const _ of body);
  return null;
}

async function measure(): Promise<void> {
  const kept = JSON.parse(readFileSync(noted, 'utf8')) as { events: number; made: Made };
  if (values.events !== undefined && kept.events !== Number(values.events)) throw new Error(`${folder} holds ${kept.events} events`);
  const { events, made } = kept;
  if (made.laterErrors === undefined || made.ordered === undefined) throw new Error(`${folder} was made by another version: make it anew`);
  const store = await open(folder);
  const analyst = openAnalyst({ store, limits: { admin: limit, editor: limit, viewer: limit, write: limit }, own: async () => null });
  const files = (kind: keyof typeof definitions) => ({ list: () => [{ name: 'own', file: `${kind}/own.yaml`, text: definitions[kind] }] });
  const answers = openAnswers({
    store,
    analyst,
    timeZone: 'Asia/Seoul',
    weekStart: 'monday',
    definitions: { metrics: files('metrics'), journeys: files('journeys'), experiments: files('experiments'), segments: files('segments') },
  });
  const figures: Record<string, Figure> = { events: { title: 'events', value: events } };
  const truths = truthsOf(made);
  const errors: Goal[] = [];
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const only = values.only?.split(',');
  for (const [answer, options] of asked) {
    const name = `${answer}${options['by'] === 'placement' ? '_by_placement' : ''}`;
    if (only !== undefined && !only.includes(name)) continue;
    peak = process.memoryUsage.rss();
    const began = performance.now();
    const spent = process.cpuUsage();
    const known = truths[name];
    // Rows that nothing is compared with only pass by, as they would on their way to a client.
    const asking = answers
      .run({ who, answer, options })
      .then(({ body }) => (known === undefined ? drained(body) : (json(body) as Promise<Told>)));
    const told = await asking.catch((thrown: Error) => {
      // The others are still of use to whoever let it run for an hour.
      process.stderr.write(`${name} FAILED: ${thrown.message}\n`);
      return thrown;
    });
    if (told instanceof Error) figures[`${name}_failed`] = { title: `${name}: failed (${told.message})`, value: 1 };
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(spent);
    const cpu = (user + system) / 1e6;
    process.stderr.write(`${name} ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of processor time, peak ${Math.round(peak / 1e6)} MB\n`);
    figures[`${name}_seconds`] = { title: `${name}: with its evidence`, value: seconds, unit: 's' };
    figures[`${name}_cpu`] = { title: `${name}: processor time, of both cores`, value: cpu, unit: 's' };
    figures[`${name}_peak`] = { title: `${name}: peak resident memory`, value: peak / 1e6, unit: 'MB' };
    if (told instanceof Error) continue;
    const rows = told === null ? [] : told.rows.map((row) => Object.fromEntries(told.columns.map((column, at) => [column.name, row[at]])));
    for (const [at, { what, told: tell, truth, off }] of (known ?? []).entries()) {
      const said = tell(rows);
      const figure = `${name}_error_${at + 1}`;
      figures[figure] = {
        title: `${name}: ${what}, ${said.toPrecision(6)} where ${truth.toPrecision(6)} is true: error`,
        value: (100 * Math.abs(said - truth)) / truth,
        unit: '%',
      };
      errors.push({ figure, at: 'most', value: Number(((100 * off(rows)) / truth).toPrecision(3)) });
    }
  }
  clearInterval(watch);
  await analyst.close();
  await store.close();
  report({
    bench: 'answers',
    figures,
    goals: [
      ...Object.keys(figures)
        .filter((name) => /_(peak|failed)$/.test(name))
        .map((figure): Goal => ({ figure, at: 'most', value: figure.endsWith('_peak') ? memory / 1e6 : 0 })),
      ...errors,
    ],
  });
}
