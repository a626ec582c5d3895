import type { Candidate } from '../learners.ts';
import type { Plan } from '../plan.ts';
import type { Division } from './split.ts';

/** Share of a time budget for trials and for training the chosen ones on all rows; the rest is for the report. */
const PLANNED = 0.92;
/** While models are tried, time is kept for training so many of the best again. */
const MEMBERS_KEPT_FOR = 3;
/** After so many rounds of the first model it is known how long a round takes. */
export const PACE_ROUNDS = 10;
/** Trees with early stopping keep about so many rounds over the learning rate. */
const STEPS_DOWN = 30;
/** Share of the time for the first model, training it again included. */
const FIRST_SHARE = 0.4;
const MOST_PACE = 4;
const MOST_RATE = 0.3;

/** The plan's time. Training a trial's model again, on the rows tried with and then on all, takes `again` times what the trial took. */
export interface Time {
  readonly began: number;
  readonly until: number;
  readonly again: number;
}

export function timeOf(plan: Plan, rows: number, outer: Division, folds: readonly Division[], began: number): Time {
  const { millis } = plan.budget ?? {};
  const tried = folds.reduce((sum, { learn }) => sum + learn.length, 0);
  const until = millis === undefined ? Number.POSITIVE_INFINITY : began + millis * PLANNED;
  return { began, until, again: (outer.learn.length + rows) / tried };
}

/** What a trial has reached and how long it took. */
interface Taken {
  readonly score: number;
  readonly trainMillis: number;
}

/** Time that training the best few again will take. */
export function finishing(tried: readonly Taken[], { again }: Time): number {
  const best = [...tried].sort((a, b) => a.score - b.score).slice(0, MEMBERS_KEPT_FOR);
  return again * best.reduce((sum, { trainMillis }) => sum + trainMillis, 0);
}

type Boosted = Candidate & { readonly learner: 'trees' };

/** Trees that learn one from the other; a forest's do not, and have no rate. */
export function isBoosted(candidate: Candidate): candidate is Boosted {
  return candidate.learner === 'trees' && !candidate.options.forest;
}

/**
 * How much faster trees must learn so that the first of them, trained again to the end, takes no more than its share of the time: on a large table
 * many quick models are worth more than a slow one that is cut off.
 */
export function paceOf({ options }: Boosted, roundMillis: number, folds: number, { began, until, again }: Time): number {
  const expected = (roundMillis * folds * STEPS_DOWN) / options.learningRate;
  return Math.min(MOST_PACE, Math.max(1, (expected * (1 + again)) / ((until - began) * FIRST_SHARE)));
}

export function faster(candidate: Candidate, pace: number): Candidate {
  if (pace === 1 || !isBoosted(candidate)) return candidate;
  return { ...candidate, options: { ...candidate.options, learningRate: Math.min(MOST_RATE, candidate.options.learningRate * pace) } };
}
