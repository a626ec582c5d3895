import type { ChartSpec, Data } from '#visualize';
import type { Speech } from '../words/index.tsx';

/** One of several pictures of a report beside each other: what it shows, what is to be read from it, and the picture. */
export interface Plot {
  readonly title: string;
  readonly says: string;
  readonly spec: ChartSpec;
  readonly data: Data;
}

export type Words = Pick<Speech, 't' | 'number' | 'share'>;

/** Columns of numbers under the names that the picture shows. */
export const columnsOf = (...names: readonly string[]) => names.map((name) => ({ name, type: 'DOUBLE' }));

export const short = (value: number) => Number(value.toPrecision(4));
