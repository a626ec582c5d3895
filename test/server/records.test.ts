import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Running, running, until } from './fixture.ts';

const topics = { orders: 'id: id\nfields: {id: text, amount: {type: "decimal(18,2)"}}' };
const good = (id: string) => `{"id":"${id}","amount":1.10}`;

/** Sends bytes over a bare socket and gives what comes back until `end` says enough. */
function socketOf(
  { started }: Running,
  text: string | Buffer,
): Promise<{ answer: () => string; destroy: () => void; write: (more: string | Buffer) => void; closed: Promise<void> }> {
  const { hostname, port } = new URL(started.address);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(text);
      resolve({ answer: () => answer, destroy: () => socket.destroy(), write: (more) => socket.write(more), closed });
    });
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    socket.on('error', () => {});
    const closed = new Promise<void>((gone) => socket.on('close', () => gone()));
  });
}

const head = ({ started }: Running, headers: string) =>
  `POST /v1/topics/orders/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${started.adminToken}\r\n${headers}\r\n\r\n`;

describe('records over HTTP', () => {
  test('are answered one by one: 200 when all, 207 when some, 400 when none was accepted; and stand in the warehouse as they were sent', async (t) => {
    const server = await running(t, { topics });
    const all = await server.send('orders', good('a'));
    assert.deepEqual([all.status, all.json], [200, { accepted: 1, rejected: 0, undeduplicated: 0, rejections: [] }]);
    const some = await server.send('orders', `${good('b')}\n{"id":"c","amount":1.005}\n{"amount":9}`);
    assert.deepEqual(
      [some.status, (some.json as { accepted: number }).accepted, (some.json as { undeduplicated: number }).undeduplicated],
      [207, 2, 1],
    );
    const none = await server.send('orders', '[1]');
    assert.deepEqual([none.status, (none.json as { rejections: { code: string }[] }).rejections[0]!.code], [400, 'RECORD_NOT_OBJECT']);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT id, amount, data FROM raw.orders ORDER BY _position'), [
      ['a', 1.1, good('a')],
      ['b', 1.1, good('b')],
      [null, 9, '{"amount":9}'],
    ]);
  });

  test('the answer and the metrics count what was rejected and quarantine had no room for', async (t) => {
    const server = await running(t, { topics });
    const bad = `{"x":"${'x'.repeat(15 * 2 ** 20)}`;
    const unkept: unknown[] = [];
    for (let k = 0; k < 6; k++) unkept.push(((await server.send('orders', `${bad}\n`)).json as { unkept?: number }).unkept);
    assert.deepEqual(unkept, [undefined, undefined, undefined, undefined, 1, 1]);
    assert.match((await server.call('GET', '/metrics')).text, /^millrace_records_unkept_total\{topic="orders"\} 2$/m);
  });

  test('gzip is taken; what is truncated, no gzip, or more than the limit unpacked is refused, and the server goes on', async (t) => {
    const server = await running(t, { topics });
    const gzip = { headers: { 'content-encoding': 'gzip' } };
    const packed = gzipSync(`${good('a')}\n${good('b')}`);
    assert.equal((await server.send('orders', packed, gzip)).status, 200);
    for (const [body, code] of [
      [packed.subarray(0, packed.length - 5), 'BODY_GZIP'],
      [packed.subarray(0, 12), 'BODY_GZIP'],
      [Buffer.from('plain'), 'BODY_GZIP'],
      [gzipSync(Buffer.alloc(64 << 20, 0x20), { level: 9 }), 'BODY_TOO_LARGE'],
      [gzipSync(''), 'BODY_EMPTY'],
    ] as const) {
      assert.equal((await server.send('orders', body, gzip)).code, code);
    }
    assert.equal(
      (await server.send('orders', gzipSync(good('b')), { headers: { 'content-encoding': 'GZIP' } })).status,
      200,
      'in capitals',
    );
    assert.equal((await server.send('orders', 'x', { headers: { 'content-encoding': 'br' } })).code, 'BODY_ENCODING');
    assert.equal((await server.send('orders', '')).code, 'BODY_EMPTY');
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*) FROM raw.orders'), [[2]]);
  });

  test('a body beyond the limit is refused, with its length said or not, in one piece or many', async (t) => {
    const server = await running(t, { topics, settings: 'limits: {record_bytes: 1024, body_bytes: 2048}\n' });
    const large = Buffer.alloc(20 << 20, 0x20);
    assert.equal((await server.send('orders', large)).code, 'BODY_TOO_LARGE');
    for (const pieces of [[4096], [1000, 1000, 1000], [2048, 1]]) {
      const socket = await socketOf(server, head(server, 'transfer-encoding: chunked'));
      for (const size of pieces) {
        socket.write(`${size.toString(16)}\r\n${' '.repeat(size)}\r\n`);
        await sleep(20);
      }
      await until(() => socket.answer().includes('\r\n\r\n'));
      assert.match(socket.answer(), /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
      socket.destroy();
    }
    assert.equal((await server.send('orders', good('a'))).status, 200);
  });

  test('a client that stops in the middle of its body leaves nothing behind, and holds up nobody', async (t) => {
    const server = await running(t, { topics });
    const body = `${good('half')}\n${good('other')}`;
    const half = await socketOf(server, `${head(server, `content-length: ${body.length}`)}${body.slice(0, 30)}`);
    const chunked = await socketOf(server, `${head(server, 'transfer-encoding: chunked')}1d\r\n${good('chunk')}\r\n`);
    assert.equal((await server.send('orders', good('whole'))).status, 200);
    half.destroy();
    chunked.destroy();
    await Promise.all([half.closed, chunked.closed]);
    assert.equal((await server.send('orders', good('next'))).status, 200);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT id FROM raw.orders ORDER BY _position'), [['whole'], ['next']]);
  });

  test('bodies that don’t fit beside those that are coming are refused before they are read, with a code and Retry-After; small ones are taken, and all again when there is room', async (t) => {
    const server = await running(t, { topics });
    // Together they leave a few thousand bytes of a 64th of the memory.
    const coming = [8_000_000, 7_620_000].map((bytes) =>
      socketOf(server, head(server, `content-length: ${bytes}\r\nexpect: 100-continue`)),
    );
    const [first, second] = await Promise.all(coming);
    await until(() => [first!, second!].every((socket) => socket.answer().startsWith('HTTP/1.1 100 ')));
    const body = `[${Array.from({ length: 300 }, (_, k) => good(`r${k}`)).join(',')}]`;
    const refused = await server.send('orders', body);
    assert.deepEqual([refused.status, refused.code, refused.headers.get('retry-after')], [503, 'INTAKE_BUSY', '1']);
    const chunked = await socketOf(server, `${head(server, 'transfer-encoding: chunked')}2000\r\n${' '.repeat(0x2000)}\r\n`);
    await until(() => /^HTTP\/1.1 503 [\s\S]*INTAKE_BUSY/.test(chunked.answer()));
    // Of a short one the rest is read and the connection stays; a long one would take the turns of those that fit.
    for (const [length, ends] of [
      [100_000, false],
      [200_000, true],
    ] as const) {
      const socket = await socketOf(server, head(server, `content-length: ${length}`));
      await until(() => /^HTTP\/1.1 503 [\s\S]*INTAKE_BUSY[\s\S]*}}$/.test(socket.answer()));
      assert.equal(/^connection: close\r$/im.test(socket.answer()), ends, `${length} bytes`);
      socket.destroy();
      await socket.closed;
    }
    const lines = (count: number) => Buffer.from(Array.from({ length: count }, (_, k) => good(`z${k}`)).join('\n'));
    const gzip = { headers: { 'content-encoding': 'gzip' } };
    assert.equal((await server.send('orders', gzipSync(lines(1_000)), gzip)).code, 'INTAKE_BUSY', 'as large as it is unpacked');
    assert.equal((await server.send('orders', good('small'))).status, 200);
    first!.destroy();
    await first!.closed;
    await until(async () => (await server.send('orders', body)).status === 200);
    assert.equal((await server.send('orders', gzipSync(lines(1_000)), gzip)).status, 200);
    second!.destroy();
    await second!.closed;
    const members = Buffer.concat([gzipSync(lines(900)), gzipSync('\n'), gzipSync(lines(20))]);
    // Of several members only the last one's length is known, so that room is taken for the largest body.
    await until(async () => (await server.send('orders', members, gzip)).status === 200);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id) FROM raw.orders'), [[1_301, 1_301]]);
  });

  test('a retry with the same Idempotency-Key is stored once, also when it comes with records of other times', async (t) => {
    const server = await running(t, { topics: { plain: '{}' } });
    const headers = { 'idempotency-key': 'batch-1' };
    for (let k = 0; k < 3; k++) assert.equal((await server.send('plain', '{"n":1}\n{"n":1}', { headers })).status, 200);
    // The one key beyond ASCII that a client can send at all: headers are Latin-1.
    assert.equal((await server.send('plain', '{"n":1}', { headers: { 'idempotency-key': '\u00e9' } })).code, 'REQUEST_INVALID');
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*) FROM raw.plain'), [[2]]);
  });

  test('a retry whose acknowledgement was lost leaves a rejected record once, in quarantine and after its replay', async (t) => {
    const frozen = 'drift: freeze\nfields: {n: integer}';
    const server = await running(t, { topics: { plain: frozen } });
    const headers = { 'idempotency-key': 'batch-1' };
    const body = '{"n":1}\n{"n":2,"more":true}\n{"n":2,"more":true}';
    const waiting = async () => {
      await server.delivered();
      const { counts } = (await server.call('GET', '/v1/quarantine/counts')).json as { counts: { waiting: number }[] };
      return counts.reduce((sum, count) => sum + count.waiting, 0);
    };
    const stored = async () => {
      await server.delivered();
      return server.ask('SELECT n FROM raw.plain ORDER BY n');
    };
    for (let k = 0; k < 2; k++) assert.equal((await server.send('plain', body, { headers })).status, 207);
    assert.equal(await waiting(), 2, 'both retries before a delivery');
    assert.equal((await server.send('plain', body, { headers })).status, 207);
    assert.equal(await waiting(), 2, 'and one after it');
    // Another key is another batch, and without a key nobody can tell.
    assert.equal((await server.send('plain', '{"n":3,"more":true}', { headers: { 'idempotency-key': 'batch-2' } })).status, 400);
    for (let k = 0; k < 2; k++) assert.equal((await server.send('plain', '{"n":4,"more":true}')).status, 400);
    assert.equal(await waiting(), 5);
    assert.equal((await server.call('PUT', '/v1/topics/plain', { body: 'fields: {n: integer}' })).status, 200);
    // The last retry comes after the correction, and beside it the replay of what came before.
    assert.equal((await server.send('plain', body, { headers })).status, 200);
    const replay = await server.call('POST', '/v1/quarantine/replay', { body: { topic: 'plain' } });
    assert.deepEqual(replay.json, { tried: 5, accepted: 5, rejected: 0 });
    const once = [[1], [2], [2], [3], [4], [4]];
    assert.deepEqual(await stored(), once);
    // Rejected once more after it was replayed: it is in the warehouse already.
    assert.equal((await server.call('PUT', '/v1/topics/plain', { body: frozen })).status, 200);
    assert.equal((await server.send('plain', body, { headers })).status, 207);
    assert.equal(await waiting(), 0);
    assert.deepEqual(await stored(), once);
  });

  test('a topic is made on first use only where the workspace says so', async (t) => {
    const server = await running(t, { settings: 'topics: {create: on_first_use}\n' });
    assert.equal((await server.send('fresh', '{"a":9007199254740993}')).status, 200);
    assert.equal((await server.send('Not-A-Name', '{}')).code, 'TOPIC_NAME');
    await server.delivered();
    const answer = await server.call('POST', '/v1/query', { body: { sql: 'SELECT a FROM raw.fresh' } });
    assert.match(answer.text, /\[9007199254740993\]/);
  });

  test('replays that come at once send a record once, also where its topic remembers no id', async (t) => {
    const server = await running(t, { topics: { brief: 'fields: {a: integer}\ndrift: freeze\ndedupe_window: 0s' } });
    const body = Array.from({ length: 1_200 }, (_, k) => `{"a":${k},"b":1}`).join('\n');
    assert.equal((await server.send('brief', body)).status, 400);
    await server.delivered();
    await server.call('PUT', '/v1/topics/brief', { body: 'fields: {a: integer}\ndedupe_window: 0s' });
    const replay = async () => (await server.call('POST', '/v1/quarantine/replay', { body: { topic: 'brief' } })).json;
    const none = { tried: 0, accepted: 0, rejected: 0 };
    assert.deepEqual(await Promise.all([replay(), replay(), replay()]), [{ ...none, tried: 1_200, accepted: 1_200 }, none, none]);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT a) FROM raw.brief'), [[1_200, 1_200]]);
  });

  test('a client that sends all of a body before it reads gets the answer that refuses it, and what is no HTTP a coded one', async (t) => {
    const server = await running(t, { topics });
    const length = 20_000_000;
    for (const headers of [`content-length: ${length}`, 'transfer-encoding: chunked', `x: 1\r\ncontent-length: ${length}`]) {
      const lines = headers.startsWith('x') ? head(server, headers).replace(/Bearer \w+/, 'Bearer wrong') : head(server, headers);
      const socket = await socketOf(server, lines);
      let paused = true;
      const piece = Buffer.alloc(1_000_000, 0x20);
      for (let sent = 0; sent < length; sent += piece.length) {
        socket.write(
          headers.endsWith('chunked')
            ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
            : piece,
        );
        // Slower than the server answers.
        if (paused) await sleep(100);
        paused = false;
      }
      if (headers.endsWith('chunked')) socket.write('0\r\n\r\n');
      // The connection is good for the next request.
      socket.write(`GET /health HTTP/1.1\r\nhost: x\r\n\r\n`);
      await until(() => Promise.resolve(/HTTP\/1\.1 200 OK/.test(socket.answer())));
      assert.match(
        socket.answer(),
        headers.startsWith('x') ? /^HTTP\/1.1 401 [\s\S]*TOKEN_INVALID/ : /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/,
      );
      socket.destroy();
    }
    const asked = await socketOf(
      server,
      head(server, `content-type: application/json\r\ncontent-length: ${length}`).replace('/topics/orders/records', '/query'),
    );
    for (let sent = 0; sent < length; sent += 1_000_000) {
      asked.write(Buffer.alloc(1_000_000, 0x20));
      if (sent === 0) await sleep(100);
    }
    asked.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
    await until(() => Promise.resolve(/HTTP\/1\.1 200 OK/.test(asked.answer())));
    assert.match(asked.answer(), /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
    asked.destroy();
    for (const [text, status] of [
      ['GARBAGE\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
      [head(server, 'content-length: 5\r\ntransfer-encoding: chunked'), 400],
    ] as const) {
      const socket = await socketOf(server, text);
      await socket.closed;
      assert.match(socket.answer(), new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*"code":"REQUEST_INVALID"`));
    }
  });

  test('a rejected record is listed and, after the topic was changed, replayed once, in the order in which they came', async (t) => {
    const server = await running(t, { topics: { orders: 'drift: freeze\nfields: {n: integer}' } });
    const bodies = Array.from({ length: 120 }, (_, k) => `{"n":${k},"more":true}`);
    assert.equal((await server.send('orders', bodies.join('\n'))).status, 400);
    await server.send('orders', '{"n":"never"}');
    await server.delivered();
    const editor = await server.token('editor');
    const listed = (await server.call('GET', '/v1/quarantine?topic=orders&limit=500')).json as { rows: { code: string; body?: string }[] };
    assert.equal(listed.rows.length, 121);
    assert.ok(listed.rows.every(({ body }) => body !== undefined));
    const forEditor = (await server.call('GET', '/v1/quarantine', { token: editor })).json as { rows: { body?: string }[] };
    assert.ok(forEditor.rows.length > 0 && forEditor.rows.every((row) => !('body' in row)), 'bytes are for admins only');
    const counts = async (token = editor) => (await server.call('GET', '/v1/quarantine/counts', { token })).json;
    const [unknown, mistyped] = [listed.rows.at(-1)!.code, listed.rows[0]!.code];
    const count = (code: string, waiting: number, replayed: number) => ({ topic: 'orders', code, waiting, replayed });
    assert.deepEqual(await counts(), { counts: [count(unknown, 120, 0), count(mistyped, 1, 0)] });
    const replay = async () => (await server.call('POST', '/v1/quarantine/replay', { body: { topic: 'orders' } })).json;
    assert.deepEqual(await replay(), { tried: 121, accepted: 0, rejected: 121 });
    assert.equal((await server.call('PUT', '/v1/topics/orders', { body: 'drift: evolve\nfields: {n: integer}' })).status, 200);
    assert.deepEqual(await replay(), { tried: 121, accepted: 120, rejected: 1 });
    assert.deepEqual(await counts(), { counts: [count(mistyped, 1, 0), count(unknown, 0, 120)] });
    assert.deepEqual(await replay(), { tried: 1, accepted: 0, rejected: 1 });
    await server.delivered();
    assert.deepEqual(
      await server.ask('SELECT n FROM raw.orders ORDER BY _position'),
      bodies.map((_, k) => [k]),
    );
  });
});
