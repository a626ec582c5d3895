import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const MOMENTS = Number(process.env['MILLRACE_CRASHES'] ?? (process.env['MILLRACE_LONG'] === '1' ? 1000 : 3));
/** Where a run in several parts goes on: other seeds and other moments. */
const FROM = Number(process.env['MILLRACE_CRASHES_FROM'] ?? 0);
/** Of so many kills each start has more rows to read than the one before; then a warehouse begins anew. */
const ANEW = 100;
const child = join(import.meta.dirname, 'views-crash-child.ts');

interface Said {
  readonly ready?: boolean;
  readonly problem?: string;
  readonly differing?: string[];
  readonly rows?: number;
}

async function start(folder: string, seed: number): Promise<ChildProcess> {
  const running = fork(child, [folder, String(seed)], {
    execArgv: ['--conditions=source'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [said] = (await once(running, 'message')) as [Said];
  if (said.problem !== undefined) {
    await kill(running);
    assert.fail(said.problem);
  }
  return running;
}

async function kill(running: ChildProcess): Promise<void> {
  const gone = once(running, 'exit');
  running.kill('SIGKILL');
  await gone;
}

test(`killed at ${MOMENTS} random moments while rows are inserted, updated and deleted, each view equals its query in batch`, async (t) => {
  let folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
  try {
    let most = 0;
    for (let k = FROM; k < FROM + MOMENTS; k++) {
      if (k > FROM && (k - FROM) % ANEW === 0) {
        rmSync(folder, { recursive: true, force: true });
        folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
      }
      const running = await start(folder, k);
      await new Promise((resolve) => setTimeout(resolve, 20 + ((k * 7919) % 400)));
      await kill(running);
      if (k % 5 !== 4 && k + 1 < FROM + MOMENTS) continue;
      const checking = await start(folder, k + 10_000);
      const answered = once(checking, 'message');
      checking.send({});
      const [said] = (await answered) as [Said];
      await kill(checking);
      assert.deepEqual([said.problem, said.differing], [undefined, []], `after kill ${k + 1}`);
      most = Math.max(most, said.rows!);
    }
    assert.ok(most > 0, 'rows were written');
    t.diagnostic(`${MOMENTS} kills, at most ${most} rows`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
