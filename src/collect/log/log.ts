import { join } from 'node:path';
import type { Bytes, Position } from '#core';
import { type Files, realFiles, syncFolder } from './files.ts';
import type { Recovered } from './recover.ts';
import { openTopicWriter, type TopicWriter } from './write.ts';

const SEGMENT_BYTES: Bytes = 64 * 1024 * 1024;
/** A topic's group takes nothing more from here on: readers take groups whole, and delivery needs many times their size. */
const FULL: Bytes = 4 * 1024 * 1024;
/** In one turn of the event loop, which accepts one connection (libuv 1.52): a turn of many large bodies would let nobody in for seconds. */
const TURN: Bytes = 256 * 1024;

interface Waiting {
  readonly writer: TopicWriter;
  readonly bytes: Bytes;
  readonly append: () => void;
}

/** All topics' logs with one group commit: write what has queued, sync while more queues, call back, repeat; no timer. */
export interface Log {
  readonly root: string;
  topic(name: string): TopicWriter;
  /**
   * Calls `append`, which puts lines of about so many bytes into the writer and commits them: now, or where much was appended in this turn of
   * the event loop or the topic's group is full, in a later turn; a topic's in the order in which they came.
   */
  whenRoom(writer: TopicWriter, bytes: Bytes, append: () => void): void;
  /** Calls `done` once everything that was put into writers before is synced or has failed (compare `failures` of the writers used). */
  commit(done: () => void): void;
  durable(): Record<string, Position>;
  /** Syncs what is left, calls back who waits for it, and closes. */
  close(): Promise<void>;
}

export function openLog(
  dataPath: string,
  options: {
    files?: Files;
    segmentBytes?: Bytes;
    onRecovered?: (topic: string, recovered: Recovered) => void;
    /** How many connections were let in so far. */
    arrived?: () => number;
  } = {},
): Log {
  const files = options.files ?? realFiles;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const arrived = options.arrived ?? (() => 0);
  const root = join(dataPath, 'log');
  files.mkdirSync(root, { recursive: true, mode: 0o700 });
  syncFolder(files, dataPath);
  const writers = new Map<string, TopicWriter>();
  let waiting: (() => void)[] = [];
  /** Writers whose groups are being synced; no other group begins before all have ended. */
  let syncing = 0;
  let scheduled = false;
  /** In the order in which they came. */
  let queue: Waiting[] = [];
  /** Bytes that were appended in this turn of the event loop; TURN in one that goes by. */
  let appended = 0;
  /** When the first of them was begun. */
  let began = 0;
  /** Until when turns go by, and how many connections had come before the last. */
  let until = 0;
  let before = 0;

  const isFull = (writer: TopicWriter): boolean => writer.dirty() && writer.used >= FULL;

  function append(next: Waiting): void {
    if (appended === 0) {
      began = performance.now();
      setImmediate(nextTurn);
    }
    appended += Math.max(1, next.bytes);
    next.append();
  }

  /** After a full turn others go by for as long as it took while connections come: a thousand at once are let in one a turn, not one a body. */
  function nextTurn(): void {
    const now = performance.now();
    const come = arrived();
    if (appended >= TURN) {
      if (until === 0) until = 2 * now - began;
      if (come !== before && now < until) {
        before = come;
        setImmediate(nextTurn);
        return;
      }
    }
    before = come;
    until = 0;
    appended = 0;
    drain();
  }

  function drain(): void {
    const waited = queue;
    queue = [];
    for (const next of waited) {
      if (appended >= TURN || isFull(next.writer)) queue.push(next);
      else append(next);
    }
  }

  function flush(): void {
    scheduled = false;
    const done = waiting;
    waiting = [];
    const dirty = [...writers.values()].filter((writer) => writer.dirty());
    syncing = Math.max(1, dirty.length);
    const ended = () => {
      if (--syncing > 0) return;
      // The next group is on its way to the disk before the answers of this one are written.
      if (waiting.length > 0) flush();
      for (const callback of done) callback();
    };
    for (const writer of dirty) writer.sync(ended);
    if (queue.length > 0) setImmediate(drain);
    if (dirty.length === 0) setImmediate(ended);
  }

  function topic(name: string): TopicWriter {
    let writer = writers.get(name);
    if (writer === undefined) {
      writer = openTopicWriter(files, root, name, segmentBytes, options.onRecovered ?? (() => {}));
      writers.set(name, writer);
    }
    return writer;
  }

  for (const name of files.readdirSync(root)) if (/^_?[a-z][a-z0-9_]{0,62}$/.test(name)) topic(name);

  return {
    root,
    topic,
    whenRoom(writer, bytes, go) {
      const next = { writer, bytes, append: go };
      if (appended >= TURN || isFull(writer) || queue.some((each) => each.writer === writer)) queue.push(next);
      else append(next);
    },
    commit(done) {
      waiting.push(done);
      if (scheduled || syncing > 0) return;
      scheduled = true;
      // Requests that came in the same turn share the group.
      setImmediate(flush);
    },
    durable: () => Object.fromEntries([...writers].map(([name, writer]) => [name, writer.durable])),
    async close() {
      do await new Promise<void>((resolve) => this.commit(resolve));
      while (queue.length > 0 || waiting.length > 0);
      for (const writer of writers.values()) writer.close();
    },
  };
}
