/** What a run has on its way stands in its own folder, which outlives no killed process. */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { running, until } from '../server/fixture.ts';

test('a download that is under way stands in the folder of its run, and goes with it when its process is killed', async (t) => {
  // It never ends: the process that reads it can only be killed.
  const web = createServer((_, answer) => void answer.write('id,v\n1,1\n'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    web.closeAllConnections();
    web.close();
  });
  const server = await running(t, { settings: 'transfer: { private_addresses: [127.0.0.0/8] }\n' });
  const { port } = web.address() as AddressInfo;
  mkdirSync(join(server.path, 'transfers'), { recursive: true });
  writeFileSync(
    join(server.path, 'transfers', 'slow.yaml'),
    `source: http\nconnection: { url: "http://127.0.0.1:${port}/a.csv" }\ntables: { a: { target: shop.a } }\n`,
  );
  await until(async () => (await server.call('GET', '/v1/transfers/slow')).status === 200);
  await server.call('POST', '/v1/transfers/slow/run', { body: {} });
  const leftovers = () => globSync('transfer-*/*', { cwd: join(server.path, '.millrace', 'tmp') });
  await until(async () => leftovers().some((name) => /^transfer-[^/]+\/millrace-http-/.test(name)));
  await server.started.stop();
  await until(async () => globSync('transfer-*', { cwd: join(server.path, '.millrace', 'tmp') }).length === 0);
});
