import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { keepUp, type Log, openLog, readSlice, realFiles } from '#collect';
import { folder } from './fixture.ts';
import { put, readAll } from './log.contract.ts';

const DAY = 86_400_000;
const maker = { open: openLog, read: readSlice };
const TEXTS = Array.from({ length: 12 }, (_, k) => `${k} ${'밀레 '.repeat(30)}`);

async function inSegments(t: TestContext): Promise<{ path: string; log: Log; names: () => string[] }> {
  const path = folder(t);
  const log = openLog(path, { segmentBytes: 400 });
  t.after(() => log.close());
  for (const text of TEXTS) {
    put(log, 'a', text);
    await new Promise<void>((resolve) => log.commit(resolve));
  }
  return { path, log, names: () => readdirSync(join(log.root, 'a')) };
}

describe('the upkeep of the log', () => {
  test('packs the segments that are delivered, and every record is read from them as before, over each border', async (t) => {
    const { path, log, names } = await inSegments(t);
    const before = names().length;
    const { packed, deleted, saved } = await keepUp(log.root, 'a', log.durable()['a']!, DAY);
    assert.deepEqual([packed, deleted, names().length], [before - 1, 0, before]);
    assert.ok(saved > 0);
    assert.equal(names().filter((name) => name.endsWith('.log')).length, 1, 'the one that is being written is left alone');
    for (const maxBytes of [1, 300, 1000, 1e6]) assert.deepEqual(readAll(maker, realFiles, log, 'a', 0, maxBytes).texts, TEXTS);
    const again = openLog(path, { segmentBytes: 400 });
    assert.deepEqual(again.durable(), log.durable());
    await again.close();
  });

  test('leaves what is not delivered as it is', async (t) => {
    const { log, names } = await inSegments(t);
    const before = names();
    assert.deepEqual(await keepUp(log.root, 'a', 10, 0, Date.now() + DAY), { packed: 0, deleted: 0, saved: 0 });
    assert.deepEqual(names(), before);
  });

  test('deletes, packed or not, what was closed longer ago than it is kept; the next start goes on behind it', async (t) => {
    const { path, log, names } = await inSegments(t);
    const durable = log.durable();
    await keepUp(log.root, 'a', durable['a']!, DAY);
    const { deleted } = await keepUp(log.root, 'a', durable['a']!, DAY, Date.now() + 2 * DAY);
    assert.equal(names().length, 1);
    assert.ok(deleted > 3);
    const again = openLog(path, { segmentBytes: 400 });
    t.after(() => again.close());
    assert.deepEqual(again.durable(), durable);
    put(again, 'a', 'next');
    await new Promise<void>((resolve) => again.commit(resolve));
    assert.deepEqual(readAll(maker, realFiles, again, 'a', durable['a']!).texts, ['next']);
  });
});
