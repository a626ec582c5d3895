/** What questions put aside on disk has an end (docs/holds.md), on a real small file system where root may mount one. */
import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { openAnalyst } from '#analyze';
import { openStore } from '#store';
import { smallDisk } from '../small-disk.ts';

test('a question that would put more aside than half of what is free fails with a code; others and writes go on, and the room is free again', async (t) => {
  const path = smallDisk(t, '160m');
  if (path === null) return;
  const free = () => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  };
  const store = await openStore({ dataPath: path, memory: 64_000_000, threads: 2 });
  const limits = { seconds: 600, rows: 1000, concurrency: 4 };
  const analyst = openAnalyst({ store, limits: { admin: limits, editor: limits, viewer: limits, write: limits }, own: async () => null });
  t.after(async () => {
    await analyst.close();
    await store.close();
  });
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await analyst.ask({ who: { name: 'test', role: 'admin', topics: [] }, sql, format: 'json' });
    return (JSON.parse(await text(answer.body)) as { rows: unknown[][] }).rows;
  };
  await store.write((tx) => tx.run('CREATE TABLE main.kept (n INTEGER)'));
  const sorted = (rows: number) =>
    `SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY hash(k)) AS r, k FROM range(${rows}) t(k)) WHERE (r + k) % 2 >= 0`;
  const before = free();
  let least = before;
  const watching = setInterval(() => {
    least = Math.min(least, free());
  }, 5);
  const failed = ask(sorted(12_000_000)).finally(() => clearInterval(watching));
  const beside = ask('SELECT 41 + 1');
  await assert.rejects(failed, (error: { code: string; cause: Error }) => {
    assert.equal(error.code, 'QUERY_MEMORY');
    assert.match(error.cause.message, /max_temp_directory_size/);
    return true;
  });
  assert.deepEqual(await beside, [[42]]);
  assert.ok(least < before - 10_000_000, `it was put aside: at least ${least} of ${before} were free`);
  assert.ok(least > before * 0.4, `half of it stays free: at least ${least} of ${before} were`);
  await store.write((tx) => tx.run('INSERT INTO main.kept VALUES (1)'));
  assert.deepEqual(await ask('SELECT n FROM main.kept'), [[1]]);
  assert.deepEqual(await ask(sorted(3_000_000)), [[3_000_000]], 'one that finds room is answered');
  assert.ok(free() > before - 10_000_000, 'what the failed one put aside is gone');
});
