import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Fastify from 'fastify';
import { catalogue, type Role } from '#core';
import { type Action, policy } from '#guard';
import { guarded } from '../../src/server/guarded.ts';
import { routes } from '../../src/server/routes/index.ts';
import { running } from './fixture.ts';

/** Routes that the requests below do not try one by one: what each is for. A route that stands in neither list is refused. */
const others = `
GET /v1/session status
POST /v1/session open
DELETE /v1/session open
GET /v1/answers catalog
POST /v1/answers/:name query
POST /v1/why query
GET /v1/dashboards catalog
GET /v1/dashboards/:name catalog
PUT /v1/dashboards/:name define
DELETE /v1/dashboards/:name define
GET /v1/dashboards/:name/versions catalog
GET /v1/dashboards/:name/versions/:version catalog
GET /v1/dashboards/:name/live catalog
GET /v1/dashboards/:name/tiles/:tile query
GET /v1/lineage catalog
GET /v1/metrics catalog
GET /v1/queries catalog
GET /v1/queries/:name catalog
PUT /v1/queries/:name define
DELETE /v1/queries/:name define
GET /v1/queries/:name/versions catalog
GET /v1/queries/:name/versions/:version catalog
POST /v1/dashboards/:name/share define
POST /v1/shared open
POST /v1/shared/tile open
GET /v1/models catalog
GET /v1/targets query
GET /v1/models/:name catalog
GET /v1/models/:name/export catalog
POST /v1/models/:name/predict query
POST /v1/models/:name/promote define
POST /v1/models/:name/rollback define
GET /v1/trainings catalog
POST /v1/trainings/:job/stop define
GET /v1/transfers catalog
GET /v1/transfers/:name catalog
GET /v1/transfers/:name/plan load
GET /v1/transfers/:name/preview load
GET /v1/transfers/:name/runs catalog
GET /v1/transfers/:name/state catalog
PUT /v1/transfers/:name/state define
POST /v1/transfers/:name/:verb load
POST /v1/transfers/guess connect
PUT /v1/transfers/:name connect
DELETE /v1/transfers/:name/run load
GET /v1/transfers/runs/:run load
GET /v1/uploads load
POST /v1/uploads load
POST /v1/uploads/:id/load load
POST /v1/uploads/:id/preview load
DELETE /v1/uploads/:id load
GET /v1/views catalog
POST /v1/views/sessions define
GET /v1/views/blast catalog
POST /v1/views/:view/audit define
POST /v1/views/:view/cancel define
`
  .trim()
  .split('\n');

/** Every other route but the doors': what it is for, in the guard's word, and a request that gets past the guard without doing anything. */
const table: readonly (readonly [method: string, url: string, action: Action | 'open', path?: string, body?: unknown])[] = [
  ['GET', '/health', 'open'],
  ['GET', '/ready', 'open'],
  ['POST', '/v1/login', 'open', '/v1/login', {}],
  ['GET', '/v1/status', 'status'],
  ['GET', '/metrics', 'metrics'],
  ['POST', '/v1/query', 'query', '/v1/query', {}],
  ['POST', '/v1/questions', 'query', '/v1/questions', {}],
  ['GET', '/v1/jobs', 'jobs'],
  ['GET', '/v1/jobs/:id', 'jobs', '/v1/jobs/none'],
  ['DELETE', '/v1/jobs/:id', 'jobs', '/v1/jobs/none'],
  ['POST', '/v1/load/:table', 'load', '/v1/load/raw.x', ''],
  ['GET', '/v1/catalog', 'catalog'],
  ['GET', '/v1/topics', 'catalog'],
  ['GET', '/v1/experiments/:name/assignment', 'assign', '/v1/experiments/none/assignment?unit=u'],
  ['GET', '/v1/topics/:topic', 'catalog', '/v1/topics/none'],
  ['PUT', '/v1/topics/:topic', 'define', '/v1/topics/Bad', 'x'],
  ['GET', '/v1/quarantine', 'quarantine_read'],
  ['GET', '/v1/quarantine/counts', 'quarantine_read'],
  ['POST', '/v1/quarantine/replay', 'replay', '/v1/quarantine/replay', { ids: [] }],
  ['GET', '/v1/tokens', 'tokens'],
  ['POST', '/v1/tokens', 'tokens', '/v1/tokens', {}],
  ['DELETE', '/v1/tokens/:name', 'tokens', '/v1/tokens/none'],
];

describe('the guard stands before every route', () => {
  test('each route asks for exactly what this table says', async () => {
    const app = Fastify();
    const found: string[] = [];
    app.addHook('onRoute', ({ method, url, config }) => {
      if (method !== 'HEAD') found.push(`${method} ${url} ${config?.action}`);
    });
    const front = { workspace: { path: '/nowhere', dataPath: '/nowhere' }, guard: {}, intake: { counts: new Map() } };
    app.decorate('uptime', () => 0);
    for (const route of routes) route(app, front as never);
    await app.ready();
    const known = new Set(table.map(([method, url, action]) => `${method} ${url} ${action}`));
    assert.deepEqual(
      [...known].filter((line) => !found.includes(line)),
      [],
    );
    // A page of the console is open: it holds nothing before the session has begun.
    const isPage = (line: string) => /^GET \/(?!v1\/|metrics)\S* open$/.test(line);
    assert.deepEqual(found.filter((line) => !known.has(line) && !isPage(line)).sort(), [...others].sort());
    await app.close();
  });

  test('a route that names no action can not be registered', () => {
    const app = Fastify();
    guarded(app, {} as never);
    assert.throws(() => app.get('/v1/secret', async () => 'x'), /names no action/);
    assert.throws(() => app.get('/v1/secret', { config: {} }, async () => 'x'), /names no action/);
  });

  test('no role gets where the policy does not let it, and each where it does; without a token nobody gets anywhere', async (t) => {
    const { call, token } = await running(t, { topics: { orders: 'id: id', other: '{}' } });
    const roles: Role[] = ['admin', 'editor', 'viewer', 'write'];
    const tokens = new Map<Role, string>();
    for (const role of roles) tokens.set(role, await token(role, role === 'write' ? ['orders'] : undefined));
    for (const [method, url, action, path = url, body] of table) {
      const asked = {
        ...(body === undefined ? {} : { body }),
        ...(url.startsWith('/v1/load') ? { headers: { 'content-type': 'text/csv' } } : {}),
      };
      for (const role of roles) {
        const reply = await call(method, path, { ...asked, token: tokens.get(role)! });
        const allowed = action === 'open' || policy[action][role] !== 'none';
        assert.equal(reply.code === 'NOT_ALLOWED', !allowed, `${role} ${method} ${url}: ${reply.status} ${reply.code}`);
        if (action !== 'open') assert.notEqual(reply.status, 401, `${role} ${method} ${url}`);
        assert.notEqual(reply.code, 'INTERNAL', `${role} ${method} ${url}: ${reply.text}`);
      }
      if (action === 'open') continue;
      assert.equal((await call(method, path, { ...asked, token: null })).code, 'TOKEN_MISSING', `${method} ${url}`);
      const wrong = await call(method, path, { ...asked, token: `${tokens.get('admin')}x` });
      assert.ok(wrong.code === 'TOKEN_INVALID' || wrong.code === 'TOKEN_TRIES', `${method} ${url}: ${wrong.status} ${wrong.code}`);
    }
    for (const role of roles) {
      const record = await call('POST', '/v1/topics/orders/records', { body: { id: '1' }, token: tokens.get(role)! });
      assert.equal(record.status, role === 'viewer' ? 403 : 200, role);
    }
    const elsewhere = await call('POST', '/v1/topics/other/records', { body: {}, token: tokens.get('write')! });
    assert.deepEqual([elsewhere.status, elsewhere.code], [403, 'NOT_ALLOWED']);
    const unknown = await call('POST', '/v1/topics/none/records', { body: {}, token: tokens.get('write')! });
    assert.equal(unknown.code, 'NOT_ALLOWED', 'a write key learns nothing of other topics');
  });

  test('every error is coded and has the catalogue’s status; a retryable one says when', async (t) => {
    const { call } = await running(t, { topics: { orders: 'id: id' } });
    const refusals: [string, string, string, unknown?, Record<string, string>?][] = [
      ['ROUTE_UNKNOWN', 'GET', '/v1/nothing'],
      ['ROUTE_UNKNOWN', 'GET', '/v1/topics/orders/records'],
      ['ROUTE_UNKNOWN', 'DELETE', '/v1/query'],
      ['REQUEST_INVALID', 'POST', '/v1/query', '{', { 'content-type': 'application/json' }],
      ['REQUEST_INVALID', 'POST', '/v1/query', 'x', { 'content-type': 'application/xml' }],
      ['QUERY_BODY', 'POST', '/v1/query', []],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 1 }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT 1', params: 'x' }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT $1', params: [{}] }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT 1', limits: { rows: -1 } }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT 1', limits: { rows: 1.5 } }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT 1', limits: { wishes: 3 } }],
      ['QUERY_BODY', 'POST', '/v1/query', { sql: 'SELECT 1', job: 'no/slash' }],
      ['QUERY_FORMAT', 'POST', '/v1/query', { sql: 'SELECT 1', format: 'xls' }],
      ['SQL_EMPTY', 'POST', '/v1/query', { sql: ' -- nothing' }],
      ['SQL_SYNTAX', 'POST', '/v1/query', { sql: 'SELEC 1' }],
      ['SQL_TABLE', 'POST', '/v1/query', { sql: 'SELECT * FROM nothing' }],
      ['SQL_TABLE', 'POST', '/v1/query', { sql: "SELECT * FROM '/etc/passwd'" }],
      ['SQL_TABLE', 'POST', '/v1/query', { sql: 'SELECT * FROM millrace.quarantine' }],
      ['SQL_FAILED', 'POST', '/v1/query', { sql: 'SELECT nothing FROM raw.orders' }],
      ['SQL_FAILED', 'POST', '/v1/query', { sql: "SELECT CAST('x' AS INTEGER)" }],
      ['SQL_PARAMETERS', 'POST', '/v1/query', { sql: 'SELECT $1, $2', params: [1] }],
      ['JOB_UNKNOWN', 'GET', '/v1/jobs/none'],
      ['TOPIC_UNKNOWN', 'GET', '/v1/topics/none'],
      ['TOPIC_UNKNOWN', 'POST', '/v1/topics/none/records', {}],
      ['TOPIC_NAME', 'POST', '/v1/topics/..%2F..%2Fetc/records', {}],
      ['TOPIC_NAME', 'PUT', '/v1/topics/Bad', '{}'],
      ['DEFINITION_INVALID', 'PUT', '/v1/topics/fine', 'fields: {a: money}'],
      ['TOKEN_NAME', 'POST', '/v1/tokens', { name: 'x', role: 'god' }],
      ['TOKEN_UNKNOWN', 'DELETE', '/v1/tokens/none'],
      ['LOAD_FORMAT', 'POST', '/v1/load/main.t?format=xls', 'x', { 'content-type': 'text/csv' }],
      ['TABLE_NAME', 'POST', '/v1/load/raw.orders', 'a\n1\n', { 'content-type': 'text/csv' }],
      ['BODY_GZIP', 'POST', '/v1/load/main.t', 'not gzip', { 'content-type': 'text/csv', 'content-encoding': 'gzip' }],
      ['BODY_ENCODING', 'POST', '/v1/load/main.t', 'a\n1\n', { 'content-type': 'text/csv', 'content-encoding': 'br' }],
      ['BODY_ENCODING', 'POST', '/v1/uploads?name=t.csv', 'a\n1\n', { 'content-type': 'text/csv', 'content-encoding': 'br' }],
      ['SETUP_TOKEN', 'POST', '/v1/login', { token: 'mr_wrong' }],
    ];
    for (const [code, method, path, body, headers = {}] of refusals) {
      const reply = await call(method, path, { ...(body === undefined ? {} : { body }), headers });
      const entry = catalogue[code as keyof typeof catalogue];
      assert.deepEqual([reply.code, reply.status], [code, entry.status], `${method} ${path} ${JSON.stringify(body)}: ${reply.text}`);
      const { error } = reply.json as { error: { message: string; remedy: string; retryable: boolean } };
      assert.ok(error.message.length > 10 && error.remedy === entry.remedy && error.retryable === entry.retryable);
    }
  });
});
