import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { openSource, type Rules } from '#transfer';
import { addressFilter } from '../../src/transfer/files/address.ts';
import { zipOf } from './files-fixture.ts';

describe('addresses', () => {
  const cases: [string, boolean][] = [
    ['8.8.8.8', true],
    ['2606:4700:4700::1111', true],
    ['127.0.0.1', false],
    ['10.1.2.3', false],
    ['172.31.255.255', false],
    ['172.32.0.1', true],
    ['192.168.0.1', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:7f00:1', false],
    ['::ffff:8.8.8.8', true],
    ['0:0:0:0:0:ffff:a9fe:a9fe', false],
    ['64:ff9b::a9fe:a9fe', false],
    ['2002:7f00:1::', false],
    ['fe80::1', false],
    ['fe80::1%eth0', false],
    ['fd00::1', false],
    ['ff02::1', false],
    ['not an address', false],
  ];
  for (const [address, expected] of cases)
    test(`${address} may ${expected ? '' : 'not '}be connected to`, () => assert.equal(addressFilter([])(address), expected));

  test('a private block that is allowed is open, its neighbours stay closed', () => {
    const may = addressFilter(['10.1.0.0/16', '::1']);
    assert.deepEqual(['10.1.2.3', '::ffff:10.1.2.3', '10.2.0.1', '::1', '::2'].map(may), [true, true, false, true, false]);
  });
});

describe('a file behind a URL', () => {
  let server: Server;
  let origin: string;
  const asked: IncomingMessage[] = [];
  const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
    '/good.csv': (request, response) => {
      if (request.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
      response.writeHead(200, { etag: '"v1"', 'content-type': 'image/png' }).end('a,b\n1,2\n');
    },
    '/lies.csv': (_request, response) => void response.writeHead(200, { 'content-type': 'text/csv' }).end('{"a":[1]}\n{"a":[2]}\n'),
    '/three.zip': (_request, response) => void response.end(zipOf({ 'a.csv': 'x\n1\n', 'b.csv': 'y\n2\n', 'c.csv': 'z\n3\n' })),
    '/three.json.zip': (_request, response) => void response.end(zipOf({ 'a.json': '{"x":1}', 'b.json': '{"y":1}' })),
    '/two.zip': (_request, response) => void response.end(zipOf({ 'a.parquet': 'PAR1', 'b.parquet': 'PAR1' })),
    '/inside': (_request, response) => void response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
    '/round': (_request, response) => void response.writeHead(302, { location: '/round' }).end(),
    '/away': (_request, response) => void response.writeHead(302, { location: `http://localhost:${port()}/good.csv` }).end(),
    '/to-file': (_request, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/large.csv': (_request, response) => void response.end('a\n'.repeat(5000)),
    '/cut.csv': (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('a,b\n');
      setTimeout(() => response.destroy(), 20);
    },
    '/slow.csv': (_request, response) => void response.write('a,b\n'),
    '/gone.csv': (_request, response) => void response.writeHead(404).end(),
    '/busy.csv': (_request, response) => void response.writeHead(503).end(),
  };
  const port = () => (server.address() as AddressInfo).port;
  before(async () => {
    server = createServer((request, response) => {
      asked.push(request);
      answers[request.url!.split('?')[0]!]!(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${port()}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const rules: Rules = { downloadBytes: 4096, downloadTime: 5_000, privateAddresses: ['127.0.0.1', '::1'], env: null, files: null };
  async function open(
    path: string,
    more: { rules?: Partial<Rules>; known?: string; stamp?: string; authorization?: string; format?: string } = {},
  ) {
    const connection = {
      url: path.startsWith('/') ? origin + path : path,
      ...(more.format === undefined ? {} : { format: more.format }),
      ...(more.authorization === undefined ? {} : { authorization: { env: 'KEY' } }),
    };
    const source = await openSource(
      { source: 'http', connection },
      {
        folder: '.',
        anywhere: false,
        env: { KEY: more.authorization },
        rules: { ...rules, ...more.rules },
        ...(more.known === undefined ? {} : { known: more.known }),
        ...(more.stamp === undefined ? {} : { stamp: more.stamp }),
      },
    );
    const tables = await source.describe();
    const [table] = tables;
    const span = table === undefined ? null : (await source.snapshot(table, null, null)).span;
    await source.close();
    return {
      name: table?.name,
      names: tables.map(({ name }) => name),
      columns: table?.columns.map(({ name, type }) => `${name} ${type}`),
      version: span?.upTo,
      unchanged: source.unchanged,
    };
  }

  test('is read by what its bytes are, whatever its type is said to be', async () => {
    assert.deepEqual((await open('/good.csv')).columns, ['a BIGINT', 'b BIGINT']);
    assert.deepEqual((await open('/lies.csv')).columns, ['a JSON']);
  });

  test('that is a zip gives a table for each of its files', async () => {
    assert.deepEqual((await open('/three.zip')).names, ['a', 'b', 'c']);
    assert.deepEqual((await open('/three.json.zip')).names, ['a', 'b']);
  });

  test('is not fetched again while the server says that it is the same', async () => {
    const { version } = await open('/good.csv');
    assert.equal((await open('/good.csv', { known: version! })).unchanged, true);
    assert.equal((await open('/good.csv', { known: version!.replace('v1', 'v0') })).unchanged, undefined);
    const { version: of } = await open('/good.csv', { stamp: 'a' });
    assert.equal((await open('/good.csv', { known: of!, stamp: 'a' })).unchanged, true);
    assert.equal((await open('/good.csv', { known: of!, stamp: 'b' })).unchanged, undefined, 'by another definition');
    assert.equal((await open('/good.csv', { known: 'etag "v1"' })).unchanged, undefined, 'by an earlier version of Millrace');
  });

  test('gets its secret at its own server, and no other server does', async () => {
    asked.length = 0;
    await open('/away', { authorization: 'Bearer geheim' });
    assert.deepEqual(
      asked.map(({ headers, url }) => [url, headers.authorization]),
      [
        ['/away', 'Bearer geheim'],
        ['/good.csv', undefined],
      ],
    );
  });

  const refusals: [string, string, Parameters<typeof open>[1], string][] = [
    ['a private address', '/good.csv', { rules: { privateAddresses: [] } }, 'TRANSFER_ADDRESS'],
    ['a private address in another spelling', 'http://0x0a000001/', {}, 'TRANSFER_ADDRESS'],
    ['a private address inside of IPv6', 'http://[::ffff:10.0.0.1]/', {}, 'TRANSFER_ADDRESS'],
    ['a name of a private address', 'http://localhost/x.csv', { rules: { privateAddresses: [] } }, 'TRANSFER_ADDRESS'],
    ['a redirect to a private address', '/inside', {}, 'TRANSFER_ADDRESS'],
    ['a redirect to a file', '/to-file', {}, 'TRANSFER_OPTION'],
    ['redirects without end', '/round', {}, 'TRANSFER_FETCH'],
    ['a password in it', 'http://me:pw@example.com/', {}, 'TRANSFER_OPTION'],
    ['another scheme', 'ftp://example.com/a.csv', {}, 'TRANSFER_OPTION'],
    ['too large a file', '/large.csv', {}, 'TRANSFER_FETCH'],
    ['an end that never comes', '/slow.csv', { rules: { downloadTime: 300 } }, 'TRANSFER_READ'],
    ['a connection that is cut', '/cut.csv', {}, 'TRANSFER_READ'],
    ['a file that is gone', '/gone.csv', {}, 'TRANSFER_FETCH'],
    ['a zip of several Parquet files', '/two.zip', { format: 'parquet' }, 'TRANSFER_FILE'],
    ['a server that is busy', '/busy.csv', {}, 'TRANSFER_READ'],
  ];
  for (const [what, path, more, code] of refusals)
    test(`with ${what} is refused (${code})`, () => assert.rejects(open(path, more), { code }));

  test('never shows the query of its URL, where keys stand', async () => {
    await assert.rejects(open('/gone.csv?key=geheim'), (error: Error) => !error.message.includes('geheim'));
  });
});
