import { Worker } from 'node:worker_threads';
import { type ErrorBody, errorFromBody } from '#core';
import type { ChartSpec, Data, Look, Mark } from '#visualize';

export interface Asked {
  readonly spec: ChartSpec;
  readonly data: Data;
  readonly marks: readonly Mark[];
  readonly look: Look;
  /** The colour behind it. */
  readonly ground: string;
}

/** `svg` is null of what is no picture: one figure, a table. */
export type Drawn = { readonly svg: string | null } | { readonly error: ErrorBody };

/** What a chart of the most rows that are asked for needs; one that grows beyond it ends alone. */
const memory = { maxOldGenerationSizeMb: 256 };

let before: Promise<unknown> = Promise.resolve();

/** The picture as the console draws it, one after the other: each takes a core. Null of what is no picture. Errors: those of `draw`. */
export async function pictureOf(asked: Asked): Promise<string | null> {
  const mine = before.then(() => inThread(asked));
  before = mine.catch(() => {});
  const drawn = await mine;
  if ('error' in drawn) throw errorFromBody(drawn.error);
  return drawn.svg;
}

function inThread(asked: Asked): Promise<Drawn> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./picture-thread.ts', import.meta.url), { resourceLimits: memory });
    thread.once('message', (drawn: Drawn) => {
      resolve(drawn);
      void thread.terminate();
    });
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the thread that draws ended')));
    thread.postMessage(asked);
  });
}
