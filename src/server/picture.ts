import { Worker } from 'node:worker_threads';
import { type ErrorBody, errorFromBody, fail, type Millis, MillraceError } from '#core';
import type { ChartSpec, Data, Look, Mark } from '#visualize';

export interface Asked {
  readonly spec: ChartSpec;
  readonly data: Data;
  readonly marks: readonly Mark[];
  readonly look: Look;
}

/** `svg` is null of what is no picture: one figure, a table. */
export type Drawn = { readonly svg: string | null } | { readonly error: ErrorBody };

/** What a chart of the most rows that are asked for needs; one that grows beyond it ends alone. */
const memory = { maxOldGenerationSizeMb: 128 };
/** What takes longer is ended. */
const LONGEST: Millis = 10_000;
/** Pictures that are asked for or drawn at once, whoever asks: the rows of each stand in the process that acknowledges records. */
const MOST = 8;

let open = 0;
let before: Promise<unknown> = Promise.resolve();

/** Does what a picture needs, from asking for its rows on, where not too many others do. Errors: TILE_BUSY, those of `work`. */
export async function whileFew<T>(work: () => Promise<T>): Promise<T> {
  if (open >= MOST) fail('TILE_BUSY', { problem: `${MOST} others are being made` });
  open++;
  try {
    return await work();
  } finally {
    open--;
  }
}

/** The picture as the console draws it, one after the other: each takes a core. Null of what is no picture. Errors: TILE_BUSY, those of `draw`. */
export async function pictureOf(asked: Asked, within: Millis = LONGEST): Promise<string | null> {
  const mine = before.then(() => inThread(asked, within));
  before = mine.catch(() => {});
  const drawn = await mine;
  if ('error' in drawn) throw errorFromBody(drawn.error);
  return drawn.svg;
}

async function inThread(asked: Asked, within: Millis): Promise<Drawn> {
  const { promise, resolve, reject } = Promise.withResolvers<Drawn>();
  const thread = new Worker(new URL('./picture-thread.ts', import.meta.url), { resourceLimits: memory });
  thread.once('message', resolve);
  thread.once('error', (cause: NodeJS.ErrnoException) =>
    reject(
      cause.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new MillraceError('TILE_BUSY', { problem: 'it needs too much memory' }, cause) : cause,
    ),
  );
  thread.once('exit', () => reject(new Error('the thread that draws ended')));
  const late = setTimeout(
    () => reject(new MillraceError('TILE_BUSY', { problem: `it took longer than ${within / 1000} seconds` })),
    within,
  );
  thread.postMessage(asked);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    void thread.terminate();
  }
}
