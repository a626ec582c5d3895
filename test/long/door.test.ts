import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { BATCH, BODY_BYTES, fuzzDoor, judge, makeInput, newSums, RECORD_BYTES, type Said, TOPIC } from '../collect/door.fuzz.ts';
import { type Below, belowFrom } from '../random.ts';
import { type Running, running } from '../server/fixture.ts';

/** Another one each time; it stands in every message. */
const seed = Date.now() % 2 ** 31;

test(`a hundred thousand hostile bodies (seed ${seed}): each is accepted or rejected with a code, and the log holds exactly what was said`, async (t) => {
  const { accepted, rejected, refused } = await fuzzDoor(t, 100_000, seed);
  assert.ok(accepted > 100_000 && rejected > 30_000 && refused.size >= 4, `${accepted} accepted, ${rejected} rejected`);
});

test(`six thousand hostile requests over HTTP (seed ${seed}), every seventh of them broken as a request: the sums balance in the warehouse`, async (t) => {
  const settings = `limits: {record_bytes: ${RECORD_BYTES}, body_bytes: ${BODY_BYTES}, batch_records: ${BATCH}, depth: 12}\n`;
  const server = await running(t, { settings, topics: { orders: TOPIC.replace('id: id\n', '') } });
  const random = belowFrom(seed + 1);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => agent.destroy());
  const sums = newSums();
  let cut = 0;
  for (let n = 0; n < 6_000; ) {
    const some = Array.from({ length: 16 }, () => ({ ...makeInput(random, `h${n++}`), broken: random(7) === 0 }));
    await Promise.all(
      some.map(async (input): Promise<void> => {
        if (input.broken) {
          cut++;
          return knockBadly(server, random);
        }
        // Without an id in its definition the topic knows no wrong ids.
        judge({ ...input, taken: null }, await post(server, agent, input.body, input.headers), sums);
      }),
    );
  }
  assert.equal((await server.call('GET', '/ready')).status, 200);
  await server.delivered();
  await server.started.stop();
  const [stored, quarantined] = await counts(join(server.path, '.millrace', 'warehouse.duckdb'));
  assert.equal(stored, sums.accepted, `what was acknowledged; ${cut} requests were cut`);
  assert.equal(quarantined, sums.rejected, 'what was rejected');
  assert.ok(sums.accepted > 5_000 && sums.rejected > 1_000 && cut > 500);
});

function post(to: Running, agent: Agent, body: Buffer, headers: Readonly<Record<string, string>>): Promise<Said> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${to.started.address}/v1/topics/orders/records`,
      { agent, method: 'POST', headers: { authorization: `Bearer ${to.started.adminToken}`, 'content-length': body.length, ...headers } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.once('end', () => resolve({ status: answer.statusCode!, text }));
        answer.once('error', reject);
      },
    );
    asked.once('error', reject);
    asked.end(body);
  });
}

/** A request that promises more than it sends, or is none: it stores nothing, whatever is answered. */
function knockBadly(to: Running, random: Below): Promise<void> {
  const { hostname, port } = new URL(to.started.address);
  const record = '{"id":"never","n":1}';
  const head = (line: string, ...headers: string[]) =>
    `${line}\r\nhost: x\r\nauthorization: Bearer ${to.started.adminToken}\r\n${headers.join('\r\n')}\r\n\r\n`;
  const right = 'POST /v1/topics/orders/records HTTP/1.1';
  const bad = [
    head(right, 'content-length: 4000') + record,
    head(right, 'content-length: -5') + record,
    head(right, 'content-length: 1e3') + record,
    head(right, 'content-length: 20', 'content-length: 21') + record,
    head(right, 'content-length: 20', 'transfer-encoding: chunked') + record,
    `${head(right, 'transfer-encoding: chunked')}zz\r\n${record}`,
    `${head(right, 'transfer-encoding: chunked')}14\r\n${record}\r\n`,
    `${head(right, 'transfer-encoding: chunked')}ffffffffffffffff\r\n${record}`,
    head(right, `x-long: ${'h'.repeat(20_000)}`, 'content-length: 20') + record,
    head('POST /v1/topics/../../etc/records HTTP/1.1', 'content-length: 20') + record,
    head('POST /v1/topics/%00/records HTTP/1.1', 'content-length: 20') + record,
    head('POST /v1/topics//records HTTP/1.1', 'content-length: 20') + record,
    head('PUT /v1/topics/orders/records HTTP/1.1', 'content-length: 20') + record,
    head(`POST /v1/topics/${'o'.repeat(9_000)}/records HTTP/1.1`, 'content-length: 20') + record,
    `${right}\r\nauthorization: Bearer ${to.started.adminToken}\r\ncontent-length: 20\r\n\r\n${record}`,
    `${right}\r\nhost: x\r\nauthorization: Bearer mr_wrong\r\ncontent-length: 20\r\n\r\n${record}`,
    `${right}\r\nhost: x\r\ncontent-length: 20\r\n\r\n${record}`,
    Buffer.from(Array.from({ length: 300 }, () => random(256))),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
  ];
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(bad[random(bad.length)]!);
      // Some wait for what is said, some go away at once.
      setTimeout(() => socket.destroy(), random(3) * 20);
    });
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}

async function counts(file: string): Promise<number[]> {
  const instance = await DuckDBInstance.create(file);
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll('SELECT (SELECT count(*) FROM raw.orders), (SELECT count(*) FROM millrace.quarantine)');
  connection.closeSync();
  instance.closeSync();
  return reader.getRows()[0]!.map(Number);
}
