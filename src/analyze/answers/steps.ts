import { fail } from '#core';
import type { Events } from './events.ts';
import { literal, quote } from './tables.ts';

/** One step as a user writes it: `event` or `event:property=value`. */
export interface Step {
  readonly name: string;
  readonly event: string;
  /** Over `used`. */
  readonly condition: string;
  readonly columns: readonly string[];
}

/** A caveat where none of the events that count is the one that was asked for: mistyped, or not collected. */
export const unseen = ({ name, condition }: Step): string =>
  `SELECT 8, 'caveat: no event is ' || ${literal(name)}, '0' FROM used WHERE ${condition} HAVING count(*) = 0`;

/** Events that no session can be told of are of none: they are not one session together. */
export const sessionless = `SELECT 2, 'set aside: events without a session', CAST(count(*) AS VARCHAR) FROM used WHERE session IS NULL HAVING count(*) > 0`;

/** Steps that no event is, in one pass over the events. */
export function unseenAmong(steps: readonly Step[]): string[] {
  const each = [...new Map(steps.map((step) => [step.name, step])).values()];
  if (each.length === 0) return [];
  const found = each.map(({ condition }) => `count(*) FILTER (WHERE ${condition})`);
  return [
    `SELECT 8, 'caveat: no event is ' || step, '0' FROM (SELECT unnest([${each.map(({ name }) => literal(name)).join(', ')}]) AS step, unnest([${found.join(', ')}]) AS n FROM used) WHERE n = 0`,
  ];
}

/** Errors: ANSWER_OPTION, ANSWER_COLUMN. */
export function readStep(answer: string, option: string, text: string, { table }: Events): Step {
  const match = /^([^:=]+?)(?::([A-Za-z_][\w]*)=(.*))?$/s.exec(text);
  if (match === null)
    return fail('ANSWER_OPTION', { answer, option, problem: `"${text.slice(0, 100)}" is neither event nor event:property=value` });
  const [, event, property, value] = match;
  const is = `event = ${literal(event!.trim())}`;
  if (property === undefined) return { name: text, event: event!.trim(), condition: is, columns: [] };
  if (table.column(property) === null)
    fail('ANSWER_COLUMN', { table: table.name, what: `the step "${text.slice(0, 100)}"`, names: property });
  return {
    name: text,
    event: event!.trim(),
    condition: `${is} AND CAST(${quote(property.toLowerCase())} AS VARCHAR) = ${literal(value!)}`,
    columns: [property],
  };
}
