import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folder } from '../store/fixture.ts';
import { killsAmongCheckpoints } from '../store/kills.ts';

const MOMENTS = 100;

test(`killed ${MOMENTS} times among deliveries and checkpoints, the warehouse opens again with every delivery, once`, async (t) => {
  const moments = Array.from({ length: MOMENTS }, () => Math.floor(Math.random() * 1200));
  t.diagnostic(`killed after ${moments.join(' ')} ms`);
  assert.ok((await killsAmongCheckpoints(folder(t), moments)) > 0);
});
