import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '#store';
import { freshStore } from './fixture.ts';

/** Minutes, if nothing ends it. */
const ENDLESS = 'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3';
/** DuckDB forgets one that comes before the statement's own thread has begun: at once, and around its first millisecond. */
const MOMENTS = [null, 0, 1, 2, 5, 50];

const at = (moment: number | null, interrupt: () => void) => (moment === null ? interrupt() : setTimeout(interrupt, moment));

describe('a statement that is interrupted ends, whenever that comes', () => {
  const clean: (() => unknown)[] = [];
  let store: Store;
  before(async () => {
    store = await freshStore({ after: (fn) => void clean.push(fn) });
  });
  after(async () => {
    for (const fn of clean.reverse()) await fn();
  });

  for (const moment of MOMENTS) {
    const when = moment === null ? 'in the same step' : `after ${moment} ms`;

    test(`a question ${when}, and the next one on its connection runs`, { timeout: 20_000 }, async () => {
      const reader = await store.reader();
      const asked = reader.stream(ENDLESS);
      at(moment, reader.interrupt);
      await assert.rejects(asked, /Interrupted/);
      await sleep(60);
      const next = await reader.stream('SELECT sum(range) AS sum FROM range(3000000)');
      assert.equal((await next.next())!.rows, 1);
      reader.close();
    });

    test(`a write ${when}; the next one is done`, { timeout: 20_000 }, async () => {
      const written = store.write((tx) => {
        at(moment, tx.interrupt);
        return tx.rows(ENDLESS);
      });
      await assert.rejects(written, /Interrupted/);
      await sleep(60);
      assert.deepEqual(await store.write((its) => its.rows('SELECT sum(range)::BIGINT AS sum FROM range(3000000)')), [
        { sum: 4499998500000n },
      ]);
    });
  }

  test('a write between two of its statements', { timeout: 20_000 }, async () => {
    const written = store.write(async (tx) => {
      await tx.run('SELECT 1');
      tx.interrupt();
      await sleep(30);
      return tx.rows(ENDLESS);
    });
    await assert.rejects(written, /Interrupted/);
  });
});
