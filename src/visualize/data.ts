import type { Column } from '#core';

/** A result as POST /v1/query answers it: cells are JSON values; a number with more digits than a double keeps is text. */
export interface Data {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly unknown[])[];
  /** Whether there were more rows than were asked for. */
  readonly truncated?: boolean;
}

/** What a column can be on a picture. `ordinal`: numbers that name steps (an hour, a week, a rank) when nothing else does. */
export type Role = 'time' | 'category' | 'measure' | 'ordinal' | 'nested';

const measures = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL)/;
const instants = /^(DATE|TIMESTAMP)/;
const categories = /^(VARCHAR|BOOLEAN|UUID|ENUM|TIME)/;

/** The part that each column can play. Costs one look at the first column's values when all columns are numbers. */
export function rolesOf({ columns, rows }: Data): readonly Role[] {
  const roles = columns.map(({ name, type }): Role => {
    if (instants.test(type)) return 'time';
    if (measures.test(type)) return /(^|_)id$/i.test(name) ? 'category' : 'measure';
    return categories.test(type) ? 'category' : 'nested';
  });
  const allMeasures = roles.length > 1 && roles.every((role) => role === 'measure');
  return allMeasures && ascends(rows) ? ['ordinal', ...roles.slice(1)] : roles;
}

function ascends(rows: Data['rows']): boolean {
  return rows.length > 1 && rows.every((row, at) => at === 0 || number(row[0])! > number(rows[at - 1]![0])!);
}

/** Outside of these the engine's own arithmetic on axes overflows, or rounds its steps to nothing. */
const [smallest, largest] = [1e-15, 1e100];

/** null for NULL, for what is no number, and for what no axis can hold. */
export function number(cell: unknown): number | null {
  const value = typeof cell === 'string' && cell.trim() !== '' ? Number(cell) : cell;
  if (typeof value !== 'number' || !(Math.abs(value) <= largest)) return null;
  return Math.abs(value) < smallest ? 0 : value;
}

/** Milliseconds since 1970; a date is its start in UTC. null where it is none. */
export function instant(cell: unknown): number | null {
  if (typeof cell !== 'string') return null;
  const at = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(cell) ? `${cell}T00:00:00Z` : /[Z+]|-\d{2}:\d{2}$/.test(cell) ? cell : `${cell}Z`);
  return Number.isNaN(at) ? null : at;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** What a zone's clock showed at a moment, as the ms at which UTC's shows the same. */
export function wallClock(at: number, zone: string | undefined): number {
  if (zone === undefined || zone === 'UTC') return at;
  const clock = clocks.get(zone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
  clocks.set(zone, clock);
  const seconds = Date.parse(`${clock.format(at).replace(' ', 'T')}Z`);
  // Of years with other than four digits the clock's words are no ISO date.
  return Number.isNaN(seconds) ? at : seconds + (((at % 1000) + 1000) % 1000);
}

export function label(cell: unknown): string {
  if (cell === null || cell === undefined) return '∅';
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
}
