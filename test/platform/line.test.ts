import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLine } from '../../src/platform/line.ts';

const ROLES = { admin: { concurrency: 8 }, editor: { concurrency: 4 }, viewer: { concurrency: 1 }, write: { concurrency: 0 } };
const of = (name: string, role: 'viewer' | 'editor') => ({ name, role, topics: null });

test('more requests of a token than may wait are refused at once; others have lines of their own, and an answer or a failure makes room', async () => {
  const line = newLine(ROLES);
  const waits = Array.from({ length: 49 }, () => Promise.withResolvers<string>());
  const asked = waits.map(({ promise }) => line.through(of('a', 'viewer'), () => promise));
  let reached = 0;
  const more = () => line.through(of('a', 'viewer'), async () => ++reached);
  for (let k = 0; k < 1000; k++) await assert.rejects(more, { code: 'QUERY_BUSY', params: { running: 1, waiting: 48 } });
  assert.deepEqual([reached, line.refused], [0, 1000]);
  assert.equal(await line.through(of('b', 'viewer'), async () => 'other'), 'other');

  waits[0]!.resolve('answered');
  assert.equal(await asked[0], 'answered');
  assert.equal(await more(), 1);
  waits[1]!.reject(new Error('gone'));
  await assert.rejects(asked[1]!, /gone/);
  assert.equal(await more(), 2);
  for (const { resolve } of waits) resolve('answered');
  await Promise.allSettled(asked);
  assert.equal(line.refused, 1000);
});
