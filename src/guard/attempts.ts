import { isIPv6 } from 'node:net';
import type { Millis } from '#core';

const freeTries = 10;
const longestWait: Millis = 60_000;
const forgetAfter: Millis = 600_000;
const maxSources = 10_000;

interface Source {
  failures: number;
  last: Millis;
}

/**
 * Wrong tokens, counted by the address they come from: ten are free, then each doubles the wait, from 1 s up to a minute; ten minutes
 * without a failure forget them. At most 10,000 addresses are remembered; the one that failed longest ago makes room.
 */
export class Attempts {
  readonly #clock: () => Millis;
  /** In order of the last failure, oldest first. */
  readonly #sources = new Map<string, Source>();

  constructor(clock: () => Millis) {
    this.#clock = clock;
  }

  mayTry(from: string): boolean {
    const source = this.#sources.get(sourceOf(from));
    if (source === undefined || source.failures < freeTries) return true;
    return this.#clock() >= source.last + Math.min(longestWait, 1_000 * 2 ** (source.failures - freeTries));
  }

  failed(from: string): void {
    const key = sourceOf(from);
    const now = this.#clock();
    const before = this.#sources.get(key);
    const failures = before && now < before.last + forgetAfter ? before.failures + 1 : 1;
    this.#sources.delete(key);
    this.#sources.set(key, { failures, last: now });
    if (this.#sources.size > maxSources) this.#sources.delete(this.#sources.keys().next().value!);
  }
}

/** An IPv6 host has a whole /64 to itself (RFC 4291 §2.5.4), so that counts as one address. */
function sourceOf(from: string): string {
  if (!isIPv6(from)) return from.slice(0, 64);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(from);
  if (mapped) return mapped[1]!;
  const [head = '', tail] = from.toLowerCase().split('%')[0]!.split('::');
  const start = head === '' ? [] : head.split(':');
  const end = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - start.length - end.length)).fill('0');
  const groups = [...start, ...zeros, ...end].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
