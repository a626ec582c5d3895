import type { ChartSpec, Data } from '#visualize';
import type { Word } from '../words/en.ts';

/** One of several pictures of a report beside each other: what it shows, what is to be read from it, and the picture. */
export interface Plot {
  readonly title: string;
  readonly says: string;
  readonly spec: ChartSpec;
  readonly data: Data;
}

/** The parts of a reader's language that a plot is told in. */
export interface Words {
  t(word: Word, values?: Readonly<Record<string, string | number>>): string;
  number(value: number): string;
  share(value: number): string;
}

/** An axis of shares, alike on all pictures. */
export const shares = { from: 0, to: 1, step: 0.25 };

/** Columns of numbers under the names that the picture shows. */
export const columnsOf = (...names: readonly string[]) => names.map((name) => ({ name, type: 'DOUBLE' }));

export const short = (value: number) => Number(value.toPrecision(4));
