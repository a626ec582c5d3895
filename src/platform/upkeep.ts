import { statfs } from 'node:fs/promises';
import { keepUp } from '#collect';
import { asMillraceError, type Bytes, type Millis, MillraceError } from '#core';
import type { Flow } from './flow.ts';
import type { WarehouseClient } from './warehouse-client.ts';

const DISK_EVERY: Millis = 1000;
const LOG_EVERY: Millis = 60_000;
const QUARANTINE_EVERY: Millis = 3_600_000;

export interface Upkeep {
  /** Why no record may be taken: too little room on the disk; null while there is enough. */
  refusal(): MillraceError | null;
  /** Waits for what is under way on the disk: a segment that is being packed takes a second or two. */
  stop(): Promise<void>;
}

/** What is done now and then beside the work: watch the room on the disk, pack and expire the log, expire quarantine. */
export function startUpkeep(input: {
  dataPath: string;
  logRoot: string;
  reserve: Bytes;
  retention: () => { log: Millis; quarantine: Millis };
  flow: Flow;
  warehouse: WarehouseClient;
  say: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}): Upkeep {
  const { say } = input;
  let refusal: MillraceError | null = null;
  let stopped = false;
  const running = new Set<Promise<void>>();
  const timers: NodeJS.Timeout[] = [];

  async function disk(): Promise<void> {
    const { bavail, bsize } = await statfs(input.dataPath);
    const free = bavail * bsize;
    const short = free < input.reserve;
    if (short !== (refusal !== null)) say(short ? 'error' : 'info', short ? 'disk.full' : 'disk.room', { free, reserve: input.reserve });
    refusal = short ? new MillraceError('DISK_FULL', { free, reserve: input.reserve }) : null;
  }

  async function log(): Promise<void> {
    for (const [topic, { delivered }] of Object.entries(input.flow.topics())) {
      if (stopped) return;
      const { packed, deleted, saved } = await keepUp(input.logRoot, topic, delivered, input.retention().log);
      if (packed + deleted > 0) say('info', 'log.upkeep', { topic, packed, deleted, saved_bytes: saved });
    }
  }

  async function quarantine(): Promise<void> {
    const before = new Date(Date.now() - input.retention().quarantine).toISOString();
    await input.warehouse.json('POST', '/quarantine/expire', { before });
  }

  /** One task never runs twice at a time; its failure is said and tried again next time. */
  function every(period: Millis, task: () => Promise<void>): void {
    let busy = false;
    timers.push(
      setInterval(() => {
        if (busy || stopped) return;
        busy = true;
        const run = task()
          .catch((thrown: unknown) => {
            if (!stopped) say('warn', 'upkeep.failed', { task: task.name, message: asMillraceError(thrown).message });
          })
          .finally(() => {
            busy = false;
            running.delete(run);
          });
        // What the warehouse does may wait there behind a long write; it ends with the warehouse.
        if (task !== quarantine) running.add(run);
      }, period).unref(),
    );
  }

  every(DISK_EVERY, disk);
  every(LOG_EVERY, log);
  every(QUARANTINE_EVERY, quarantine);
  return {
    refusal: () => refusal,
    async stop() {
      stopped = true;
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running);
    },
  };
}
