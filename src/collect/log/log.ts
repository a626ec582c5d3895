import { join } from 'node:path';
import type { Bytes, Position } from '#core';
import { type Files, realFiles, syncFolder } from './files.ts';
import type { Recovered } from './recover.ts';
import { openTopicWriter, type TopicWriter } from './write.ts';

const SEGMENT_BYTES: Bytes = 64 * 1024 * 1024;

/** All topics' logs with one group commit: write what has queued, sync, call back, repeat; no timer. */
export interface Log {
  readonly root: string;
  topic(name: string): TopicWriter;
  /** Calls `done` once everything that was put into writers before is synced or has failed (compare `failures` of the writers used). */
  commit(done: () => void): void;
  durable(): Record<string, Position>;
  /** Syncs what is left and closes. */
  close(): void;
}

export function openLog(
  dataPath: string,
  options: { files?: Files; segmentBytes?: Bytes; onRecovered?: (topic: string, recovered: Recovered) => void } = {},
): Log {
  const files = options.files ?? realFiles;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const root = join(dataPath, 'log');
  files.mkdirSync(root, { recursive: true, mode: 0o700 });
  syncFolder(files, dataPath);
  const writers = new Map<string, TopicWriter>();
  let waiting: (() => void)[] = [];
  let scheduled = false;

  // Requests that arrive while a sync blocks the loop wait in their sockets; the next turn reads all of them before this runs again.
  function flush(): void {
    scheduled = false;
    for (const writer of writers.values()) if (writer.dirty()) writer.sync();
    const done = waiting;
    waiting = [];
    for (const callback of done) callback();
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
    commit(done) {
      waiting.push(done);
      if (scheduled) return;
      scheduled = true;
      setImmediate(flush);
    },
    durable: () => Object.fromEntries([...writers].map(([name, writer]) => [name, writer.durable])),
    close() {
      flush();
      for (const writer of writers.values()) writer.close();
    },
  };
}
