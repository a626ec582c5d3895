import type { Dashboard, TimeRange } from '#visualize';

/** What is chosen above a dashboard: it stands in the address, so that a link shows the same. */
export interface Choice {
  readonly range: TimeRange | 'custom';
  /** ISO days, both included; only for custom. */
  readonly from: string;
  readonly to: string;
  /** By filter; absent for all. */
  readonly filters: Readonly<Record<string, string>>;
}

const day = /^\d{4}-\d{2}-\d{2}$/;

export function readChoice({ range, filters }: Dashboard, search: string, ranges: readonly TimeRange[]): Choice {
  const asked = new URLSearchParams(search);
  const [from, to] = [asked.get('from') ?? '', asked.get('to') ?? ''];
  const chosen = ranges.find((each) => each === asked.get('range'));
  const custom = asked.get('range') === 'custom' && day.test(from) && day.test(to);
  const values = filters.flatMap(({ name }) => (asked.has(`f.${name}`) ? [[name, asked.get(`f.${name}`)!]] : []));
  return {
    range: custom ? 'custom' : (chosen ?? range),
    from: custom ? from : '',
    to: custom ? to : '',
    filters: Object.fromEntries(values),
  };
}

export function writeChoice(choice: Choice): string {
  const words = new URLSearchParams({ range: choice.range });
  if (choice.range === 'custom') {
    words.set('from', choice.from);
    words.set('to', choice.to);
  }
  for (const [name, value] of Object.entries(choice.filters)) words.set(`f.${name}`, value);
  return `?${words}`;
}

/** The values of a tile's parameters: $from is the first day, $to the day after the last; a filter without a choice is NULL. */
export function valuesOf(choice: Choice, names: readonly string[], today: Date): Record<string, string | null> {
  const { from, to } = daysOf(choice, today);
  return Object.fromEntries(names.map((name) => [name, name === 'from' ? from : name === 'to' ? to : (choice.filters[name] ?? null)]));
}

function daysOf({ range, from, to }: Choice, today: Date): { from: string; to: string } {
  if (range === 'custom') return { from, to: iso(Date.parse(`${to}T00:00:00Z`) + dayMs) };
  if (range === 'all') return { from: '0001-01-01', to: '9999-12-31' };
  const tomorrow = Date.UTC(today.getFullYear(), today.getMonth(), today.getDate()) + dayMs;
  return { from: iso(tomorrow - Number.parseInt(range, 10) * dayMs), to: iso(tomorrow) };
}

const dayMs = 86_400_000;
const iso = (at: number) => new Date(at).toISOString().slice(0, 10);
