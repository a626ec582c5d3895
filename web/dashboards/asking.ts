/** What a dashboard's tiles ask, from the choice above them. */
import { type Choice, parametersOf, previousOf, asked as statementOf, type Tile, type Values, valuesOf } from '#visualize';
import type { QueryRequest } from '../../src/server/api.ts';
import { askAhead } from '../api.ts';
import { today } from '../zone.ts';
import type { Seen } from './parameters.ts';

/** More rows than this say nothing on a tile, which tells that there were more; Ask shows all. */
const mostRows = 50_000;

export const requestOf = (sql: string, values: Values): QueryRequest => ({ ...statementOf(sql, values), limits: { rows: mostRows } });

/** The values for the statement, and for the period before where one is compared with: only a statement that reads $from has one. */
export function asked(
  sql: string,
  choice: Seen,
): { values: Record<string, string | null>; before: { values: Record<string, string | null>; shift: number } | null } {
  const names = parametersOf(sql);
  const day = today();
  const past = choice.compare && names.includes('from') ? previousOf(choice as Choice, day) : null;
  return {
    values: valuesOf(choice, names, day),
    before: past === null ? null : { values: valuesOf(past.choice, names, day), shift: past.shift },
  };
}

/** Asks what the tiles will ask as soon as they stand. */
export function askTilesAhead(tiles: readonly Tile[], choice: Seen): void {
  for (const { sql } of tiles) {
    if (sql === null) continue;
    const { values, before } = asked(sql, choice);
    askAhead(requestOf(sql, values));
    if (before !== null) askAhead(requestOf(sql, before.values));
  }
}
