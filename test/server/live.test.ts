import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import fastify from 'fastify';
import type { Front } from '#platform';
import { liveRoutes } from '../../src/server/routes/live.ts';

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('a client that leaves before its live stream has begun leaves nothing behind', async (t) => {
  const asked = Promise.withResolvers<void>();
  const looked = Promise.withResolvers<{ batch: number; targets: string[] }>();
  const front = {
    dashboards: { checked: (name: string) => name, read: () => ({}), names: () => [] },
    warehouse: {
      json() {
        asked.resolve();
        return looked.promise;
      },
    },
  } as unknown as Front;
  const app = fastify();
  t.after(() => app.close());
  liveRoutes(app, front);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const left = once(app.server, 'connection').then(([socket]) => once(socket, 'close'));
  const stream = request({ port, host: '127.0.0.1', path: '/v1/dashboards/sales/live' }).on('error', () => {});
  stream.end();
  await asked.promise;
  stream.destroy();
  await left;
  const before = timers();
  looked.resolve({ batch: 1, targets: [] });
  await looked.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(timers() <= before, `${timers()} timers, ${before} before`);
});
