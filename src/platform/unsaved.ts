import { type Bytes, type Millis, MillraceError } from '#core';

/** A start after a kill replays it, and what comes until it is seen, within 1.5 s (11 ms for each MB). DuckDB's own checkpoint, at 40 MB, has its turn before. */
export const MOST_UNSAVED: Bytes = 46_000_000;
/** Looks in a row: a checkpoint fails now and then because a write was quicker to begin, and the next one takes it up. */
const STAYS = 3;

/**
 * A question reads the state in which it began, and as long as it does no checkpoint can take up what was updated since: the write-ahead
 * log grows, and a start after a kill replays all of it. So beyond `most` the question that has run longest is ended, and then the next.
 */
export function boundUnsaved(input: { size: () => Bytes; relieve: (why: MillraceError) => unknown; most?: Bytes; every?: Millis }): {
  end(): void;
} {
  const { size, relieve, most = MOST_UNSAVED, every = 1000 } = input;
  let looks = 0;
  const timer = setInterval(() => {
    looks = size() > most ? looks + 1 : 0;
    if (looks < STAYS) return;
    looks = 0;
    relieve(new MillraceError('QUERY_SNAPSHOT', { limit: most }));
  }, every);
  return { end: () => clearInterval(timer) };
}
