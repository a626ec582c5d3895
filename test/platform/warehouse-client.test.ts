import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { warehouseClient } from '../../src/platform/warehouse-client.ts';

test('five hundred answers that nobody reads to the end hold up no other question', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-client-'));
  const server = createServer((request, response) => {
    if (request.url === '/large') response.write(Buffer.alloc(1 << 16));
    else response.end('{"answer":42}');
  });
  server.listen(join(folder, 'w.sock'));
  await once(server, 'listening');
  const client = warehouseClient(join(folder, 'w.sock'));
  t.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const unread = await Promise.all(Array.from({ length: 500 }, () => client.open('GET', '/large', null)));
  assert.ok(unread.every(({ statusCode }) => statusCode === 200));
  assert.deepEqual(await client.json('GET', '/small'), { answer: 42 });
});
