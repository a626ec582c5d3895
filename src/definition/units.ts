import type { Bytes, Millis } from '#core';

const millis: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Decimal (MB) and binary (MiB) units, as the warehouse reads them. */
const bytes: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);

/** "24h", "90s", "1.5d" as milliseconds; null for anything else. */
export function parseDuration(text: string): Millis | null {
  return measure(text, millis);
}

/** "512MB", "1GiB", "65536" as bytes; null for anything else. */
export function parseBytes(text: string): Bytes | null {
  return measure(/^\d+$/.test(text) ? `${text}B` : text, bytes);
}

function measure(text: string, units: ReadonlyMap<string, number>): number | null {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/.exec(text) ?? [];
  const factor = units.get(unit ?? '');
  if (amount === undefined || factor === undefined) return null;
  const value = Math.round(Number(amount) * factor);
  return Number.isSafeInteger(value) ? value : null;
}
