import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newMemoryRule, type Resident } from '../../src/platform/memory-watch.ts';

const MB = 1_000_000;
const LIMIT = 1000 * MB;

function held(front: number, warehouse: number, ...jobs: number[]): Resident[] {
  return [
    { pid: 1, kind: 'front', bytes: front * MB },
    { pid: 2, kind: 'warehouse', bytes: warehouse * MB },
    ...jobs.map((bytes, k): Resident => ({ pid: 10 + k, kind: 'job', bytes: bytes * MB })),
  ];
}

test('with room left nothing is done, and near the limit queries are stopped one at a time', () => {
  const rule = newMemoryRule(LIMIT);
  assert.equal(rule(held(100, 700), 1000), null);
  // Slow growth: the next look would still be within the limit.
  assert.equal(rule(held(100, 815), 1050), null);
  assert.deepEqual(rule(held(100, 840), 1100), { kind: 'relieve' });
  assert.equal(rule(held(100, 850), 1110), null, 'a moment for the memory to be given back');
  assert.deepEqual(rule(held(100, 850), 1400), { kind: 'relieve' });
});

test('at the limit the warehouse is ended, and so it is before, when the next look would be beyond the limit', () => {
  assert.deepEqual(newMemoryRule(LIMIT)(held(100, 950), 1000), { kind: 'restart' });
  const rule = newMemoryRule(LIMIT);
  assert.equal(rule(held(100, 780), 1000), null);
  assert.deepEqual(rule(held(100, 860), 1010), { kind: 'restart' }, '80 MB in 10 ms, and 40 MB left');
});

test('growth is told from two looks that follow each other, not from one long ago', () => {
  const rule = newMemoryRule(LIMIT);
  assert.equal(rule(held(100, 300), 1000), null);
  assert.deepEqual(rule(held(100, 840), 9000), { kind: 'relieve' });
});

test('memory that is not given back for three seconds ends the largest process', () => {
  const rule = newMemoryRule(LIMIT);
  const seen = Array.from({ length: 80 }, (_, k) => rule(held(100, 850), 1000 + k * 50)?.kind);
  assert.equal(seen.slice(0, 60).includes('restart'), false);
  assert.ok(seen.slice(0, 60).filter((kind) => kind === 'relieve').length > 5, 'queries are stopped first');
  assert.equal(seen[61], 'restart');
});

test('trainers and transfers are in the sum, and where one of them holds the most, it goes and not the warehouse', () => {
  assert.deepEqual(newMemoryRule(LIMIT)(held(100, 300, 200, 500), 1000), { kind: 'end', pid: 11 });
  assert.deepEqual(newMemoryRule(LIMIT)(held(100, 600, 200, 150), 1000), { kind: 'restart' });
});

test('the front is never ended, even where it alone is beyond the limit', () => {
  assert.equal(newMemoryRule(LIMIT)([{ pid: 1, kind: 'front', bytes: 2 * LIMIT }], 1000), null);
});
