/**
 * Where in the log: `FILE:OFFSET@SERVER#GTIDS`. A file's name and an offset mean something on that server alone; the set of transactions
 * means the same on all that replicate from each other. Positions of the first version have neither of the two.
 */
import { isWithin } from './gtid.ts';

export interface Place {
  readonly file: string;
  readonly offset: number;
  /** What tells this server from all others; null in a position of the first version. */
  readonly server: string | null;
  /** All transactions up to here by name; null where it is not known or they have none. */
  readonly gtids: string | null;
}

/** A place in the log of the one server that is meant. */
export type Spot = Pick<Place, 'file' | 'offset'>;

const POSITION = /^(.+\.(\d{6,})):(\d+)(?:@([\w+/=-]+)(?:#([\w:,-]*))?)?$/;

export const isPosition = (text: string): boolean => POSITION.test(text);

export function placeOf(position: string): Place {
  const [, file, , offset, server = null, gtids = null] = POSITION.exec(position)!;
  return { file: file!, offset: Number(offset), server, gtids };
}

export function positionOf({ file, offset, server, gtids }: Place): string {
  return `${file}:${offset}${server === null ? '' : `@${server}${gtids === null ? '' : `#${gtids}`}`}`;
}

/**
 * Is `a` before `b`? Of a transaction that begins at `a`, whose set is its own name: is it in what was committed up to `b`? False where
 * nothing tells: what comes again is written again, by key, and what is left out would be lost.
 */
export function isBefore(a: string, b: string): boolean {
  const [placeA, placeB] = [placeOf(a), placeOf(b)];
  // What this version has written was written later.
  if (placeA.server === null && placeB.server !== null) return true;
  // A position of the first version is followed on the server that it is of.
  if (placeA.server === placeB.server || placeB.server === null) return isEarlier(placeA, placeB);
  return placeA.gtids !== null && placeA.gtids !== '' && placeB.gtids !== null && isWithin(placeA.gtids, placeB.gtids);
}

export function isEarlier(a: Spot, b: Spot): boolean {
  return (numberOf(a) - numberOf(b) || a.offset - b.offset) < 0;
}

function numberOf({ file }: Spot): number {
  return Number(/\d+$/.exec(file)![0]);
}
