/** What a table's figures say about its quality. Pure: the figures are those of the profile. */
import type { Column } from '#core';

export interface Figures {
  readonly column: Column;
  /** Of all rows that were counted. */
  readonly rows: number;
  readonly filled: number;
  readonly distinct: number;
  /** As text. */
  readonly least: string | null;
  readonly most: string | null;
  /** Filled cells that read as numbers, of a column of text. */
  readonly numbers: number;
}

export interface Finding {
  readonly kind: 'no_rows' | 'empty' | 'half_empty' | 'one_value' | 'repeated_id' | 'numbers_as_text' | 'future' | 'ancient';
  readonly column: string | null;
  /** How many cells, or null where the number says nothing. */
  readonly count: number | null;
}

const isTime = /^(DATE|TIMESTAMP)/;

/** Digits that name something: called so, with zeros in front, or more of them than a number keeps. Nobody adds them up. */
const isName = (column: string, ...values: readonly (string | null)[]): boolean =>
  /id|code|no|zip|phone/i.test(column) || values.some((value) => value !== null && /^0\d|^\d{16}/.test(value));

/** The gravest first. `today` is an ISO day. */
export function findings(table: readonly Figures[], today: string): Finding[] {
  if (table[0]?.rows === 0) return [{ kind: 'no_rows', column: null, count: null }];
  return table.flatMap(({ column: { name, type }, rows, filled, distinct, least, most, numbers }): Finding[] => {
    const found: Finding[] = [];
    const say = (kind: Finding['kind'], count: number | null = null) => found.push({ kind, column: name, count });
    const own = !name.startsWith('_');
    if (filled === 0) return own ? [{ kind: 'empty', column: name, count: null }] : [];
    if (own && filled < rows / 2) say('half_empty', rows - filled);
    if (own && distinct === 1 && rows > 20) say('one_value');
    // One that is called an id and nearly always differs was meant to.
    if (/^_?id$/i.test(name) && distinct < filled && distinct > filled * 0.9) say('repeated_id', filled - distinct);
    // A few that are none (blanks, a dash) are how a column of numbers became text.
    if (type === 'VARCHAR' && numbers >= filled * 0.95 && filled > 20 && !isName(name, least, most)) say('numbers_as_text', numbers);
    if (isTime.test(type) && most !== null && most.slice(0, 10) > today) say('future');
    if (isTime.test(type) && least !== null && least.slice(0, 10) < '1970-01-02') say('ancient');
    return found;
  });
}
