/** What is chosen above a dashboard, and the values that its statements read. */
import { parametersOf, type TimeRange } from './dashboard.ts';

export interface Choice {
  readonly range: TimeRange | 'custom';
  /** ISO days, both included; only for custom. */
  readonly from: string;
  readonly to: string;
  /** By filter; absent for all. */
  readonly filters: Readonly<Record<string, string>>;
}

export type Values = Readonly<Record<string, string | null>>;

const dayMs = 86_400_000;
const ever = { from: '0001-01-01', to: '9999-12-31' };
const iso = (at: number) => new Date(at).toISOString().slice(0, 10);

/**
 * The values of a statement's parameters: $from is the first day, $last the last and $to the day after; a filter without a choice is NULL.
 * `today` is an ISO day.
 */
export function valuesOf(choice: Choice, names: readonly string[], today: string): Record<string, string | null> {
  const { from, to } = daysOf(choice, today);
  const last = to === ever.to ? to : iso(Date.parse(to) - dayMs);
  const own: Readonly<Record<string, string>> = { from, to, last };
  return Object.fromEntries(
    names.map((name) => [name, Object.hasOwn(own, name) ? own[name]! : Object.hasOwn(choice.filters, name) ? choice.filters[name]! : null]),
  );
}

/** Whether a statement may call an answer: enough to ask what it stands on, which says when there is none. */
export const callsAnswers = (sql: string): boolean => /\banswers\s*\.\s*\w+\s*\(/i.test(sql);

/**
 * A statement as it is asked. Calls of answers take literals only, so that there a value stands in its parameter's place; an option
 * without a value, or with an end of all time, is left out.
 */
export function asked(sql: string, values: Values): { sql: string; params: Values } {
  const filled = sql.replace(
    /\banswers\s*\.\s*\w+\s*\(((?:'(?:[^']|'')*'|"(?:[^"]|"")*"|[^()'"])*)\)/gi,
    (call: string, inside: string) => call.slice(0, -inside.length - 1) + withLiterals(inside, values) + call.slice(-1),
  );
  const left = new Set(parametersOf(filled));
  return { sql: filled, params: Object.fromEntries(Object.entries(values).filter(([name]) => left.has(name))) };
}

function withLiterals(inside: string, values: Values): string {
  const options = inside.match(/(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|[^,'"])+/g) ?? [];
  return options
    .flatMap((option) => {
      const [, begin, name] = /^([^'"$]*(?:"[^"]*"[^'"$]*)?:=\s*|[^'"$]*=>\s*)\$([A-Za-z_]\w*)\s*$/.exec(option) ?? [];
      if (name === undefined || !Object.hasOwn(values, name)) return [option];
      const value = values[name];
      return value == null || value === ever.from || value === ever.to ? [] : [`${begin}'${value.replaceAll("'", "''")}'`];
    })
    .join(',')
    .trim();
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
  if (range === 'all') return ever;
  const tomorrow = Date.parse(today) + dayMs;
  return { from: iso(tomorrow - Number.parseInt(range, 10) * dayMs), to: iso(tomorrow) };
}
