import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNothingLost, figuresOfKills } from './kills.ts';

test('eight kills of its processes lose nothing and double nothing', { timeout: 300_000 }, async () => {
  const figures = await figuresOfKills(8, 11);
  assert.equal(figures['kills'], 8);
  assertNothingLost(figures);
});
