import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newFlow } from '#platform';
import { startUpkeep } from '../../src/platform/upkeep.ts';

test('the end of upkeep does not wait for a warehouse that expires quarantine behind a long write', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-upkeep-'));
  t.after(() => rmSync(folder, { recursive: true }));
  t.mock.timers.enable({ apis: ['setInterval'] });
  const asked: string[] = [];
  const upkeep = startUpkeep({
    dataPath: folder,
    logRoot: folder,
    reserve: 0,
    retention: () => ({ log: 1, quarantine: 1 }),
    flow: newFlow(),
    warehouse: {
      open: () => Promise.reject(new Error('not asked')),
      json: (_, path) => {
        asked.push(path);
        return new Promise(() => {});
      },
      close: () => {},
    },
    say: () => {},
  });
  t.mock.timers.tick(3_600_000);
  assert.deepEqual(asked, ['/quarantine/expire']);
  assert.equal(await Promise.race([upkeep.stop().then(() => 'ended'), sleep(5_000, 'waits', { ref: false })]), 'ended');
});
