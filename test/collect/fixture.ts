import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Files, type Intake, type Log, openIntake, openLog, type Sending, type Taken } from '#collect';
import type { MillraceError, Topic } from '#core';
import { parseTopic } from '#workspace';

export function folder(t: { after: TestContext['after'] }): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const topicOf = (name: string, yaml: string): Topic => parseTopic(name, yaml, `topics/${name}.yaml`);

/** 2026-03-01T00:00:00Z in µs: the clock of tests. */
export const NOW = Date.UTC(2026, 2, 1) * 1000;

export const LIMITS = { recordBytes: 1 << 20, batchRecords: 10_000, depth: 64 };

export interface Collecting {
  readonly path: string;
  readonly log: Log;
  readonly intake: Intake;
  /** Resolves when the outcome is known: what the client would be told. */
  send(topic: Topic, body: Buffer | string, sending?: Partial<Sending>): Promise<{ error: MillraceError | null; taken: Taken }>;
}

/** Log and intake on a folder of their own. */
export function collecting(
  t: TestContext,
  given: {
    files?: Files;
    columns?: (topic: string) => ReadonlySet<string>;
    limits?: Partial<typeof LIMITS>;
    timeZone?: string;
    path?: string;
    now?: () => number;
    plain?: null;
  } = {},
): Collecting {
  const path = given.path ?? folder(t);
  const log = openLog(path, given.files === undefined ? {} : { files: given.files });
  const intake = openIntake({
    log,
    limits: { ...LIMITS, ...given.limits },
    timeZone: given.timeZone ?? 'UTC',
    columns: given.columns ?? (() => new Set()),
    now: given.now ?? (() => NOW),
    ...(given.plain === null && { plain: null }),
  });
  return {
    path,
    log,
    intake,
    send(topic, body, sending = {}) {
      return new Promise((resolve) => {
        const whole: Sending = { sender: 'test', idempotencyKey: null, ...sending };
        intake.take(topic, Buffer.from(body), whole, (error, taken) => resolve({ error, taken }));
      });
    },
  };
}

/** One line of the log as its parts. */
export interface Line {
  readonly position: number;
  readonly received: string;
  readonly time: string;
  readonly id: string;
  readonly flags: number;
  readonly exact: string;
  readonly json: string;
}

export function linesOf(groups: readonly Buffer[]): Line[] {
  return Buffer.concat(groups)
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [position, received, time, id, flags, exact, ...json] = line.split('\t');
      return {
        position: Number(position),
        received: received!,
        time: time!,
        id: id!,
        flags: Number(flags),
        exact: exact!,
        json: json.join('\t'),
      };
    });
}
