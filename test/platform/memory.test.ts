import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { newMemoryRule, type Resident, residentsOf } from '../../src/platform/memory-watch.ts';

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

test('a warehouse that is still opening is never ended: the next would need as much', () => {
  const opening: Resident[] = [
    { pid: 1, kind: 'front', bytes: 100 * MB },
    { pid: 2, kind: 'opening', bytes: 2 * LIMIT },
  ];
  assert.equal(newMemoryRule(LIMIT)(opening, 1000), null);
  const job: Resident = { pid: 10, kind: 'job', bytes: 200 * MB };
  assert.deepEqual(newMemoryRule(LIMIT)([...opening, job], 1000), { kind: 'end', pid: 10 }, 'a job makes room');
});

test('a job that grows beside a warehouse that stays as it is: at the limit the one goes that holds more by then', () => {
  const firstEnd = (warehouse: number, grown: number) => {
    const rule = newMemoryRule(LIMIT);
    // 2 MB from look to look, so that none is beyond the limit before one is near it.
    for (let job = 0; job <= grown; job += 2) {
      const relief = rule(held(100, warehouse, job), 1000 + 5 * job);
      if (relief !== null && relief.kind !== 'relieve') return { ...relief, job };
    }
    return null;
  };
  assert.deepEqual(firstEnd(500, 450), { kind: 'restart', job: 400 });
  assert.deepEqual(firstEnd(440, 500), { kind: 'end', pid: 10, job: 460 });
  assert.equal(firstEnd(500, 390), null, 'below it nobody does, and questions are stopped');
});

test('the front is never ended, even where it alone is beyond the limit', () => {
  assert.equal(newMemoryRule(LIMIT)([{ pid: 1, kind: 'front', bytes: 2 * LIMIT }], 1000), null);
});

/** A process that stays until the test ends; with `child`, it has one of its own and says its id. */
async function started(t: TestContext, child = false): Promise<{ process: ChildProcess; child: number }> {
  const stays = `console.log(0); setInterval(() => {}, 1000)`;
  const script = child
    ? `const c = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stays)}]); c.stdout.once('data', () => console.log(c.pid)); process.on('SIGTERM', () => { c.kill(); process.exit() })`
    : stays;
  const process_ = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => process_.kill());
  const [line] = (await once(process_.stdout, 'data')) as [Buffer];
  return { process: process_, child: Number(line) };
}

test('only Millrace’s own processes are looked at: a child that something else in this process has started is left alone', async (t) => {
  const [foreign, job, warehouse] = [await started(t), await started(t), await started(t, true)];
  const residents = residentsOf(warehouse.process.pid!, [job.process.pid!], true);
  const opening = residentsOf(warehouse.process.pid!, [], false).find(({ pid }) => pid === warehouse.process.pid);
  assert.equal(opening?.kind, 'opening', 'until it is ready');
  assert.deepEqual(
    residents.map(({ pid, kind }) => [pid, kind]),
    [
      [process.pid, 'front'],
      [warehouse.process.pid, 'warehouse'],
      [warehouse.child, 'job'],
      [job.process.pid, 'job'],
    ],
  );
  assert.ok(residents.every(({ bytes }) => bytes > 10_000_000));
  assert.ok(!residents.some(({ pid }) => pid === foreign.process.pid));
});
