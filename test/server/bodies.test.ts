import assert from 'node:assert/strict';
import { type ClientRequest, request } from 'node:http';
import { test } from 'node:test';
import { running, until } from './fixture.ts';

test('bodies of questions share their room: one that does not fit beside others is refused before it is read, and finds room when they are gone', async (t) => {
  // A 64th of the memory is their room: 15.6 MB.
  const server = await running(t, { settings: 'memory: 1GB\n' });
  const { port } = new URL(server.started.address);
  const begin = (bytes: number, path = '/v1/query'): ClientRequest => {
    const headers = {
      authorization: `Bearer ${server.started.adminToken}`,
      'content-type': path === '/v1/query' ? 'application/json' : 'application/octet-stream',
      'content-length': bytes,
    };
    const sent = request({ port, host: '127.0.0.1', method: 'POST', path, headers });
    sent.on('error', () => {});
    sent.write('{"sql":"');
    t.after(() => sent.destroy());
    return sent;
  };
  const slow = [4_000_000, 4_000_000, 4_000_000, 3_500_000].map((bytes) => begin(bytes));
  const asked = async (bytes: number) => {
    const body = { sql: 'SELECT length($1)', params: ['x'.repeat(bytes)] };
    const { status, code, headers } = await server.call('POST', '/v1/query', { body });
    return [status, code, headers.get('retry-after')];
  };
  await until(async () => (await asked(1_000_000))[0] === 503);
  assert.deepEqual(await asked(1_000_000), [503, 'INTAKE_BUSY', '1']);
  assert.deepEqual(await server.ask('SELECT 1'), [[1]], 'a small one fits');
  assert.equal((await server.call('GET', '/v1/jobs')).status, 200);
  for (const each of slow) each.destroy();
  await until(async () => (await asked(1_000_000))[0] === 200);
  // A file goes to disk as it comes, and takes none of that room, however large it says to be.
  begin(50_000_000, '/v1/load/large?format=csv');
  begin(50_000_000, '/v1/uploads?name=large.csv');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await asked(1_000_000))[0], 200);
  // Long after it has come a question is still asked: its room is not another's.
  const params = ['x'.repeat(3_900_000)];
  const long = server.ask('SELECT count(*) FROM range(100000) a, range(60000) b WHERE a.range * b.range % 7 = length($1) % 3', {
    params,
    job: 'long',
  });
  await new Promise((resolve) => setTimeout(resolve, 5_200));
  for (const bytes of [4_000_000, 4_000_000]) begin(bytes);
  // Nothing tells when they have come; one that is refused would let the next question in.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal((await asked(3_900_000))[0], 503);
  assert.equal((await asked(3_600_000))[0], 200, 'as much as is left');
  assert.equal(((await server.call('GET', '/v1/jobs/long')).json as { state: string }).state, 'running');
  await server.call('DELETE', '/v1/jobs/long');
  assert.equal(await long, 'QUERY_CANCELLED');
});
