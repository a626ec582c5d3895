/**
 * Deliver: what is durable in the log goes into the warehouse. Topics with news come in turn, as many in one transaction as a round has
 * room for, and all of them at most every `TICK` ms. A topic that a question waits for comes next, whatever the turn: so a question
 * sees what was acknowledged before it, however many topics there are. A slice that the engine refuses is bisected, and the culprits are
 * quarantined in the transaction that takes the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { QUARANTINE, readSlice } from '#collect';
import { type Millis, MillraceError, type Position, type Topic } from '#core';
import { type Delivered, type Delivery, isFatal, isMachineFault, isOutOfMemory, type Store } from '#store';

const TICK: Millis = 100;
/** JSON takes about twelve times its size while it is read, so a round is small; behind, rounds follow each other without a pause. */
const ROUND_BYTES = 4 * 1024 * 1024;
/** Each takes a few milliseconds however little there is, and blocks of memory for its columns. Where more have news, each has gathered more when its turn comes. */
const ROUND_TOPICS = 32;
/** A round that has taken so long ends, or takes what a question waits for and ends: what is in it is seen at its end only, which waits for each of its tables. */
const ROUND_TIME: Millis = 100;
const SMALLEST_SLICE = 64 * 1024;
const RETRY: Millis = 500;
/** A damaged log does not mend itself. */
const DAMAGED: Millis = 60_000;
/** A question waits for what has been durable for so long; younger records come when they come. */
const STALE: Millis = TICK;

export interface Delivering {
  /** New watermarks: up to where each topic is durable. */
  news(durable: Readonly<Record<string, Position>>): void;
  /**
   * Resolves when what was known to be durable of these topics `STALE` ms ago is in the warehouse: at once, unless deliveries are late.
   * After `patience` at the latest; and a topic that can't be delivered, or of which more waits than one delivery takes, is not waited for.
   */
  reach(topics: readonly string[], patience: Millis): Promise<void>;
  /** Resolves when everything known to be durable and that can be delivered is in the warehouse, or after `patience`. */
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
  let hurry: () => void = () => {};
  let stopping = false;
  /** Quartered when the engine runs out of memory, and doubled back with each slice that passes. */
  let roundBytes = ROUND_BYTES;
  /** Topics with news, the one that has waited longest for its turn first, each with the time since when all of its news have come. */
  const waiting = new Map<string, Millis>();
  const questions = new Set<Waiting>();
  /** Topics whose last turn brought nothing. */
  const stuck = new Set<string>();
  /** Topics whose log could not be read, and when it is tried again. */
  const unread = new Map<string, Millis>();
  /** Questions had their way in the last round: the next one begins with whoever is first in line. */
  let owed = false;

  const positionOf = (topic: string): Position => store.positions().get(topic) ?? 0;
  const lagOf = (topic: string): number => (durable.get(topic) ?? 0) - positionOf(topic);
  const topicOf = (name: string): Topic | undefined => (name === QUARANTINE ? quarantineTopic : input.topic(name));
  /** Nothing can come of a turn: it is not defined, or its log can't be read. It has none then, and nobody waits for it. */
  const isShut = (name: string): boolean => topicOf(name) === undefined || (unread.get(name) ?? 0) > performance.now();
  /** The first of those that the question which has waited longest waits for. */
  const firstWanted = (line: readonly string[]): string | undefined =>
    [...questions].flatMap(({ wanted }) => [...wanted.keys()]).find((name) => line.includes(name));

  /** Takes topics from the line until the round is full: those that a question waits for first, and the round ends behind them. */
  function* take(round: Round): Generator<Delivery> {
    const began = performance.now();
    for (let room = roundBytes; ; ) {
      const line = [...waiting.keys()].filter((name) => !round.names.has(name) && !isShut(name));
      const wanted = round.names.size === 0 && owed ? undefined : firstWanted(line);
      const name = wanted ?? line[0];
      round.left = name !== undefined;
      const now = performance.now();
      const isLong = now - (wanted === undefined ? began : (round.hurried ?? now)) > ROUND_TIME;
      if (wanted === undefined && store.crowded()) return;
      if (
        name === undefined ||
        room <= 0 ||
        round.names.size === ROUND_TOPICS ||
        isLong ||
        (round.hurried !== null && wanted === undefined)
      )
        return;
      if (wanted !== undefined) round.hurried ??= now;
      round.names.set(name, positionOf(name));
      const delivery = read(name, room, round);
      if (delivery === null) continue;
      round.deliveries.push(delivery);
      room -= delivery.to - delivery.from;
      yield delivery;
    }
  }

  function read(name: string, room: number, round: Round): Delivery | null {
    const topic = topicOf(name);
    if (topic === undefined) return null;
    try {
      const slice = readSlice(logRoot, name, positionOf(name), durable.get(name)!, room);
      unread.delete(name);
      if (slice === null) return null;
      if (slice.to >= durable.get(name)!) round.emptied.set(name, { to: slice.to, at: performance.now() });
      return { topic, from: slice.from, to: slice.to, lines: slice.lines };
    } catch (cause) {
      // It holds up its own topic only.
      unread.set(name, performance.now() + (cause instanceof MillraceError && cause.code === 'LOG_CORRUPT' ? DAMAGED : RETRY));
      input.onProblem(cause);
      return null;
    }
  }

  /** They had their turn; those with more stand behind all others. */
  function turnEnds({ names, emptied, hurried }: Round): void {
    owed = hurried !== null;
    for (const [name, before] of names) {
      if (positionOf(name) === before) stuck.add(name);
      else stuck.delete(name);
      const all = emptied.get(name);
      const since = all !== undefined && positionOf(name) >= all.to ? all.at : waiting.get(name)!;
      waiting.delete(name);
      if (lagOf(name) > 0) waiting.set(name, since);
    }
    for (const { wanted, reached } of questions) {
      for (const [name, to] of wanted) if (positionOf(name) >= to || stuck.has(name) || isShut(name)) wanted.delete(name);
      if (wanted.size === 0) reached();
    }
  }

  /** What could not be delivered together, each by itself; and what can't by itself, without the lines that are to blame. */
  async function deliverAgain(deliveries: readonly Delivery[], cause: unknown): Promise<readonly Delivered[]> {
    if (isFatal(cause) || deliveries.length === 0) throw cause;
    if (isOutOfMemory(cause) && roundBytes > SMALLEST_SLICE) throw cause;
    if (deliveries.length > 1) {
      const each: Delivered[] = [];
      const alone = (delivery: Delivery) => store.deliver([delivery]).catch((own: unknown) => deliverAgain([delivery], own));
      for (const delivery of deliveries) each.push(...(await alone(delivery).catch(setBack)));
      return each;
    }
    const only = deliveries[0]!;
    if (only.topic.name === QUARANTINE || isMachineFault(cause)) throw cause;
    input.onProblem(cause);
    return await store.deliver([await withoutCulprits(store, only, cause)]);
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
      const round: Round = { names: new Map(), deliveries: [], emptied: new Map(), left: false, hurried: null };
      let pause: Millis = TICK;
      try {
        const delivered = await store.deliver(take(round)).catch((cause: unknown) => deliverAgain(round.deliveries, cause));
        roundBytes = Math.min(ROUND_BYTES, roundBytes * 2);
        if (delivered.length > 0) input.onDelivered(delivered);
        else if (!round.left) pause = RETRY;
      } catch (cause) {
        input.onProblem(cause);
        if (isOutOfMemory(cause)) roundBytes = Math.max(SMALLEST_SLICE, roundBytes / 4);
        pause = RETRY;
      }
      turnEnds(round);
      const behind = round.left || [...waiting.keys()].some((name) => lagOf(name) > ROUND_BYTES / 4 && !isShut(name));
      if (pause === RETRY) await sleep(RETRY);
      else if (!behind || round.names.size === 0) await tick(began + TICK - performance.now());
    }
  }

  /** Waits so long, or until a question comes. */
  async function tick(left: Millis): Promise<void> {
    if (left <= 0 || questions.size > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    hurry = resolve;
    const timer = setTimeout(resolve, left);
    await promise;
    clearTimeout(timer);
  }

  const running = run();
  return {
    news(watermarks) {
      for (const [topic, to] of Object.entries(watermarks)) {
        durable.set(topic, to);
        if (lagOf(topic) > 0 && !waiting.has(topic)) waiting.set(topic, performance.now());
      }
      wake();
    },
    async reach(topics, patience) {
      const now = performance.now();
      const isLate = (name: string) => now - (waiting.get(name) ?? now) > STALE;
      const late = topics.filter((name) => isLate(name) && lagOf(name) <= ROUND_BYTES && !stuck.has(name) && !isShut(name));
      if (late.length === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const question: Waiting = { wanted: new Map(late.map((name) => [name, durable.get(name)!])), reached: resolve };
      const timer = setTimeout(resolve, patience);
      questions.add(question);
      hurry();
      await promise;
      clearTimeout(timer);
      questions.delete(question);
    },
    async settle(patience) {
      const deadline = performance.now() + patience;
      while ([...waiting.keys()].some((name) => !isShut(name)) && performance.now() < deadline) await sleep(20);
    },
    async stop() {
      stopping = true;
      wake();
      hurry();
      await running;
    },
  };
}

/** What one transaction takes. */
interface Round {
  /** With the positions before it. */
  readonly names: Map<string, Position>;
  readonly deliveries: Delivery[];
  /** Of which topics all was taken that was durable then: up to where, and when. */
  readonly emptied: Map<string, { readonly to: Position; readonly at: Millis }>;
  /** Others have news too, and no room. */
  left: boolean;
  /** Since when a question waits for its end: since the first was taken that one waits for. Whoever was owed a turn before takes none of their time. */
  hurried: Millis | null;
}

/** A question that waits, and for which positions. */
interface Waiting {
  readonly wanted: Map<string, Position>;
  readonly reached: () => void;
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
