import { Worker } from 'node:worker_threads';

/** What a thread is given: an export of a WebAssembly module on shared memory, to be called until it returns. */
export interface Shift {
  readonly module: object;
  readonly memory: object;
}

/** Worker threads that lend themselves to WebAssembly programs on shared memory. */
export interface Pool {
  readonly count: number;
  /** Every thread that is free, or becomes so, instantiates the module with `{ env: { memory } }` and calls its export `serve`. */
  join(module: object, memory: object): void;
  /** Ends the threads, wherever they are. */
  close(): Promise<void>;
}

/**
 * Starts `count` threads, which end with the process and never keep it alive. They only ever run what `join` gives them, one program
 * after the other, so a program must be able to do without a thread that comes late. A thread that fails is gone: the others go on.
 */
export function startPool(count: number): Pool {
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(new URL('./pool-thread.ts', import.meta.url));
    worker.unref();
    worker.on('error', (thrown) => process.emitWarning(`a pool thread ended: ${String(thrown)}`));
    return worker;
  });
  return {
    count,
    join(module, memory) {
      const shift: Shift = { module, memory };
      for (const worker of workers) worker.postMessage(shift);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
