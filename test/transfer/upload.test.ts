import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { TransferRun, UploadAnswer } from '#server';
import { type Reply, type Running, running, until, workspaceIn } from '../server/fixture.ts';

const CSV = '주문,날짜,금액\n1,13/01/2024,"1,50"\n2,14/01/2024,"2,75"\n3,02/01/2024,"3,00"\n';

describe('a dropped file', () => {
  let server: Running;
  const ends: (() => unknown)[] = [];
  before(async () => {
    const later = { after: (end: unknown) => ends.unshift(end as () => unknown) };
    server = await running(later as never, { settings: 'transfer: { upload_bytes: 2MiB }\n' });
  });
  after(async () => {
    for (const end of ends) await end();
  });

  async function drop(body: string | Uint8Array, name = 'orders.csv', headers: Record<string, string> = {}): Promise<UploadAnswer> {
    const { status, json, text } = await server.call('POST', `/v1/uploads?name=${encodeURIComponent(name)}`, { body, headers });
    assert.equal(status, 200, text);
    return json;
  }

  async function load(upload: string, body: object): Promise<TransferRun> {
    const begun = await server.call('POST', `/v1/uploads/${upload}/load`, { body });
    assert.equal(begun.status, 200, begun.text);
    let run: TransferRun;
    await until(async () => {
      run = (await server.call('GET', `/v1/transfers/runs/${(begun.json as { run: string }).run}`)).json;
      return run.state !== 'running';
    });
    return run!;
  }

  test('is guessed with its types and first rows, and loaded into a table', async () => {
    const { upload, name, bytes, guess, rows } = await drop(CSV);
    assert.deepEqual(
      { name, bytes, kind: guess.kind, options: guess.options },
      {
        name: 'orders.csv',
        bytes: Buffer.byteLength(CSV),
        kind: 'csv',
        options: { encoding: 'utf-8', delimiter: ',', quote: '"', header: 'yes', dates: 'dmy', decimal: 'comma' },
      },
    );
    assert.deepEqual(
      guess.columns.map(({ name, type }) => [name, type]),
      [
        ['주문', 'BIGINT'],
        ['날짜', 'DATE'],
        ['금액', 'DECIMAL(18,2)'],
      ],
    );
    assert.deepEqual(rows[0], ['1', '2024-01-13', '1.50']);
    const run = await load(upload, { table: 'mart.orders', mode: 'replace' });
    assert.deepEqual([run.state, run.report?.tables[0]?.rows, run.report?.tables[0]?.parity?.equal], ['done', 3, true]);
    assert.deepEqual(await server.ask('SELECT sum("금액") AS total, max("날짜") AS last FROM mart.orders'), [[7.25, '2024-01-14']]);
  });

  test('is shown again with types and a dialect that the user chose, and what no longer fits', async () => {
    const { upload } = await drop('a;b\n007;x\n008;y\nnone;z\n');
    const looked = await server.call('POST', `/v1/uploads/${upload}/preview`, { body: { types: { a: 'bigint' } } });
    const { guess, rows, refused } = looked.json as UploadAnswer;
    assert.deepEqual(guess.columns[0], {
      name: 'a',
      type: 'BIGINT',
      note: 'no record tells whether the first one is a row or the names; the option "header" decides',
    });
    assert.deepEqual(rows, [
      ['7', 'x'],
      ['8', 'y'],
    ]);
    assert.deepEqual(refused, [{ line: 4, reason: 'The value none of "a" does not fit BIGINT' }]);
    const whole = (await server.call('POST', `/v1/uploads/${upload}/preview`, { body: { options: { delimiter: ',', header: 'no' } } }))
      .json as UploadAnswer;
    assert.deepEqual(whole.rows[0], ['a;b']);
  });

  test('is appended twice, and merged by key', async () => {
    const { upload } = await drop('id,v\n1,a\n2,b\n');
    await load(upload, { table: 'twice', mode: 'append' });
    await load(upload, { table: 'main.twice', mode: 'append' });
    assert.deepEqual(await server.ask('SELECT count(*) FROM twice'), [[4]]);
    const newer = await drop('id,v\n2,c\n3,d\n');
    await load(upload, { table: 'merged', mode: 'merge', key: ['id'] });
    const run = await load(newer.upload, { table: 'merged', mode: 'merge', key: ['id'] });
    assert.deepEqual(run.report?.tables[0]?.replaced, 1);
    assert.deepEqual(await server.ask('SELECT id, v FROM merged ORDER BY id'), [
      [1, 'a'],
      [2, 'c'],
      [3, 'd'],
    ]);
  });

  test('that is sent packed counts unpacked, and one beyond the limit leaves nothing on the disk', async () => {
    const small = await drop(gzipSync('a\n1\n'), 'x.csv', { 'content-encoding': 'gzip' });
    assert.equal(small.bytes, 4);
    const kept = readdirSync(join(server.path, '.millrace', 'uploads')).length;
    const refused = await server.call('POST', '/v1/uploads', {
      body: gzipSync(Buffer.alloc(3 * 1024 * 1024, 'a,')),
      headers: { 'content-encoding': 'gzip' },
    });
    assert.deepEqual([refused.status, refused.code], [413, 'UPLOAD_SIZE']);
    assert.equal(readdirSync(join(server.path, '.millrace', 'uploads')).length, kept);
  });

  test('has a name that is only shown, whatever it holds', async () => {
    const { name, upload, guess } = await drop('a\n1\n', '../../etc/passwd\u0000<b>');
    assert.deepEqual([name, guess.table], ['../../etc/passwd <b>', 'file']);
    assert.match(upload, /^[0-9a-f-]{36}$/);
    assert.deepEqual(readdirSync(join(server.path, '.millrace', 'uploads', upload)), ['file']);
  });

  const refusals: [string, string, object, string][] = [
    ['a path among its options', 'preview', { options: { path: '/etc/passwd' } }, 'REQUEST_INVALID'],
    ['a reference to a secret', 'preview', { options: { encoding: { env: 'PATH' } } }, 'REQUEST_INVALID'],
    ['a source that is no file', 'preview', { kind: 'mysql' }, 'REQUEST_INVALID'],
    ['an option that the kind does not have', 'preview', { options: { host: 'x' } }, 'TRANSFER_OPTION'],
    ['a type that is SQL', 'preview', { types: { a: 'INT); DROP TABLE x' } }, 'REQUEST_INVALID'],
    ['a table that is not in it', 'preview', { table: 'other' }, 'TRANSFER_TABLE'],
    ['a target that is SQL', 'load', { table: 'x;y', mode: 'replace' }, 'TABLE_NAME'],
    ['a merge without a key', 'load', { table: 'x', mode: 'merge' }, 'REQUEST_INVALID'],
    ['an unknown mode', 'load', { table: 'x', mode: 'toString' }, 'REQUEST_INVALID'],
  ];
  for (const [what, verb, body, code] of refusals) {
    test(`with ${what} is refused`, async () => {
      const { upload } = await drop('a\n1\n');
      const reply: Reply = await server.call('POST', `/v1/uploads/${upload}/${verb}`, { body });
      assert.equal(reply.code, code, reply.text);
    });
  }

  test('that would go into a schema of Millrace fails as a run, with the reason', async () => {
    const { upload } = await drop('a\n1\n');
    const run = await load(upload, { table: 'raw.events', mode: 'append' });
    assert.deepEqual([run.state, run.report?.error?.code], ['failed', 'TABLE_NAME']);
  });

  test('is gone when it is deleted, and viewers see none', async () => {
    const { upload } = await drop('a\n1\n');
    const viewer = await server.token('viewer');
    assert.equal((await server.call('POST', `/v1/uploads/${upload}/preview`, { token: viewer, body: {} })).status, 403);
    assert.equal((await server.call('POST', '/v1/uploads', { token: viewer, body: 'a\n1\n' })).status, 403);
    const editor = await server.token('editor');
    assert.equal((await server.call('DELETE', `/v1/uploads/${upload}`, { token: editor })).status, 200);
    assert.equal((await server.call('POST', `/v1/uploads/${upload}/preview`, { body: {} })).code, 'UPLOAD_UNKNOWN');
  });
});

test('the note of a load that was cut off by a power cut does not keep Millrace from starting, and goes with its file', async (t) => {
  const path = workspaceIn(t);
  const folder = join(path, '.millrace', 'uploads', 'b3f0e7c2-0000-4000-8000-000000000000');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'file'), CSV);
  writeFileSync(join(folder, 'loading.json'), '');
  const server = await running(t, { path });
  await until(async () => !existsSync(folder));
  assert.deepEqual((await server.call('GET', '/v1/uploads')).json, { uploads: [] });
});
