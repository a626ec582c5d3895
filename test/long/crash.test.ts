import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNothingLost, figuresOfKills } from '../crash/kills.ts';

test('a thousand kills, in the middle of transactions, checkpoints and recoveries, beside faults of the machine lose nothing and double nothing', async () => {
  const figures = await figuresOfKills(1000, 12, '--faults');
  assert.equal(figures['kills'], 1000);
  for (const hit of ['front', 'warehouse', 'launcher', 'starting', 'transaction', 'checkpoint', 'recovery']) {
    assert.ok(figures[`kills_${hit}`]! > 0, `no kill hit: ${hit}`);
  }
  // The others want root, or a C compiler.
  for (const met of ['standstill', 'torn']) assert.ok(figures[`faults_${met}`]! > 0, `no fault was met: ${met}`);
  assertNothingLost(figures);
});
