import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newTurns, type Turns } from '../../src/analyze/turns.ts';

/** A question that computes for so many ms, and can be interrupted. */
function question(turns: Turns, sql: string, ms: number, log: string[], stopper = new AbortController()) {
  const states: boolean[] = [];
  const turn = turns.begin({ sql, signal: stopper.signal, onWait: (waits) => states.push(waits) });
  let interrupted = new AbortController();
  const attempt = async () => {
    log.push(`${sql} begins`);
    interrupted = new AbortController();
    try {
      await sleep(ms, undefined, { signal: interrupted.signal });
    } catch {
      log.push(`${sql} interrupted`);
      throw new Error('INTERRUPT Error: Interrupted!');
    }
    log.push(`${sql} done`);
    return sql;
  };
  const done = turn.take(attempt, () => interrupted.abort()).finally(turn.end);
  return { done, states, stopper, interrupt: () => interrupted.abort() };
}

describe('long questions take turns', () => {
  test('a short one never waits, whatever long ones run', async () => {
    const turns = newTurns({ places: 1, moment: 40, term: 10_000 });
    const log: string[] = [];
    const long = question(turns, 'long', 300, log);
    await sleep(80);
    const short = question(turns, 'short', 1, log);
    assert.equal(await short.done, 'short');
    assert.deepEqual(short.states, []);
    await long.done;
    assert.deepEqual(log, ['long begins', 'short begins', 'short done', 'long done']);
  });

  test('of two long ones the second gives way, and begins anew when the first is done', async () => {
    const turns = newTurns({ places: 1, moment: 40, term: 10_000 });
    const log: string[] = [];
    const first = question(turns, 'first', 200, log);
    await sleep(20);
    const second = question(turns, 'second', 120, log);
    assert.equal(await first.done, 'first');
    assert.equal(await second.done, 'second');
    assert.deepEqual(log, ['first begins', 'second begins', 'second interrupted', 'first done', 'second begins', 'second done']);
    assert.deepEqual(second.states, [true, false]);
  });

  test('one that is known to be long stands in line from the start, and no longer once it was short', async () => {
    const turns = newTurns({ places: 1, moment: 40, term: 10_000 });
    await question(turns, 'again', 100, []).done;
    const log: string[] = [];
    const other = question(turns, 'other', 150, log);
    await sleep(80);
    const again = question(turns, 'again', 1, log);
    await Promise.all([other.done, again.done]);
    assert.deepEqual(log, ['other begins', 'other done', 'again begins', 'again done']);
    const third = question(turns, 'third', 150, []);
    await sleep(80);
    const quick = question(turns, 'again', 1, []);
    await quick.done;
    assert.deepEqual(quick.states, []);
    await third.done;
  });

  test('a place is lent for a term: behind one that takes minutes the next waits no longer', async () => {
    const turns = newTurns({ places: 1, moment: 20, term: 100 });
    const log: string[] = [];
    const endless = question(turns, 'endless', 60_000, log);
    await sleep(40);
    const next = question(turns, 'next', 60, log);
    assert.equal(await next.done, 'next');
    assert.ok(!log.includes('endless interrupted') && !log.includes('endless done'));
    endless.interrupt();
    await assert.rejects(endless.done);
  });

  test('one that is cancelled in line goes at once, and takes nobody’s place', async () => {
    const turns = newTurns({ places: 1, moment: 20, term: 10_000 });
    const log: string[] = [];
    const first = question(turns, 'first', 200, log);
    await sleep(40);
    const cancelled = question(turns, 'cancelled', 100, log);
    await sleep(60);
    const last = question(turns, 'last', 50, log);
    await sleep(40);
    cancelled.stopper.abort();
    await assert.rejects(cancelled.done, { name: 'AbortError' });
    assert.ok(!log.includes('first done'));
    assert.deepEqual([await first.done, await last.done], ['first', 'last']);
    const free = question(turns, 'free', 60, log);
    await free.done;
    assert.deepEqual(free.states, []);
  });

  test('the order of the line stays when one in it is cancelled', async () => {
    const turns = newTurns({ places: 1, moment: 20, term: 10_000 });
    const log: string[] = [];
    const asked = [];
    for (const sql of ['first', 'second', 'cancelled', 'third', 'fourth']) {
      asked.push(question(turns, sql, 150, log));
      await sleep(25);
    }
    asked[2]!.stopper.abort();
    await assert.rejects(asked[2]!.done, { name: 'AbortError' });
    await Promise.all(asked.filter((_, k) => k !== 2).map(({ done }) => done));
    assert.deepEqual(
      log.filter((line) => line.endsWith('done')),
      ['first', 'second', 'third', 'fourth'].map((sql) => `${sql} done`),
    );
  });

  test('one that was done as it was interrupted begins anew: what it had may break off', async () => {
    const turns = newTurns({ places: 1, moment: 20, term: 10_000 });
    const first = question(turns, 'first', 100, []);
    await sleep(40);
    const turn = turns.begin({ sql: 'just done', signal: new AbortController().signal, onWait: () => {} });
    let tries = 0;
    const answer = await turn.take(
      async () => {
        await sleep(30);
        return ++tries;
      },
      () => {},
    );
    turn.end();
    assert.equal(answer, 2);
    await first.done;
  });

  test('one that fails by itself fails once', async () => {
    const turns = newTurns({ places: 1, moment: 20, term: 10_000 });
    const turn = turns.begin({ sql: 'bad', signal: new AbortController().signal, onWait: () => {} });
    let tries = 0;
    const attempt = async () => {
      tries++;
      throw new Error('no such column');
    };
    await assert.rejects(
      turn.take(attempt, () => {}),
      /no such column/,
    );
    assert.equal(tries, 1);
  });

  test('a result in pieces goes on where it was', async () => {
    const turns = newTurns({ places: 1, moment: 30, term: 10_000 });
    const first = question(turns, 'first', 150, []);
    await sleep(50);
    const turn = turns.begin({ sql: 'pieces', signal: new AbortController().signal, onWait: () => {} });
    const pieces: number[] = [];
    pieces.push(
      await turn.take(
        async () => 1,
        () => assert.fail('it was quick'),
      ),
    );
    await turn.pause();
    await sleep(40);
    let over = false;
    void first.done.then(() => {
      over = true;
    });
    await turn.pause();
    assert.equal(over, true);
    turn.end();
  });
});
