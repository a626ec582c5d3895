import { appendFileSync, chmodSync, closeSync, openSync, readSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes, Millis } from '#core';
import { codeOf } from '#files';

/** One decision that matters: a login, a change of tokens, a refusal, a change of tables or definitions, a replay. */
export interface AuditEntry {
  /** The principal's name, or what is known of one that has none. */
  readonly who: string;
  readonly action: string;
  readonly on?: string | undefined;
  readonly outcome: 'done' | 'refused' | 'failed';
  /** The address it came from. */
  readonly from?: string | undefined;
}

const fileSize: Bytes = 10 * 2 ** 20;
const oldFiles = 4;
/** Refusals cost an attacker nothing: beyond this many an hour they are only counted, so that they neither fill the disk nor push out the rest. */
const refusalsPerWindow = 100;
const window: Millis = 3_600_000;
const maxText = 100;

/**
 * `audit.log` as JSON lines, and `audit.log.1` … `.4` before it: 50 MiB at most, readable by nobody else. A line that can't be written
 * (a full disk) changes no decision: it is counted, and the count is written as soon as a line can be.
 */
export class Audit {
  readonly #path: string;
  readonly #clock: () => Millis;
  #size: Bytes;
  /** The last line has no end: a power cut, or a disk that was full within it. The next one begins on a line of its own. */
  #torn: boolean;
  #windowStart: Millis = Number.NEGATIVE_INFINITY;
  #refusals = 0;
  #uncounted = { refusals: 0, lost: 0 };

  constructor(dataPath: string, clock: () => Millis) {
    this.#path = join(dataPath, 'audit.log');
    this.#clock = clock;
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    this.#size = stat?.size ?? 0;
    if (stat) chmodSync(this.#path, 0o600);
    this.#torn = this.#size > 0 && !endsWhole(this.#path, this.#size);
  }

  add(entry: AuditEntry): void {
    this.#turnWindow();
    if (entry.outcome === 'refused' && this.#refusals++ >= refusalsPerWindow) {
      this.#uncounted.refusals++;
      return;
    }
    this.#write({
      who: clean(entry.who),
      action: clean(entry.action),
      on: clean(entry.on),
      outcome: entry.outcome,
      from: clean(entry.from),
    });
  }

  /** Writes what was only counted. */
  close(): void {
    this.#tellCounts();
  }

  #turnWindow(): void {
    if (this.#clock() < this.#windowStart + window) return;
    this.#windowStart = this.#clock();
    this.#refusals = 0;
    this.#tellCounts();
  }

  #tellCounts(): void {
    const { refusals, lost } = this.#uncounted;
    if (refusals + lost === 0) return;
    this.#uncounted = { refusals: 0, lost: 0 };
    if (!this.#append({ who: 'millrace', action: 'audit', outcome: 'done', refusals_not_listed: refusals, entries_lost: lost })) {
      this.#uncounted = { refusals, lost };
    }
  }

  #write(line: Record<string, unknown>): void {
    if (this.#uncounted.lost > 0) this.#tellCounts();
    if (!this.#append(line)) this.#uncounted.lost++;
  }

  #append(line: Record<string, unknown>): boolean {
    const json = `${JSON.stringify({ at: new Date(this.#clock()).toISOString(), ...line })}\n`;
    try {
      if (this.#size >= fileSize) this.#rotate();
      const text = this.#torn ? `\n${json}` : json;
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#size += Buffer.byteLength(text);
      this.#torn = false;
      return true;
    } catch (error) {
      codeOf(error);
      this.#cutBack();
      return false;
    }
  }

  /** Takes away what a full disk took of a line. */
  #cutBack(): void {
    try {
      if (statSync(this.#path).size > this.#size) truncateSync(this.#path, this.#size);
    } catch (error) {
      codeOf(error);
      this.#torn = this.#size > 0;
    }
  }

  #rotate(): void {
    rmSync(`${this.#path}.${oldFiles}`, { force: true });
    for (let n = oldFiles - 1; n >= 0; n--) {
      const from = n === 0 ? this.#path : `${this.#path}.${n}`;
      if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${this.#path}.${n + 1}`);
    }
    this.#size = 0;
    this.#torn = false;
  }
}

function endsWhole(path: string, size: Bytes): boolean {
  const handle = openSync(path, 'r');
  try {
    const last = Buffer.alloc(1);
    return readSync(handle, last, 0, 1, size - 1) === 1 && last[0] === 0x0a;
  } finally {
    closeSync(handle);
  }
}

/** Short, and with anything that looks like a token taken out, whatever a caller put in. */
function clean(text: string | undefined): string | undefined {
  return text
    ?.slice(0, 1_000)
    .replaceAll(/mr_[A-Za-z0-9_-]{20,}/g, 'mr_…')
    .slice(0, maxText);
}
