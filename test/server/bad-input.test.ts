/** All that the native door may be sent, over HTTP, in one body: what each record gets, and that the others stand in the warehouse as they were sent. */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Running, running } from './fixture.ts';

const TOPIC = `id: order_id
time: {field: at, unit: ms}
drift: discard
fields:
  order_id: text
  count: integer
  amount: decimal(18,2)
  ratio: double
  paid: boolean
  due: date
  note: text
`;

const AT = Date.now() - 3_600_000;
const of = (more: string, at: string | number = AT) => `{"at":${at},${more}}`;

/** Records that no one may take, and why. */
const BAD: readonly (readonly [what: string, record: string | Buffer, code: string])[] = [
  ['malformed', '{"at":1,}', 'RECORD_JSON'],
  ['cut off', of('"note":"abc').slice(0, -1), 'RECORD_JSON'],
  ['a text', '"text"', 'RECORD_NOT_OBJECT'],
  ['a number', '17', 'RECORD_NOT_OBJECT'],
  ['text in an integer', of('"count":"many"'), 'RECORD_FIELD'],
  ['an object in a text', of('"note":{"a":1}'), 'RECORD_FIELD'],
  ['a list in a date', of('"due":["2026-01-01"]'), 'RECORD_FIELD'],
  ['a number in a boolean', of('"paid":1'), 'RECORD_FIELD'],
  ['a fraction in an integer', of('"count":1.5'), 'RECORD_FIELD'],
  ['an integer beyond 64 bits', of('"count":9223372036854775808'), 'RECORD_FIELD'],
  ['a decimal with too many digits', of('"amount":1.005'), 'RECORD_FIELD'],
  ['a number beyond a double', of('"ratio":1e400'), 'RECORD_FIELD'],
  ['a day that does not exist', of('"due":"2026-02-30"'), 'RECORD_FIELD'],
  ['no time', '{"count":1}', 'RECORD_TIME_MISSING'],
  ['1970', of('"count":1', 0), 'RECORD_TIME'],
  ['2200', of('"count":1', Date.UTC(2200, 0)), 'RECORD_TIME'],
  ['seconds', of('"count":1', Math.floor(AT / 1000)), 'RECORD_TIME'],
  ['microseconds', of('"count":1', `${AT}000`), 'RECORD_TIME'],
  ['a time in words', of('"count":1', '"yesterday"'), 'RECORD_TIME'],
  ['ten thousand levels', of(`"deep":${'['.repeat(10_000)}${']'.repeat(10_000)}`), 'RECORD_TOO_DEEP'],
  ['a key twice', of('"count":1,"count":2'), 'RECORD_DUPLICATE_KEY'],
  ['a key twice, spelt in two ways', of('"count":1,"\\u0063ount":2'), 'RECORD_DUPLICATE_KEY'],
  ['a lone surrogate', of('"note":"\\ud800"'), 'RECORD_SURROGATE'],
  ['invalid UTF-8', Buffer.from(of('"note":"\xc3\x28"'), 'latin1'), 'RECORD_ENCODING'],
  ['an overlong slash', Buffer.from(of('"note":"\xc0\xaf"'), 'latin1'), 'RECORD_ENCODING'],
  ['a NUL, escaped', of('"note":"a\\u0000b"'), 'RECORD_NUL'],
  ['a NUL byte', Buffer.from(of('"note":"a\0b"')), 'RECORD_JSON'],
];

/** Records between them, each with a value that is easily lost on the way. */
const FINE: readonly (readonly [field: string, json: string, shown: string])[] = [
  ['count', '9007199254740993', '9007199254740993'],
  ['count', '9223372036854775807', '9223372036854775807'],
  ['count', '-9223372036854775808', '-9223372036854775808'],
  ['amount', '9999999999999999.99', '9999999999999999.99'],
  ['amount', '-0.01', '-0.01'],
  ['note', '"\\ud83c\\udf75 밀레 \\"\\\\"', '🍵 밀레 "\\'],
  ['note', '"__proto__"', '__proto__'],
];

function batch(): { records: Buffer[]; fine: { id: string; field: string; shown: string; json: string }[]; codes: (string | null)[] } {
  const records: Buffer[] = [];
  const fine: { id: string; field: string; shown: string; json: string }[] = [];
  const codes: (string | null)[] = [];
  for (const [k, [, record, code]] of BAD.entries()) {
    const [field, value, shown] = FINE[k % FINE.length]!;
    const id = `fine-${k}`;
    const json = of(`"order_id":"${id}","${field}":${value},"__proto__":{"polluted":${k}},"constructor":null`);
    fine.push({ id, field, shown, json });
    records.push(Buffer.from(json), Buffer.isBuffer(record) ? record : Buffer.from(record));
    codes.push(null, code);
  }
  return { records, fine, codes };
}

async function stored(server: Running, topic: string): Promise<Map<string, Record<string, string>>> {
  const rows = (await server.ask(
    `SELECT order_id, count::VARCHAR, amount::VARCHAR, note, data, epoch_ms(_time) FROM raw.${topic}`,
  )) as string[][];
  return new Map(
    rows.map(([id, count, amount, note, data, time]) => [id!, { count: count!, amount: amount!, note: note!, data: data!, time: time! }]),
  );
}

describe('bad input over HTTP', () => {
  test('each record of a batch gets its own answer, and no other is harmed, plain or packed', async (t) => {
    const server = await running(t, { topics: { plain: TOPIC, packed: TOPIC } });
    for (const topic of ['plain', 'packed']) {
      const { records, fine, codes } = batch();
      const body = Buffer.concat(records.flatMap((record) => [record, Buffer.from('\n')]));
      const answer =
        topic === 'plain'
          ? await server.send(topic, body)
          : await server.send(topic, gzipSync(body), { headers: { 'content-encoding': 'gzip' } });
      assert.equal(answer.status, 207);
      const { accepted, rejected, rejections } = answer.json as {
        accepted: number;
        rejected: number;
        rejections: { index: number; code: string; reason: string }[];
      };
      const got = codes.map((_, index) => rejections.find((each) => each.index === index)?.code ?? null);
      assert.deepEqual(
        got.map((code, index) => [BAD[(index - 1) / 2]?.[0], code]),
        codes.map((code, index) => [BAD[(index - 1) / 2]?.[0], code]),
      );
      assert.deepEqual([accepted, rejected], [fine.length, BAD.length]);
      for (const { reason } of rejections) assert(reason.length > 10, reason);
      await server.delivered();
      const rows = await stored(server, topic);
      assert.equal(rows.size, fine.length);
      for (const { id, field, shown, json } of fine) {
        const row = rows.get(id)!;
        assert.deepEqual([row[field], row['data'], row['time']], [shown, json, AT], id);
      }
      const listed = (await server.call('GET', `/v1/quarantine?topic=${topic}&limit=1000`)).json as {
        rows: { code: string; body: string }[];
      };
      assert.deepEqual(listed.rows.map(({ code }) => code).sort(), BAD.map(([, , code]) => code).sort());
      for (const [what, record] of BAD) {
        const sent = Buffer.isBuffer(record) && !isUtf8(record) ? `base64:${record.toString('base64')}` : record.toString();
        assert(
          listed.rows.some((row) => row.body === sent),
          `${what} is not in quarantine as it was sent`,
        );
      }
      assert.equal(({} as { polluted?: number }).polluted, undefined);
    }
  });

  test('20 MB, an unknown topic, a wrong key and a key for another topic are refused whole, and the next record is taken', async (t) => {
    const server = await running(t, { topics: { orders: TOPIC, visits: '{}' } });
    const key = await server.token('write', ['visits']);
    const good = of('"order_id":"good","count":1');
    assert.equal((await server.send('orders', `[${Array.from({ length: 400_000 }, () => good).join(',')}]`)).code, 'BODY_TOO_LARGE');
    assert.equal((await server.send('nothing', good)).code, 'TOPIC_UNKNOWN');
    assert.equal((await server.send('__proto__', good)).code, 'TOPIC_NAME');
    assert.equal((await server.send('orders', good, { token: key })).code, 'NOT_ALLOWED');
    assert.equal((await server.send('orders', good, { token: `${key}x` })).code, 'TOKEN_INVALID');
    assert.equal((await server.send('visits', good, { token: key })).status, 200);
    assert.equal((await server.send('orders', good)).status, 200);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT order_id FROM raw.orders'), [['good']]);
    const listed = (await server.call('GET', '/v1/quarantine?topic=orders')).json as { rows: unknown[] };
    assert.deepEqual(listed.rows, []);
  });
});
