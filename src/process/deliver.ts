/**
 * Deliver: what is durable in the log goes into the warehouse. Topics with news come in turn, as many in one transaction as a round has
 * room for, and all of them at most every `TICK` ms. A slice that the engine refuses is bisected, and the culprits are quarantined in
 * the transaction that takes the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { QUARANTINE, readSlice } from '#collect';
import type { Millis, Position, Topic } from '#core';
import { type Delivered, type Delivery, isFatal, isMachineFault, isOutOfMemory, type Store } from '#store';

const TICK: Millis = 100;
/** JSON takes about twelve times its size while it is read, so a round is small; behind, rounds follow each other without a pause. */
const ROUND_BYTES = 4 * 1024 * 1024;
/** Each takes a few milliseconds however little there is, and blocks of memory for its columns. Where more have news, each has gathered more when its turn comes. */
const ROUND_TOPICS = 32;
const SMALLEST_SLICE = 64 * 1024;
const RETRY: Millis = 500;

export interface Delivering {
  /** New watermarks: up to where each topic is durable. */
  news(durable: Readonly<Record<string, Position>>): void;
  /** Resolves when everything known to be durable is in the warehouse, or after `patience`. */
  settle(patience: Millis): Promise<void>;
  stop(): Promise<void>;
}

export function startDelivery(input: {
  store: Store;
  logRoot: string;
  topic: (name: string) => Topic | undefined;
  onDelivered: (delivered: readonly Delivered[]) => void;
  onProblem: (problem: unknown) => void;
}): Delivering {
  const { store, logRoot } = input;
  const durable = new Map<string, Position>();
  let wake: () => void = () => {};
  let stopping = false;
  /** Quartered when the engine runs out of memory, and doubled back with each slice that passes. */
  let roundBytes = ROUND_BYTES;
  /** Topics with news, the one that has waited longest first. */
  const waiting = new Set<string>();

  const lagOf = (topic: string): number => (durable.get(topic) ?? 0) - (store.positions().get(topic) ?? 0);

  /** Takes topics from the line until the round is full. */
  function next(): { names: readonly string[]; deliveries: readonly Delivery[] } {
    const names: string[] = [];
    const deliveries: Delivery[] = [];
    let room = roundBytes;
    for (const name of waiting) {
      if (room <= 0 || names.length === ROUND_TOPICS) break;
      names.push(name);
      const topic = name === QUARANTINE ? quarantineTopic : input.topic(name);
      if (topic === undefined) continue;
      try {
        const slice = readSlice(logRoot, name, store.positions().get(name) ?? 0, durable.get(name)!, room);
        if (slice === null) continue;
        deliveries.push({ topic, from: slice.from, to: slice.to, lines: slice.lines });
        room -= slice.to - slice.from;
      } catch (cause) {
        // A damaged log holds up its own topic only.
        input.onProblem(cause);
      }
    }
    return { names, deliveries };
  }

  /** They had their turn; those with more stand behind all others. */
  function turnEnds(names: readonly string[]): void {
    for (const name of names) {
      waiting.delete(name);
      if (lagOf(name) > 0) waiting.add(name);
    }
  }

  async function deliverAll(deliveries: readonly Delivery[]): Promise<readonly Delivered[]> {
    try {
      return await store.deliver(deliveries);
    } catch (cause) {
      if (isFatal(cause)) throw cause;
      if (isOutOfMemory(cause) && roundBytes > SMALLEST_SLICE) throw cause;
      if (deliveries.length > 1) {
        const each: Delivered[] = [];
        for (const delivery of deliveries) each.push(...(await deliverAll([delivery]).catch(setBack)));
        return each;
      }
      const only = deliveries[0]!;
      if (only.topic.name === QUARANTINE || isMachineFault(cause)) throw cause;
      input.onProblem(cause);
      return await store.deliver([await withoutCulprits(store, only, cause)]);
    }
  }

  /** What holds up one topic holds up no other. */
  function setBack(cause: unknown): readonly Delivered[] {
    if (isOutOfMemory(cause) || isFatal(cause)) throw cause;
    input.onProblem(cause);
    return [];
  }

  async function run(): Promise<void> {
    while (!stopping) {
      if (waiting.size === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const began = performance.now();
      const { names, deliveries } = next();
      const others = waiting.size > names.length;
      let pause: Millis = TICK;
      try {
        const delivered = await deliverAll(deliveries);
        roundBytes = Math.min(ROUND_BYTES, roundBytes * 2);
        if (delivered.length > 0) input.onDelivered(delivered);
        else if (!others) pause = RETRY;
      } catch (cause) {
        input.onProblem(cause);
        if (isOutOfMemory(cause)) roundBytes = Math.max(SMALLEST_SLICE, roundBytes / 4);
        pause = RETRY;
      }
      turnEnds(names);
      const behind = others || [...waiting].some((name) => lagOf(name) > ROUND_BYTES / 4);
      if (!behind || pause === RETRY) await sleep(Math.max(0, pause - (performance.now() - began)));
    }
  }

  const running = run();
  return {
    news(watermarks) {
      for (const [topic, to] of Object.entries(watermarks)) {
        durable.set(topic, to);
        if (lagOf(topic) > 0) waiting.add(topic);
      }
      wake();
    },
    async settle(patience) {
      const deadline = performance.now() + patience;
      while (waiting.size > 0 && performance.now() < deadline) await sleep(20);
    },
    async stop() {
      stopping = true;
      wake();
      await running;
    },
  };
}

/**
 * The same slice with the lines that the engine can't read set aside. If it refuses even nothing at all, the fault is not the
 * records' and no one of them is blamed; nor is a small one for memory that others hold: then `cause` is thrown, and all is tried again.
 */
async function withoutCulprits(store: Store, delivery: Delivery, cause: unknown): Promise<Delivery> {
  const empty = await store.probe({ ...delivery, lines: [] });
  if (empty !== null) return delivery;
  const lines = delivery.lines.flatMap(splitLines);
  const refused: { line: Buffer; reason: string }[] = [];
  const good: Buffer[] = [];
  const search = async (some: readonly Buffer[]): Promise<void> => {
    const reason = await store.probe({ ...delivery, lines: some });
    if (reason === null) good.push(...some);
    else if (some.length === 1) {
      if (isOutOfMemory(cause) && some[0]!.length <= SMALLEST_SLICE) throw cause;
      refused.push({ line: some[0]!, reason });
    } else {
      const half = Math.ceil(some.length / 2);
      await search(some.slice(0, half));
      await search(some.slice(half));
    }
  };
  await search(lines);
  return { ...delivery, lines: good, refused };
}

function splitLines(group: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < group.length; ) {
    const end = group.indexOf(0x0a, at) + 1;
    lines.push(group.subarray(at, end));
    at = end;
  }
  return lines;
}

const quarantineTopic: Topic = {
  name: QUARANTINE,
  title: 'Rejected records',
  fields: [],
  id: null,
  time: null,
  type: null,
  drift: 'discard',
  dedupeWindow: 0,
};
