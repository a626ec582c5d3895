import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNothingLost, figuresOfKills } from '../crash/kills.ts';

test('a thousand kills, in the middle of transactions, checkpoints and recoveries, beside faults of the machine lose nothing and double nothing', async () => {
  const figures = await figuresOfKills(1000, 12, '--faults');
  assert.equal(figures['kills'], 1000);
  for (const hit of ['front', 'warehouse', 'launcher', 'starting', 'transaction', 'checkpoint', 'recovery']) {
    assert.ok(figures[`kills_${hit}`]! > 0, `no kill hit: ${hit}`);
  }
  // A full disk wants root, failed syncs and read-only files a C compiler.
  const met = Object.entries(figures).filter(([figure, hits]) => figure.startsWith('faults_') && hits! > 0);
  assert.ok(figures['fault_kinds']! >= 2);
  assert.equal(met.length, figures['fault_kinds'], `of the faults that could be made these were met: ${met.join('; ')}`);
  assertNothingLost(figures);
});
