import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openLog, readSlice } from '#collect';
import { folder } from './fixture.ts';
import { logContract } from './log.contract.ts';

logContract('in segments of lines', { open: openLog, read: readSlice }, 600);

/** The turns of the event loop in which three large bodies are appended, each of which takes some milliseconds. */
async function turnsOf(t: TestContext, arrived: () => number): Promise<number[]> {
  const log = openLog(folder(t), { arrived });
  const writer = log.topic('large');
  const turns: number[] = [];
  let turn = 0;
  let counting = true;
  const count = () => {
    turn++;
    if (counting) setImmediate(count);
  };
  count();
  await new Promise<void>((resolve) => {
    for (let k = 0; k < 3; k++)
      log.whenRoom(writer, 400_000, () => {
        turns.push(turn);
        for (const end = performance.now() + 5; performance.now() < end; );
        if (turns.length === 3) resolve();
      });
  });
  counting = false;
  await log.close();
  return turns;
}

test('large bodies are appended turn by turn; while connections come, which are let in one a turn, many turns go by between two', async (t) => {
  const alone = await turnsOf(t, () => 7);
  assert.ok(alone[2]! - alone[0]! <= 4, String(alone));
  let connections = 0;
  const crowded = await turnsOf(t, () => ++connections);
  assert.ok(crowded[1]! - crowded[0]! > 10 && crowded[2]! - crowded[1]! > 10, String(crowded));
});

test('a few connections hold nothing up: the next turn without one is a body’s', async (t) => {
  let connections = 0;
  const turns = await turnsOf(t, () => (connections < 6 ? ++connections : connections));
  assert.ok(turns[2]! - turns[0]! <= 16, String(turns));
});
