/**
 * Which records of a topic were delivered lately, as Bloom filters of hashes of id and event time: what no filter knows is new, and the
 * engine need not look for it in the table, which is a third to a half of what a delivery costs. What one seems to know is looked up.
 */
import type { Bytes } from '#core';
import type { Stamps } from './lines.ts';

export interface Recent {
  /** Of all rows received from then on it can tell, in microseconds. */
  since(): number;
  /** Whether none of these was delivered since then. */
  isNews(stamps: Stamps): boolean;
  add(stamps: Stamps): void;
}

/** What all topics' filters may take together. */
export interface RecentRoom {
  free: Bytes;
}

export const newRecentRoom = (): RecentRoom => ({ free: 24_000_000 });

interface Filter {
  readonly bits: Uint32Array;
  readonly capacity: number;
  count: number;
  /** The first and the last receipt among its rows. */
  from: number;
  until: number;
}

const FEWEST = 1024;
const MOST = 2 ** 20;
/** At 32 bits and 10 probes a key, one in a million that is new seems known. */
const BITS_PER_KEY = 32;
const PROBES = 10;
/** A record that came within a minute of its time can only be a repetition of one that came within two minutes before it. */
const KEPT = 150_000_000;

/** `before`: when the last row was received that stands in the table already; null where there is none. */
export function newRecent(room: RecentRoom, before: number | null): Recent {
  let since = before === null ? Number.NEGATIVE_INFINITY : before + 1;
  /** The newest last. */
  let filters: Filter[] = [];

  function drop(filter: Filter): void {
    room.free += filter.bits.byteLength;
    if (filter.count > 0) since = Math.max(since, filter.until + 1);
  }

  /** One with room: where rows come fast the next one is larger, and where there is no memory for it, all is begun anew. */
  function next(received: number): Filter {
    const last = filters.at(-1);
    const old = filters.filter(({ until }) => until < received - KEPT);
    filters = filters.filter((filter) => !old.includes(filter));
    old.forEach(drop);
    const fast = last !== undefined && last.until - last.from < KEPT / 4;
    let capacity = last === undefined ? FEWEST : Math.min(MOST, fast ? last.capacity * 2 : last.capacity);
    if ((capacity * BITS_PER_KEY) / 8 > room.free) {
      filters.forEach(drop);
      filters = [];
      capacity = FEWEST;
    }
    const bits = new Uint32Array((capacity * BITS_PER_KEY) / 32);
    room.free -= bits.byteLength;
    const filter = { bits, capacity, count: 0, from: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
    filters.push(filter);
    return filter;
  }

  return {
    since: () => since,
    isNews({ keys }) {
      for (let k = 0; k < keys.length; k += 2) for (const filter of filters) if (holds(filter.bits, keys[k]!, keys[k + 1]!)) return false;
      return true;
    },
    add({ keys, received, until }) {
      let filter = filters.at(-1);
      for (let k = 0; k < keys.length; k += 2) {
        if (filter === undefined || filter.count === filter.capacity) filter = next(received!);
        put(filter.bits, keys[k]!, keys[k + 1]!);
        filter.count++;
        filter.from = Math.min(filter.from, received!);
        filter.until = Math.max(filter.until, until!);
      }
    },
  };
}

function put(bits: Uint32Array, a: number, b: number): void {
  const mask = bits.length * 32 - 1;
  for (let probe = 0, at = a; probe < PROBES; probe++, at = (at + b) | 0) bits[(at & mask) >>> 5]! |= 1 << (at & 31);
}

function holds(bits: Uint32Array, a: number, b: number): boolean {
  const mask = bits.length * 32 - 1;
  for (let probe = 0, at = a; probe < PROBES; probe++, at = (at + b) | 0)
    if ((bits[(at & mask) >>> 5]! & (1 << (at & 31))) === 0) return false;
  return true;
}
