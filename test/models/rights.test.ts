import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Running, running, until } from '../server/fixture.ts';

const LINE = `OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT i % 40 AS x, 2 * (i % 40) AS y FROM range(400) r(i)`;
const LONG = `OPTIONS(input_label_cols = ['y'], budget = '10 minutes') AS SELECT i % 40 AS x, i % 7 AS z, 2 * (i % 40) AS y FROM range(4000) r(i)`;

describe('who may do what with models over HTTP', { timeout: 120_000 }, () => {
  const clean: (() => unknown)[] = [];
  let server: Running;
  let maker: string;
  let viewer: string;
  before(async () => {
    server = await running({ after: (fn: unknown) => void clean.push(fn as () => unknown) });
    const models = ['lab.m', 'main.m', 'main.m'].map((name) => `CREATE OR REPLACE MODEL ${name} ${LINE}`);
    for (const sql of ['CREATE SCHEMA lab', ...models]) assert.ok(Array.isArray(await server.ask(sql)), sql);
    const token = async (name: string, role: string) =>
      ((await server.call('POST', '/v1/tokens', { body: { name, role } })).json as { token: string }).token;
    [maker, viewer] = [await token('maker', 'editor'), await token('viewer', 'viewer')];
    mkdirSync(join(server.path, 'grants'), { recursive: true });
    writeFileSync(join(server.path, 'grants', 'maker.yaml'), `token: maker\nread: ['*']\nwrite: [lab.m, lab.other, lab.long]\n`);
  });
  after(async () => {
    for (const fn of clean.reverse()) await fn();
  });

  const champion = async (name: string) =>
    ((await server.call('GET', '/v1/models')).json as { models: { name: string; aliases: Record<string, number> }[] }).models.find(
      (each) => each.name === name,
    )?.aliases['champion'];
  const audited = (on: string) =>
    readFileSync(join(server.path, '.millrace', 'audit.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { who: string; on?: string; outcome: string })
      .filter((line) => line.who === 'maker' && line.on === on)
      .map(({ outcome }) => outcome);

  test('an editor promotes and rolls back where he may write, as with ALTER MODEL', async () => {
    const body = { alias: 'champion' };
    for (const name of ['m@1', 'main.m@1'])
      assert.equal((await server.call('POST', `/v1/models/${name}/promote`, { token: maker, body })).code, 'SQL_WRITE', name);
    assert.equal((await server.call('POST', '/v1/models/m/rollback', { token: maker, body: {} })).code, 'SQL_WRITE');
    assert.equal(await server.ask(`ALTER MODEL m@1 SET OPTIONS(alias = 'champion')`, {}, maker), 'SQL_WRITE');
    assert.equal(await champion('main.m'), 2);
    assert.equal((await server.call('POST', '/v1/models/lab.m@1/promote', { token: maker, body: { alias: 'kept' } })).status, 200);
    assert.equal((await server.call('POST', '/v1/models/m/rollback', { body: {} })).status, 200);
    assert.equal(await champion('main.m'), 1);
  });

  test('a model is renamed to what he may write only', async () => {
    assert.equal(await server.ask('ALTER MODEL lab.m RENAME TO theirs', {}, maker), 'SQL_WRITE');
    assert.ok(Array.isArray(await server.ask('ALTER MODEL lab.m RENAME TO other', {}, maker)));
    assert.ok(Array.isArray(await server.ask('ALTER MODEL lab.other RENAME TO m', {}, maker)));
  });

  test('the audit log tells what was refused from what was done', () => {
    assert.deepEqual(audited('model m@1: promote champion'), ['failed']);
    assert.deepEqual(audited('model m: roll back'), ['failed']);
    assert.deepEqual(audited('model lab.m@1: promote kept'), ['done']);
  });

  test('a training is stopped by whom it belongs to, and by an admin', async () => {
    const hasBest = async (job: string) => {
      const { trainings } = (await server.call('GET', '/v1/trainings')).json as {
        trainings: { job: string; progress: { best: unknown } | null }[];
      };
      return trainings.some((each) => each.job === job && each.progress?.best != null);
    };
    const theirs = server.ask(`CREATE MODEL main.long ${LONG}`, { job: 'theirs' });
    await until(() => hasBest('theirs'));
    assert.equal((await server.call('POST', '/v1/trainings/theirs/stop', { token: maker })).code, 'NOT_ALLOWED');
    assert.equal((await server.call('POST', '/v1/trainings/none/stop', { token: maker })).code, undefined);
    assert.deepEqual((await server.call('POST', '/v1/trainings/theirs/stop')).json, { stopping: true });
    assert.ok(Array.isArray(await theirs));
    const own = server.ask(`CREATE MODEL lab.long ${LONG}`, { job: 'own' }, maker);
    await until(() => hasBest('own'));
    assert.deepEqual((await server.call('POST', '/v1/trainings/own/stop', { token: maker })).json, { stopping: true });
    assert.ok(Array.isArray(await own));
  });

  test('rows of the training are in no export but an admin’s', async () => {
    const golden = async (token?: string) =>
      (
        (await server.call('GET', '/v1/models/m/export?format=json', token === undefined ? {} : { token })).json as {
          golden: { rows: unknown[]; answers: unknown[] };
        }
      ).golden;
    for (const token of [viewer, maker]) assert.deepEqual(await golden(token), { rows: [], answers: [] });
    assert.ok((await golden()).rows.length > 100);
    for (const format of ['js', 'onnx'])
      assert.equal((await server.call('GET', `/v1/models/m/export?format=${format}`, { token: viewer })).status, 200);
  });
});
