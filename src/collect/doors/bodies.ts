import type { Bytes, Millis } from '#core';

/** A body that has not come whole by then gives way where others find no room. */
const SLOW: Millis = 5_000;

/**
 * What bodies hold in memory together, from their head until their records are durable: as many clients may send at once as like to, but
 * one that doesn't fit beside the others is refused before it is read. Smaller ones find room where larger ones don't.
 */
export interface Bodies {
  /** Room for so many bytes, or null. `drop` is called when the room is taken away again: a body that comes slowly gives way to others. */
  hold(bytes: Bytes, drop: () => void): Held | null;
  readonly held: Bytes;
}

export interface Held {
  /** Room for as many more; false where there is none, and then nothing is held any more. */
  grow(bytes: Bytes): boolean;
  /** It has come, and is not taken away any more. */
  whole(): void;
  /** Any number of times. */
  release(): void;
}

/** One that is alone has room whatever it takes. */
export function newBodies(limit: Bytes, now: () => Millis = () => performance.now()): Bodies {
  let held = 0;
  /** Bodies that are coming, in the order in which they began. */
  const coming = new Map<Held, { readonly since: Millis; readonly drop: () => void }>();

  function makeRoom(bytes: Bytes, own: Held | null, has: Bytes): boolean {
    const fits = () => held + bytes <= limit || held === has;
    for (const [other, { since, drop }] of coming) {
      if (fits() || now() - since <= SLOW) break;
      if (other === own) continue;
      other.release();
      drop();
    }
    return fits();
  }

  return {
    get held() {
      return held;
    },
    hold(bytes, drop) {
      if (!makeRoom(bytes, null, 0)) return null;
      held += bytes;
      let own = bytes;
      const body: Held = {
        grow(more) {
          if (!makeRoom(more, body, own)) {
            body.release();
            return false;
          }
          held += more;
          own += more;
          return true;
        },
        whole: () => void coming.delete(body),
        release() {
          coming.delete(body);
          held -= own;
          own = 0;
        },
      };
      coming.set(body, { since: now(), drop });
      return body;
    },
  };
}
