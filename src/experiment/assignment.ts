import { sha256 } from '#core';

/** What assignment depends on, and nothing else: the same unit always sees the same variant, on any machine, without a store. */
export interface Split {
  /** Another salt draws anew: experiments with different salts are independent of each other. */
  readonly salt: string;
  /** The share of all units that take part, in (0, 1]. More traffic later moves nobody who is in it. */
  readonly traffic: number;
  /** Shares above 0 that sum to 1; their order counts. */
  readonly variants: readonly { readonly name: string; readonly share: number }[];
}

/**
 * The unit's place in [0, 1): the first 13 hexadecimal digits of SHA-256(salt ":" unit) in UTF-8, over 2^52. In SQL:
 * `CAST('0x' || left(sha256(salt || ':' || unit), 13) AS BIGINT) / 4503599627370496`. Cost: one block of SHA-256, some microseconds.
 */
export function bucket(salt: string, unit: string): number {
  return Number.parseInt(sha256(`${salt}:${unit}`).slice(0, 13), 16) / 2 ** 52;
}

/** The unit's variant, or null where it is not among the traffic. Who takes part is drawn apart (salt "/traffic") from which variant. */
export function assign({ salt, traffic, variants }: Split, unit: string): string | null {
  if (traffic < 1 && bucket(`${salt}/traffic`, unit) >= traffic) return null;
  const place = bucket(salt, unit);
  let upTo = 0;
  // Rounding may leave the sum of the shares a breath below 1: the last variant has the rest.
  return (variants.find(({ share }) => place < (upTo += share)) ?? variants.at(-1)!).name;
}
