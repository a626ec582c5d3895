import type { Entry, Option, Table, Weekday } from '#core';
import type { Experiment } from '#experiment';
import type { Journey } from '../metrics/journey.ts';
import type { Metric } from '../metrics/metric.ts';
import type { Segment } from '../metrics/segment.ts';

/** Checked options by name; an absent one without a default is null. */
export type Given = Readonly<Record<string, string | number | boolean | readonly string[] | null>>;

/** What an answer stands on beside its options. */
export interface Setting {
  readonly tables: readonly Table[];
  /** IANA; days and weeks are cut in it. */
  readonly timeZone: string;
  readonly weekStart: Weekday;
  /** By name. Errors: METRIC_UNKNOWN, JOURNEY_UNKNOWN, EXPERIMENT_UNKNOWN, SEGMENT_UNKNOWN, DEFINITION_*. */
  metric(name: string): Metric;
  journey(name: string): Journey;
  experiment(name: string): Experiment;
  segment(name: string): Segment;
}

/** A query that must give no row; the first one that it gives is the reason of the refusal. */
export interface Guard {
  readonly sql: string;
  refuse(row: Readonly<Record<string, unknown>>): never;
}

/** Numbers that are fitted from rows before the SQL is written: they join the options. */
export interface Fit {
  readonly sql: string;
  /** More rows than this are never given. */
  readonly rows: number;
  made(rows: readonly Readonly<Record<string, unknown>>[]): Given;
}

/** A materialized view. `partition` is what it is kept by; null: recomputed as a whole. */
export interface NamedView {
  readonly name: string;
  readonly partition: string | null;
  readonly sql: string;
}

/** How an answer's rows are best drawn, in the words of a dashboard's tile. */
export interface AnswerChart {
  readonly kind: string;
  readonly x: string;
  readonly y: readonly string[];
  readonly series?: string;
  readonly unit?: string;
}

/**
 * A question that the shop asks, as an entry of the registry: options in, readable SQL out. `sql` is what a user can open and fork;
 * `evidence` gives rows (fact, value) that say on what the answer stands. Both are pure and read only what `setting` names.
 * Errors: ANSWER_OPTION, ANSWER_TABLE, ANSWER_COLUMN, ANSWER_TYPE, METRIC_*, JOURNEY_UNKNOWN, DEFINITION_*.
 */
export interface AnswerKind extends Entry {
  sql(given: Given, setting: Setting): string;
  evidence(given: Given, setting: Setting): string;
  guards?(given: Given, setting: Setting): readonly Guard[];
  fit?(given: Given, setting: Setting): Fit;
  /** The views that keep the answer fresh at the least cost, each after those that it reads; absent: its own statement as one view. */
  views?(given: Given, setting: Setting): readonly NamedView[];
  /** Where the columns' types alone do not say it; null where they do. */
  chart?(given: Given): AnswerChart | null;
}

/** Of answers whose money may be the shop's own. */
export const moneyOption: Option = {
  name: 'money',
  type: 'choice',
  choices: ['events', 'orders'],
  default: 'events',
  summary: 'Whose purchases count: as events reported them, or at the amounts of the paid orders of the same id.',
};

/** Options that all answers about events have. */
export const eventOptions: readonly Option[] = [
  {
    name: 'events',
    type: 'text',
    of: 'table',
    summary: 'The table of events, schema.name. Default: raw.events, else raw.ga_hits, else main.events.',
  },
  {
    name: 'orders',
    type: 'text',
    of: 'table',
    summary: 'The table of orders. Default: shop.orders, else main.orders, where there is one.',
  },
  { name: 'from', type: 'text', of: 'day', summary: 'The first day, YYYY-MM-DD in the workspace’s zone.' },
  { name: 'to', type: 'text', of: 'day', summary: 'The last day.' },
];
