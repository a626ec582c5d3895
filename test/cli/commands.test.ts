import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { writeRunning } from '../../src/cli/running.ts';
import { type Answer, fakeServer, millrace } from './fixture.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const remote = (address: string) => ({ MILLRACE_ADDRESS: address, MILLRACE_TOKEN: 'mr_test' });
const accepted = (count: number) => ({ status: 200, body: { accepted: count, rejected: 0, undeduplicated: 0, rejections: [] } });
const busy = { status: 503, body: { error: { code: 'STOPPING', message: 'x', remedy: 'y', retryable: true, params: {} } } };

describe('millrace model train', () => {
  test('asks for the model as SQL, with the options that were given', async (t) => {
    const { requests, address } = await fakeServer(t, ({ path }) =>
      path === '/v1/query'
        ? { status: 200, body: { columns: [], rows: [['main.stays', 1, 'champion']] } }
        : { status: 200, body: { trainings: [] } },
    );
    const words = ['model', 'train', 'mart.visits', '--predict', 'left', '--name', 'stays', '--ignore', 'id', '--seed'];
    const { code, stdout } = await millrace([...words, '7'], { env: remote(address) });
    assert.deepEqual({ code, first: stdout.split('\n')[0] }, { code: 0, first: 'main.stays version 1 is its champion' });
    assert.equal(
      JSON.parse(requests.find(({ path }) => path === '/v1/query')!.body).sql,
      `CREATE OR REPLACE MODEL "stays" OPTIONS(input_label_cols = ['left'], ignore_cols = ['id'], seed = 7, alias = 'champion') AS SELECT * FROM "mart"."visits"`,
    );
    assert.match((await millrace([...words, 'any'], { env: remote(address) })).stderr, /a whole number is needed/);
  });
});

describe('millrace send', () => {
  test('sends a batch again with the same Idempotency-Key after a cut connection and a 503, and other batches with other keys', async (t) => {
    const answers = ['drop' as const, busy, accepted(2), accepted(1)];
    const { requests, address } = await fakeServer(t, (_request, number) => answers[number - 1]!);
    const { code, stdout } = await millrace(['send', 'events', '--batch', '2'], {
      stdin: '{"a":1}\n{"a":2}\n{"a":3}\n',
      env: remote(address),
    });
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '3 accepted\n' });
    assert.deepEqual(
      requests.map(({ body }) => body),
      [...Array(3).fill('{"a":1}\n{"a":2}\n'), '{"a":3}\n'],
    );
    const keys = requests.map(({ headers }) => headers['idempotency-key']);
    assert.equal(new Set(keys.slice(0, 3)).size, 1);
    assert.notEqual(keys[3], keys[0]);
    assert.deepEqual(new Set(requests.map(({ path }) => path)), new Set(['/v1/topics/events/records']));
    assert.deepEqual(new Set(requests.map(({ headers }) => headers.authorization)), new Set(['Bearer mr_test']));
  });

  test('lists rejected records by their line in the file and ends with 1', async (t) => {
    const rejections = [{ index: 1, code: 'RECORD_JSON', reason: 'no JSON' }];
    const { address } = await fakeServer(t, () => ({
      status: 207,
      body: { accepted: 1, rejected: 1, undeduplicated: 1, unkept: 1, rejections },
    }));
    const file = join(folder(t), 'records.ndjson');
    writeFileSync(file, '{"a":1}\n\n{"b"\n');
    const { code, stdout, stderr } = await millrace(['send', 'events', file], { env: remote(address) });
    assert.equal(code, 1);
    assert.match(stderr, /line 3: RECORD_JSON {2}no JSON/);
    assert.match(stdout, /^1 accepted, 1 rejected .*, 1 of them not in quarantine.*, 1 without an id/);
  });

  test('takes a 400 that lists rejections as an answer, and any other error as an error, at once', async (t) => {
    const none = { accepted: 0, rejected: 1, undeduplicated: 0, rejections: [{ index: 0, code: 'RECORD_JSON', reason: 'no JSON' }] };
    const unknown = { error: { code: 'TOPIC_UNKNOWN', message: 'x', remedy: 'y', retryable: false, params: { topic: 'evnts' } } };
    const { requests, address } = await fakeServer(t, ({ path }) =>
      path.includes('evnts') ? { status: 404, body: unknown } : { status: 400, body: none },
    );
    assert.match((await millrace(['send', 'events'], { stdin: '{', env: remote(address) })).stdout, /^0 accepted, 1 rejected/);
    const failed = await millrace(['send', 'evnts'], { stdin: '{}', env: remote(address) });
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /TOPIC_UNKNOWN {2}There is no topic "evnts"\./);
    assert.equal(requests.length, 2);
  });

  test('says that an array is cut off between two records, beside how many were accepted', async (t) => {
    const { requests, address } = await fakeServer(t, ({ body }) => ({
      status: 200,
      body: { accepted: body.split('\n').length - 1, rejected: 0, undeduplicated: 0, rejections: [] },
    }));
    for (const stdin of ['[{"a":1},{"a":2}', '[{"a":1},\n{"a":2},\n']) {
      const { code, stdout, stderr } = await millrace(['send', 'events'], { stdin, env: remote(address) });
      assert.deepEqual([code, stdout], [1, '2 accepted\n']);
      assert.match(stderr, /BODY_JSON {2}.*the array is not closed: the file seems to be cut off/);
    }
    assert.equal((await millrace(['send', 'events'], { stdin: '[', env: remote(address) })).code, 1);
    for (const stdin of ['[{"a":1},{"a":2}]', '[{"a":1},5]', ' [5] ', '[{"a":[1]}]\n']) {
      const { code, stderr } = await millrace(['send', 'events'], { stdin, env: remote(address) });
      assert.equal(code, 0, `${stdin}: ${stderr}`);
    }
    assert.equal(requests.length, 6);
  });

  test('sends and loads to the end where nobody reads any more what it prints', async (t) => {
    const rejections = [{ index: 0, code: 'RECORD_JSON', reason: 'no JSON' }];
    const { requests, address } = await fakeServer(t, ({ path }) =>
      path.startsWith('/v1/load')
        ? { status: 200, body: { table: 'main.x', rows: 1, batch: requests.length, columns: [] } }
        : { status: 207, body: { accepted: 0, rejected: 1, undeduplicated: 0, rejections } },
    );
    const at = folder(t);
    const file = join(at, 'x.ndjson');
    writeFileSync(file, '{"a":1}\n'.repeat(30));
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const ended = (words: readonly string[], stdio: 'stdout' | 'stderr') =>
      new Promise<number | null>((resolve) => {
        const child = spawn(process.execPath, ['--conditions=source', main, ...words], { env: { ...process.env, ...remote(address) } });
        child.stdin.end();
        child[stdio].destroy();
        child.on('close', resolve);
      });
    assert.equal(await ended(['send', 'events', file, '--batch', '1'], 'stderr'), 1);
    assert.equal(requests.length, 30);
    assert.equal(await ended(['load', 'x', file, file, file], 'stdout'), 0);
    assert.equal(requests.length, 33);
  });

  test('gives up after --retry-seconds with the server’s own error', async (t) => {
    const { address } = await fakeServer(t, () => busy);
    const { code, stderr } = await millrace(['send', 'events', '--retry-seconds', '0.3'], { stdin: '{}', env: remote(address) });
    assert.equal(code, 1);
    assert.match(stderr, /STOPPING/);
  });

  test('refuses an empty input, an absent file and a batch out of range', async () => {
    assert.match((await millrace(['send', 'events'], { stdin: '', env: remote('http://127.0.0.1:9') })).stderr, /BODY_EMPTY/);
    const absent = await millrace(['send', 'events', '/nowhere.ndjson'], { env: remote('http://127.0.0.1:9') });
    assert.deepEqual([absent.code, absent.stderr.split('\n')[0]], [2, "OPTION_VALUE  FILE can't be /nowhere.ndjson: it is not there."]);
    assert.equal((await millrace(['send', 'events', '--batch', '0'], { env: remote('http://127.0.0.1:9') })).code, 2);
  });
});

describe('millrace sql', () => {
  test('says that what it prints can’t be written, and sends to the end all the same', { skip: !existsSync('/dev/full') }, async (t) => {
    const { requests, address } = await fakeServer(t, () => ({
      status: 200,
      body: { accepted: 1, rejected: 0, undeduplicated: 0, rejections: [] },
    }));
    const file = join(folder(t), 'x.ndjson');
    writeFileSync(file, '{"a":1}\n'.repeat(5));
    const full = openSync('/dev/full', 'w');
    t.after(() => closeSync(full));
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--conditions=source', main, 'send', 'events', file, '--batch', '1'], {
      env: { ...process.env, ...remote(address) },
      stdio: ['ignore', full, 'pipe'],
    });
    const [said, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
    assert.deepEqual([code, requests.length], [1, 5]);
    assert.match(said, /The output can’t be written: ENOSPC/);
    assert.doesNotMatch(said, /\n {4}at /, 'no stack');
  });

  test('names the folder that is not there for --output', async (t) => {
    const { address } = await fakeServer(t, () => ({ status: 200, body: '1\n' }));
    const words = ['sql', 'SELECT 1', '--format', 'csv', '--output', '/nowhere/x.csv'];
    const { code, stderr } = await millrace(words, { env: remote(address) });
    assert.deepEqual([code, stderr.split('\n')[0]], [2, "OPTION_VALUE  --output can't be /nowhere/x.csv: its folder is not there."]);
  });

  const answer = (more: object) =>
    `{"job":"j","columns":[{"name":"n","type":"BIGINT"}],"rows":[[9007199254740993],[2],[3]],"row_count":3,"truncated":false,"elapsed_ms":4.2${JSON.stringify(more).slice(1, -1) ? `,${JSON.stringify(more).slice(1, -1)}` : ''}}`;

  test('prints a table with all digits and says what it leaves out', async (t) => {
    const { requests, address } = await fakeServer(t, () => ({ status: 200, body: answer({}) }));
    const { code, stdout } = await millrace(['sql', 'SELECT n FROM t', '--limit', '1'], { env: remote(address) });
    assert.equal(code, 0);
    assert.match(stdout, /9,007,199,254,740,993\n… 2 more rows\n3 rows in 4 ms\n$/);
    assert.equal(JSON.parse(requests[0]!.body).sql, 'SELECT n FROM t');
  });

  test('cuts nothing of what explains, nor of an answer of one row', async (t) => {
    const long = `add date_trunc('minute', _time) to it: ${'x'.repeat(80)}`;
    const told = (rows: string[][], columns = ['aspect', 'detail']) => ({
      status: 200,
      body: {
        job: 'j',
        columns: columns.map((name) => ({ name, type: 'VARCHAR' })),
        rows,
        row_count: rows.length,
        truncated: false,
        elapsed_ms: 1,
      },
    });
    const ask = async (answer: Answer, ...words: string[]) =>
      (await millrace(['sql', ...words], { env: remote((await fakeServer(t, () => answer)).address), columns: 40 })).stdout;
    const explained = told([
      ['kept', 'as a whole'],
      ['because', long],
      ['because', '┌──┐\n│\u001b[2J│\n'],
    ]);
    const lines = `kept     as a whole\nbecause  ${long}\n         ┌──┐\n         │�[2J│\n`;
    assert.equal(await ask(explained, ' explain MATERIALIZED VIEW mart.a'), `${lines}3 rows in 1 ms\n`);
    assert.equal(await ask(explained, '--explain-refusal', 'SELECT 1'), `${lines}3 rows in 1 ms\n`);
    const made = told([['mart.a', long]], ['view', 'reasons']);
    assert.equal(await ask(made, 'CREATE MATERIALIZED VIEW mart.a AS SELECT 1'), `view     mart.a\nreasons  ${long}\n1 row in 1 ms\n`);
  });

  test('sends parameters as text, whatever stands in them, and refuses what is none', async (t) => {
    const { requests, address } = await fakeServer(t, () => ({ status: 200, body: answer({}) }));
    const words = ['sql', 'SELECT $a, $b, $1', '--param', 'a=x, y = z', '--param=$b=007', '--param', '1='];
    const { code, stderr } = await millrace(words, { env: remote(address) });
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(requests[0]!.body).params, { a: 'x, y = z', b: '007', 1: '' });
    for (const wrong of [['a'], ['=b'], ['a b=c'], ['a=1', 'a=2']]) {
      const refused = await millrace(['sql', 'SELECT 1', ...wrong.flatMap((word) => ['--param', word])], { env: remote(address) });
      assert.deepEqual([refused.code, refused.stderr.slice(0, 12)], [2, 'OPTION_VALUE'], wrong.join(' '));
    }
    assert.equal(requests.length, 1);
  });

  test('reads the statement from standard input and passes other formats on byte by byte', async (t) => {
    const csv = 'n,s\n1.10,"가\n나"\n';
    const { requests, address } = await fakeServer(t, () => ({ status: 200, body: csv }));
    const { stdout } = await millrace(['sql', '-', '--format', 'csv', '--limit', '5'], { stdin: 'SELECT 1', env: remote(address) });
    assert.equal(stdout, csv);
    assert.deepEqual(JSON.parse(requests[0]!.body), { sql: 'SELECT 1', format: 'csv', limits: { rows: 5 } });
  });

  test('writes to a file with --output', async (t) => {
    const { address } = await fakeServer(t, () => ({ status: 200, body: 'PAR1' }));
    const file = join(folder(t), 'a.parquet');
    const { stdout } = await millrace(['sql', 'SELECT 1', '--format', 'parquet', '--output', file], { env: remote(address) });
    assert.equal(stdout, '');
    assert.equal(readFileSync(file, 'utf8'), 'PAR1');
  });

  test('shows no rows of an answer that failed in its middle', async (t) => {
    const error = { code: 'QUERY_TIMEOUT', message: 'x', remedy: 'y', retryable: false, params: { seconds: 5 } };
    const { address } = await fakeServer(t, () => ({ status: 200, body: answer({ error }) }));
    const { code, stdout, stderr } = await millrace(['sql', 'SELECT 1'], { env: remote(address) });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.match(stderr, /QUERY_TIMEOUT {2}The query ran longer than 5 s/);
  });
});

describe('millrace load', () => {
  test('uploads each file with its format and only begins the table once', async (t) => {
    const { requests, address } = await fakeServer(t, ({ body }, number) =>
      number === 1 ? busy : { status: 200, body: { table: 'mart.o', rows: body.split('\n').length - 1, batch: number, columns: [] } },
    );
    const path = folder(t);
    writeFileSync(join(path, 'a.csv'), 'x\n1\n2\n');
    writeFileSync(join(path, 'b.ndjson'), '{"x":3}\n');
    const { code, stdout } = await millrace(['load', 'mart.o', join(path, 'a.csv'), join(path, 'b.ndjson'), '--mode', 'replace'], {
      env: remote(address),
    });
    assert.equal(code, 0);
    assert.match(stdout, /a\.csv: 3 rows into mart\.o\n.*b\.ndjson: 1 rows into mart\.o\n/);
    assert.deepEqual(
      requests.map((request) => [request.path, request.body]),
      [
        ['/v1/load/mart.o?format=csv&mode=replace', 'x\n1\n2\n'],
        ['/v1/load/mart.o?format=csv&mode=replace', 'x\n1\n2\n'],
        ['/v1/load/mart.o?format=ndjson&mode=append', '{"x":3}\n'],
      ],
    );
    assert.equal(requests[0]!.headers['idempotency-key'], requests[1]!.headers['idempotency-key']);
  });

  test('refuses a file whose ending says nothing, before anything is sent', async (t) => {
    const { requests, address } = await fakeServer(t, () => busy);
    const path = folder(t);
    for (const name of ['a.csv', 'b.xyz']) writeFileSync(join(path, name), 'x\n1\n');
    const { code, stderr } = await millrace(['load', 't', join(path, 'a.csv'), join(path, 'b.xyz')], { env: remote(address) });
    assert.equal(code, 2);
    assert.match(stderr, /b\.xyz: its ending does not say what it is/);
    assert.equal(requests.length, 0);
  });

  test('refuses a folder and what can be read only once, before anything is sent; so does send', async (t) => {
    const { requests, address } = await fakeServer(t, () => busy);
    const path = join(folder(t), 'folder.csv');
    mkdirSync(path);
    for (const [words, problem] of [
      [['load', 't', `${path}/`], 'it is a folder'],
      [['send', 't', path], 'it is a folder'],
      [['load', 't', '/dev/null', '--format', 'csv'], 'it is no file that can be read again'],
    ] as const) {
      const { code, stderr } = await millrace(words, { env: remote(address) });
      assert.equal(code, 2, stderr);
      assert.match(stderr, new RegExp(`^OPTION_VALUE .*${problem}`), words.join(' '));
    }
    assert.equal(requests.length, 0);
  });

  test('says what is wrong with a file that can’t be read, once, and does not send it again', async (t) => {
    const { requests, address } = await fakeServer(t, () => busy);
    const path = join(folder(t), 'a.csv');
    writeFileSync(path, 'x\n1\n');
    const unreadable = t.mock.method(fs, 'read', (...words: unknown[]) =>
      (words.at(-1) as (error: Error) => void)(new Error('EIO: i/o error')),
    );
    const { code, stderr } = await millrace(['load', 't', path], { env: remote(address) });
    unreadable.mock.restore();
    assert.equal(code, 2, stderr);
    assert.match(stderr, /a\.csv: EIO/);
    assert.equal(requests.length, 0);
  });
});

describe('a workspace', () => {
  test('is made by init, not made twice, and its topics are files', async (t) => {
    const path = join(folder(t), 'shop');
    const made = await millrace(['init', path, '--time-zone', 'Asia/Seoul', '--currency', 'KRW']);
    assert.equal(made.code, 0, made.stderr);
    assert.match(readFileSync(join(path, 'millrace.yaml'), 'utf8'), /Asia\/Seoul/);
    assert.match((await millrace(['init', path])).stderr, /WORKSPACE_EXISTS/);

    const definition = 'title: 주문\nid: order_id\nfields:\n  amount: decimal(18,2)\n';
    const added = await millrace(['topic', 'add', 'orders', '-', '--workspace', path], { stdin: definition });
    assert.equal(added.code, 0, added.stderr);
    assert.equal((await millrace(['topic', 'show', 'orders', '--workspace', path])).stdout, definition);
    assert.match((await millrace(['topic', 'list', '--workspace', path])).stdout, /orders +주문 +\d +order_id/);
    assert.equal((await millrace(['topic', 'add', 'orders', '--workspace', path])).code, 2);
    assert.match((await millrace(['topic', 'show', 'nothing', '--workspace', path])).stderr, /TOPIC_UNKNOWN/);
    assert.equal((await millrace(['topic', 'add', 'empty', '--workspace', path])).code, 0);
  });

  test('has a folder watched that is given to "transfer guess", with its slash or without', async (t) => {
    const path = join(folder(t), 'shop');
    await millrace(['init', path]);
    mkdirSync(join(path, 'inbox'));
    writeFileSync(join(path, 'inbox', 'a.csv'), 'id\n1\n');
    utimesSync(join(path, 'inbox', 'a.csv'), 1_000_000_000, 1_000_000_000);
    for (const end of ['', '/']) {
      const { stdout, stderr } = await millrace(['transfer', 'guess', join(path, `inbox${end}`), '--workspace', path]);
      assert.match(stdout, /^source: folder\nconnection:\n {2}path: inbox\/\n[\s\S]*\nschedule: \{ watch: true \}\n$/m, stderr);
    }
  });

  test('lets "transfer guess" reach the private addresses that millrace.yaml lists, and no others', async (t) => {
    const server = createServer((_request, response) => void response.end('id,v\n1,a\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const path = join(folder(t), 'shop');
    await millrace(['init', path]);
    const guessed = () =>
      millrace(['transfer', 'guess', `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.csv`, '--workspace', path]);
    assert.match((await guessed()).stderr, /TRANSFER_ADDRESS/);
    writeFileSync(join(path, 'millrace.yaml'), 'name: shop\ntime_zone: UTC\ncurrency: EUR\ntransfer:\n  private_addresses: [127.0.0.1]\n');
    assert.match((await guessed()).stdout, /^source: http$/m);
  });

  test('tells its commands where it runs by a file that only its owner reads; one left by a dead process is none', async (t) => {
    const path = folder(t);
    mkdirSync(join(path, '.millrace'));
    const status = {
      workspace: 'shop',
      version: '1',
      uptime_s: 5,
      warehouse: 'ready',
      topics: [],
      memory: { front_bytes: 1e6, warehouse_bytes: 2e6 },
    };
    const { requests, address } = await fakeServer(t, () => ({ status: 200, body: status }));
    writeRunning(path, { pid: process.pid, address, certificate: null, token: 'mr_local' });
    assert.equal(statSync(join(path, '.millrace', 'running.json')).mode & 0o777, 0o600);
    assert.match((await millrace(['status', '--workspace', path])).stdout, /shop: Millrace 1, up 5 s, warehouse ready/);
    assert.equal(requests[0]!.headers.authorization, 'Bearer mr_local');

    writeRunning(path, { pid: 2 ** 22 + 1, address, certificate: null, token: 'mr_local' });
    assert.match((await millrace(['status', '--workspace', path])).stderr, /NOT_RUNNING/);
    assert.match((await millrace(['stop', '--workspace', path])).stderr, /NOT_RUNNING/);
  });
});

describe('millrace doctor', () => {
  const topic = { name: 'events', accepted: 0, per_second: 0, durable: 9, delivered: 0, quarantined: 0 };
  const status = (warehouse: string, lag_ms: number) => ({
    ...{ workspace: 'shop', version: '1', uptime_s: 5, warehouse },
    ...{ topics: [{ ...topic, lag_ms }], memory: { front_bytes: 1, warehouse_bytes: 1 } },
  });

  test('shows both results where the auditor found a difference, paused views with their age, broken files, failed runs and lag', async (t) => {
    const error = { code: 'VIEW_VALUE', message: 'mart.a is paused: no', remedy: 'Guard it.', retryable: false, params: {} };
    const broken = {
      ...error,
      code: 'SQL_SYNTAX',
      message: 'It can’t be parsed.',
      remedy: 'Correct it.',
      params: { file: 'views/mart.b.sql' },
    };
    const views = {
      views: [{ name: 'mart.a', state: 'paused', error, refreshed: '2026-03-01T00:00:00.000Z' }],
      problems: [broken],
    };
    const rows = [['mart.c', '2026-03-02T00:00:00Z', '[["x"]]', 2, '[{"n":1}]', '[{"n":2}]']];
    const { requests, address } = await fakeServer(t, ({ path, body }) => {
      if (path === '/v1/status') return { status: 200, body: status('ready', 120_000) };
      if (path === '/v1/views') return { status: 200, body: views };
      return {
        status: 200,
        body: { rows: body.includes('millrace.audit') ? rows : [['mart.d', '2026-03-01T06:00:00Z', 'SCHEDULE_KEY', 'two rows']] },
      };
    });
    const { code, stdout } = await millrace(['doctor'], { env: remote(address) });
    assert.equal(code, 1);
    assert.deepEqual(stdout.split('\n'), [
      'events: its oldest record has waited 120 s for the warehouse',
      '    → See the log of "millrace up".',
      'views/mart.b.sql: It can’t be parsed.',
      '    → Correct it.',
      'mart.a: mart.a is paused: no',
      '    VIEW_VALUE; its rows are those of 2026-03-01T00:00:00.000Z',
      '    → Guard it.',
      'mart.c: 2 rows differ from its query in the partitions [["x"]], the auditor found at 2026-03-02T00:00:00Z',
      '    the view has only:  [{"n":1}]',
      '    the query has only: [{"n":2}]',
      '    → REFRESH MATERIALIZED VIEW mart.c computes it anew; please report it.',
      'mart.d: its run of 2026-03-01T06:00:00Z failed: two rows',
      '    SCHEDULE_KEY',
      '    → Mend it; RUN SCHEDULED QUERY mart.d tries at once.',
      '',
    ]);
    assert.equal(requests.length, 4);
  });

  test('asks nothing of a warehouse that is down, and says so', async (t) => {
    const { requests, address } = await fakeServer(t, () => ({ status: 200, body: status('down', 0) }));
    const { code, stdout } = await millrace(['doctor'], { env: remote(address) });
    assert.equal(code, 1);
    assert.match(stdout, /^warehouse: it is down; records are taken and wait in the log/);
    assert.equal(requests.length, 1);
  });
});

describe('the other commands', () => {
  test('print what the server answers', async (t) => {
    const routes: Record<string, unknown> = {
      'GET /v1/catalog': {
        tables: [
          {
            schema: 'raw',
            name: 'events',
            kind: 'table',
            origin: 'topic',
            columns: [{ name: '_id', type: 'VARCHAR' }],
            rows: 1200,
            comment: null,
          },
        ],
        topics: [{ name: 'events', title: '이벤트', fields: [] }],
        named: [{ kind: 'scheduled query', name: 'mart.daily' }],
      },
      'GET /v1/quarantine?topic=events&limit=50': {
        rows: [
          { id: 'q1', topic: 'events', received: '2026-03-01T00:00:00Z', code: 'RECORD_JSON', reason: 'bad', body: '{', replayed: null },
        ],
      },
      'POST /v1/quarantine/replay': { tried: 2, accepted: 1, rejected: 1 },
      'POST /v1/tokens': { name: 'shop', role: 'write', token: 'mr_secret' },
      'GET /v1/tokens': [{ name: 'shop', role: 'write', topics: ['events'], created: '2026-03-01', expires: null }],
      'DELETE /v1/tokens/shop': '',
    };
    const { requests, address } = await fakeServer(t, ({ method, path }) => ({
      status: 200,
      body: routes[`${method} ${path}`] ?? 'unexpected',
    }));
    const env = remote(address);
    assert.match(
      (await millrace(['catalog'], { env })).stdout,
      /raw\.events +table +topic +1,200 +1\n[\s\S]*events +이벤트[\s\S]*scheduled query +mart\.daily/,
    );
    assert.match((await millrace(['catalog', 'raw.events'], { env })).stdout, /_id +VARCHAR/);
    assert.match((await millrace(['catalog', 'raw.nothing'], { env })).stderr, /TABLE_UNKNOWN/);
    assert.match((await millrace(['quarantine', 'list', '--topic', 'events'], { env })).stdout, /q1 +events .* RECORD_JSON +bad +∅ +\{/);
    assert.equal((await millrace(['quarantine', 'replay', '--ids', 'q1,q2'], { env })).code, 1);
    assert.deepEqual(JSON.parse(requests.at(-1)!.body), { ids: ['q1', 'q2'] });
    assert.equal((await millrace(['token', 'create', 'shop', '--role', 'write', '--topics', 'events'], { env })).stdout, 'mr_secret\n');
    assert.deepEqual(JSON.parse(requests.at(-1)!.body), { name: 'shop', role: 'write', topics: ['events'] });
    assert.match((await millrace(['token', 'list'], { env })).stdout, /shop +write +events/);
    assert.match((await millrace(['token', 'revoke', 'shop'], { env })).stdout, /withdrawn/);
  });

  test('up refuses settings that can not be, before it starts anything', async (t) => {
    const path = folder(t);
    const cases: readonly [says: RegExp, words: string[]][] = [
      [/--port can't be 70000/, ['--port', '70000']],
      [/--memory can't be much/, ['--memory', 'much']],
      [/--tls-cert needs it/, ['--tls-cert', 'a.pem']],
      [/--tls-key needs it/, ['--tls-key', 'a.pem']],
      [/--tls-cert can't be \/nowhere/, ['--tls-cert', '/nowhere', '--tls-key', '/nowhere']],
    ];
    for (const [says, words] of cases) {
      const { code, stderr } = await millrace(['up', '--workspace', path, ...words]);
      assert.equal(code, 2, words.join(' '));
      assert.match(stderr, says);
    }
    assert.deepEqual(readdirSync(path), []);
  });
});
