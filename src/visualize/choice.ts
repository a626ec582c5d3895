/** What is chosen above a dashboard, and the values that its statements read. */
import type { TimeRange } from './dashboard.ts';

export interface Choice {
  readonly range: TimeRange | 'custom';
  /** ISO days, both included; only for custom. */
  readonly from: string;
  readonly to: string;
  /** By filter; absent for all. */
  readonly filters: Readonly<Record<string, string>>;
}

const dayMs = 86_400_000;
const iso = (at: number) => new Date(at).toISOString().slice(0, 10);

/** The values of a statement's parameters: $from is the first day, $to the day after the last; a filter without a choice is NULL. `today` is an ISO day. */
export function valuesOf(choice: Choice, names: readonly string[], today: string): Record<string, string | null> {
  const { from, to } = daysOf(choice, today);
  return Object.fromEntries(
    names.map((name) => [
      name,
      name === 'from' ? from : name === 'to' ? to : Object.hasOwn(choice.filters, name) ? choice.filters[name]! : null,
    ]),
  );
}

/** The period of the same length that ends where the chosen one begins, and how many ms lie between the two; null for all time. */
export function previousOf(choice: Choice, today: string): { choice: Choice; shift: number } | null {
  if (choice.range === 'all') return null;
  const { from, to } = daysOf(choice, today);
  const shift = Date.parse(to) - Date.parse(from);
  return {
    choice: { ...choice, range: 'custom', from: iso(Date.parse(from) - shift), to: iso(Date.parse(from) - dayMs) },
    shift,
  };
}

function daysOf({ range, from, to }: Choice, today: string): { from: string; to: string } {
  if (range === 'custom') return { from, to: iso(Date.parse(to) + dayMs) };
  if (range === 'all') return { from: '0001-01-01', to: '9999-12-31' };
  const tomorrow = Date.parse(today) + dayMs;
  return { from: iso(tomorrow - Number.parseInt(range, 10) * dayMs), to: iso(tomorrow) };
}
