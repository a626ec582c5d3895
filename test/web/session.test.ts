import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LoginAnswer, SessionAnswer } from '#server';
import { millrace, send } from './server.ts';

const own = (address: string) => ({ origin: address, 'sec-fetch-site': 'same-origin' });

describe('signing in', () => {
  test('the one-time token makes the first admin and a cookie that scripts and other sites can’t use', async (t) => {
    const { address, setupToken } = await millrace(t);
    const answer = await send(address, 'POST', '/v1/session', own(address), { token: setupToken });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json<SessionAnswer>(), { name: 'admin', role: 'admin', time_zone: 'Asia/Seoul' });
    const [cookie = ''] = answer.headers['set-cookie'] as string[];
    assert.match(cookie, /^millrace_\d+=mr_[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000$/);
    const held = { cookie: cookie.split(';')[0]! };
    assert.equal((await send(address, 'GET', '/v1/status', held)).status, 200);
    assert.equal((await send(address, 'POST', '/v1/session', own(address), { token: setupToken })).status, 401, 'it works once');
    const out = await send(address, 'DELETE', '/v1/session', { ...held, ...own(address) });
    assert.match((out.headers['set-cookie'] as string[])[0]!, /^millrace_\d+=; .*Max-Age=0$/);
  });

  test('a token that someone was given signs in with its role, a wrong one and a write key do not', async (t) => {
    const { address, adminToken } = await millrace(t);
    const admin = { authorization: `Bearer ${adminToken}` };
    const made = async (role: string) =>
      (await send(address, 'POST', '/v1/tokens', admin, { name: role, role, topics: role === 'write' ? ['a'] : null })).json<LoginAnswer>()
        .token;
    const sign = async (token: unknown) => send(address, 'POST', '/v1/session', own(address), { token });
    assert.equal((await sign(await made('viewer'))).json<SessionAnswer>().role, 'viewer');
    const writer = await sign(await made('write'));
    assert.equal(writer.status, 403);
    assert.equal(writer.headers['set-cookie'], undefined);
    assert.equal((await sign('mr_wrong')).status, 401);
    assert.equal((await sign(7)).status, 400);
    assert.equal((await send(address, 'GET', '/v1/session')).status, 401);
  });
});

test('right tokens sign in as often as they like while there is no admin yet', async (t) => {
  const { address, adminToken } = await millrace(t);
  for (let times = 0; times < 30; times++) {
    assert.equal((await send(address, 'POST', '/v1/session', own(address), { token: adminToken })).status, 200);
  }
});

describe('the cookie', () => {
  test('is no use to other pages: not for reading, not for writing, not by a form', async (t) => {
    const { address, adminToken } = await millrace(t);
    const port = new URL(address).port;
    const cookie = `other=1; millrace_${port}=${adminToken}`;
    const tried = (method: string, headers: Record<string, string>) =>
      send(
        address,
        method,
        method === 'GET' ? '/v1/status' : '/v1/query',
        { cookie, ...headers },
        method === 'GET' ? undefined : { sql: 'SELECT 1' },
      );
    assert.equal((await tried('GET', {})).status, 200);
    assert.equal((await tried('GET', { 'sec-fetch-site': 'none' })).status, 200, 'typed into the address bar');
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://127.0.0.1:${Number(port) + 1}`, 'sec-fetch-site': 'same-origin' },
    ]) {
      for (const method of ['GET', 'POST']) {
        const answer = await tried(method, headers as unknown as Record<string, string>);
        assert.equal(answer.status, 403, `${method} ${JSON.stringify(headers)}`);
        assert.equal(answer.json<{ error: { code: string } }>().error.code, 'ORIGIN_REFUSED');
      }
    }
    assert.equal((await tried('POST', {})).status, 403, 'a write that does not say where it comes from');
    assert.equal((await tried('POST', { 'sec-fetch-site': 'none' })).status, 403);
  });

  test('is refused where the browser came by a foreign name (DNS rebinding), and a sign-in there too', async (t) => {
    const { address, adminToken, setupToken } = await millrace(t);
    const port = new URL(address).port;
    const foreign = { host: `evil.example:${port}`, origin: `http://evil.example:${port}`, 'sec-fetch-site': 'same-origin' };
    const answer = await send(address, 'GET', '/v1/status', { ...foreign, cookie: `millrace_${port}=${adminToken}` });
    assert.equal(answer.json<{ error: { code: string } }>().error.code, 'HOST_UNKNOWN');
    assert.equal((await send(address, 'POST', '/v1/session', foreign, { token: setupToken })).status, 403);
    const local = { host: `localhost:${port}`, cookie: `millrace_${port}=${adminToken}` };
    assert.equal((await send(address, 'GET', '/v1/status', local)).status, 200);
  });

  test('of another port, and a token in it that is unknown, open nothing', async (t) => {
    const { address, adminToken } = await millrace(t);
    const port = new URL(address).port;
    assert.equal((await send(address, 'GET', '/v1/status', { cookie: `millrace_1=${adminToken}` })).status, 401);
    assert.equal((await send(address, 'GET', '/v1/status', { cookie: `millrace_${port}=mr_unknown` })).status, 401);
    assert.equal((await send(address, 'GET', '/v1/status', { cookie: `millrace_${port}=` })).status, 401);
  });

  test('leaves programs with a bearer token alone, whatever their Host and Origin', async (t) => {
    const { address, adminToken } = await millrace(t);
    const headers = { authorization: `Bearer ${adminToken}`, host: 'millrace.internal', origin: 'https://elsewhere.example' };
    assert.equal((await send(address, 'GET', '/v1/status', headers)).status, 200);
  });
});
