import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { QUARANTINE, readSlice } from '#collect';
import type { Topic } from '#core';
import { type Collecting, collecting, type Line, linesOf, NOW, topicOf } from './fixture.ts';

const orders = topicOf(
  'orders',
  `
id: order_id
time: {field: at, unit: ms}
type: kind
fields:
  order_id: text
  amount: {type: "decimal(18,2)", required: true}
  count: integer
  ratio: double
  paid: boolean
  due: date
  seen: timestamp
  note: text
  items: json
`,
);
const AT = NOW / 1000;
const good = (id: string) => `{"order_id":"${id}","at":${AT},"amount":1}`;

function written(collect: Collecting, topic: string): Line[] {
  const durable = collect.log.durable()[topic] ?? 0;
  const lines: Line[] = [];
  for (let at = 0; at < durable; ) {
    const slice = readSlice(collect.log.root, topic, at, durable, 1 << 20);
    if (slice === null) break;
    lines.push(...linesOf(slice.lines));
    at = slice.to;
  }
  return lines;
}

const quarantined = (collect: Collecting) =>
  written(collect, QUARANTINE).map((line) => {
    const row = JSON.parse(line.json) as { topic: string; code: string; reason: string; sender: string; body: string };
    return { ...row, body: Buffer.from(row.body, 'base64') };
  });

/** One record that must be rejected, between two that must not be harmed, in each way in which a batch can be sent. */
async function refusedBetweenGood(
  t: TestContext,
  topic: Topic,
  bad: string | Buffer,
  code: string,
  given: NonNullable<Parameters<typeof collecting>[1]> = {},
) {
  const record = Buffer.from(bad as string);
  const [before, after] = [Buffer.from(good('before')), Buffer.from(good('after'))];
  for (const [opening, between, closing] of [
    ['', '\n', '\n'],
    ['[', ',', ']'],
    ['\ufeff [ ', ' ,\r\n', '\n] '],
  ] as const) {
    const collect = collecting(t, given);
    const body = Buffer.concat([
      Buffer.from(opening),
      before,
      Buffer.from(between),
      record,
      Buffer.from(between),
      after,
      Buffer.from(closing),
    ]);
    const { error, taken } = await collect.send(topic, body);
    assert.equal(error, null);
    assert.deepEqual(
      taken.rejections.map(({ index, code: its }) => [index, its]),
      [[1, code]],
      JSON.stringify(taken),
    );
    assert.deepEqual([taken.accepted, taken.rejected], [2, 1]);
    assert.deepEqual(
      written(collect, topic.name).map((line) => [line.id, line.json]),
      [
        ['before', before.toString()],
        ['after', after.toString()],
      ],
    );
    const [row, ...more] = quarantined(collect);
    assert.equal(more.length, 0);
    assert.deepEqual([row!.topic, row!.code, row!.sender, row!.reason], [topic.name, code, 'test', taken.rejections[0]!.reason]);
    assert.deepEqual(row!.body.toString('latin1').trim(), record.subarray(0, given.limits?.recordBytes).toString('latin1'));
    await collect.log.close();
  }
}

const cases: readonly (readonly [title: string, record: string | Buffer, code: string])[] = [
  ['malformed JSON', '{"order_id":"x","at":1,}', 'RECORD_JSON'],
  ['a record that is no object', '"text"', 'RECORD_NOT_OBJECT'],
  ['a duplicate key', `{"at":${AT},"amount":1,"at":${AT}}`, 'RECORD_DUPLICATE_KEY'],
  ['a lone surrogate', `{"at":${AT},"amount":1,"note":"\\ud800"}`, 'RECORD_SURROGATE'],
  ['a NUL character', `{"at":${AT},"amount":1,"note":"a\\u0000b"}`, 'RECORD_NUL'],
  ['nesting beyond the limit', `{"at":${AT},"amount":1,"items":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'RECORD_TOO_DEEP'],
  ['invalid UTF-8', Buffer.from(`{"at":${AT},"amount":1,"note":"\xb9\xd0"}`, 'latin1'), 'RECORD_ENCODING'],
  ['no time', '{"amount":1}', 'RECORD_TIME_MISSING'],
  ['a time that is null', '{"at":null,"amount":1}', 'RECORD_TIME_MISSING'],
  ['a time of 1970', '{"at":0,"amount":1}', 'RECORD_TIME'],
  ['a time of 2200', `{"at":${Date.UTC(2200, 0, 1)},"amount":1}`, 'RECORD_TIME'],
  ['seconds for milliseconds', `{"at":${AT / 1000},"amount":1}`, 'RECORD_TIME'],
  ['microseconds for milliseconds', `{"at":${AT}000,"amount":1}`, 'RECORD_TIME'],
  ['a time in words', '{"at":"yesterday","amount":1}', 'RECORD_TIME'],
  ['a time that is an object', '{"at":{},"amount":1}', 'RECORD_TIME'],
  ['no required field', `{"at":${AT}}`, 'RECORD_FIELD_MISSING'],
  ['a fraction in an integer', `{"at":${AT},"amount":1,"count":1.5}`, 'RECORD_FIELD'],
  ['an integer beyond 64 bits', `{"at":${AT},"amount":1,"count":9223372036854775808}`, 'RECORD_FIELD'],
  ['an exponent in an integer', `{"at":${AT},"amount":1,"count":1e3}`, 'RECORD_FIELD'],
  ['text in an integer', `{"at":${AT},"amount":1,"count":"many"}`, 'RECORD_FIELD'],
  ['more digits after the point than a decimal has', `{"at":${AT},"amount":1.005}`, 'RECORD_FIELD'],
  ['more digits before the point than a decimal has', `{"at":${AT},"amount":12345678901234567}`, 'RECORD_FIELD'],
  ['an exponent in a decimal', `{"at":${AT},"amount":1e2}`, 'RECORD_FIELD'],
  ['a number beyond a double', `{"at":${AT},"amount":1,"ratio":1e400}`, 'RECORD_FIELD'],
  ['a number in a boolean', `{"at":${AT},"amount":1,"paid":1}`, 'RECORD_FIELD'],
  ['a day that does not exist', `{"at":${AT},"amount":1,"due":"2026-02-29"}`, 'RECORD_FIELD'],
  ['an instant that is none', `{"at":${AT},"amount":1,"seen":"2026-02-28T25:00:00Z"}`, 'RECORD_FIELD'],
  ['an object in a text', `{"at":${AT},"amount":1,"note":{"a":1}}`, 'RECORD_FIELD'],
  ['an empty id', `{"order_id":"","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['an id of 201 bytes', `{"order_id":"${'x'.repeat(201)}","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['an id of 201 bytes, some of them escaped', `{"order_id":"\\u0061${'x'.repeat(200)}","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['an id of 67 characters that have three bytes each', `{"order_id":"${'가'.repeat(67)}","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['the same with an escape', `{"order_id":"\\uac00${'가'.repeat(66)}","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['an id with a line break', `{"order_id":"a\\nb","at":${AT},"amount":1}`, 'RECORD_ID'],
  ['an id that is a fraction', `{"order_id":1.5,"at":${AT},"amount":1}`, 'RECORD_ID'],
];

describe('a bad record in a batch is rejected, quarantined as it was sent, and harms no other', () => {
  for (const [title, record, code] of cases) test(`${title}: ${code}`, (t) => refusedBetweenGood(t, orders, record, code));

  test('a record that is too large: RECORD_TOO_LARGE', (t) =>
    refusedBetweenGood(t, orders, `{"at":${AT},"amount":1,"note":"${'x'.repeat(1000)}"}`, 'RECORD_TOO_LARGE', {
      limits: { recordBytes: 1025 },
    }));

  test('a field that a frozen topic does not name: RECORD_FIELD_UNKNOWN', (t) =>
    refusedBetweenGood(t, { ...orders, drift: 'freeze' }, `{"at":${AT},"amount":1,"surprise":1}`, 'RECORD_FIELD_UNKNOWN'));

  test('so is one that has become a column before the topic was frozen', (t) =>
    refusedBetweenGood(t, { ...orders, drift: 'freeze' }, `{"at":${AT},"amount":1,"surprise":1}`, 'RECORD_FIELD_UNKNOWN', {
      columns: () => new Set(['surprise']),
    }));
});

describe('intake', () => {
  test('names the unit that a wrong time looks like', async (t) => {
    const collect = collecting(t);
    const { taken } = await collect.send(orders, `{"at":${AT / 1000},"amount":1}\n{"at":${AT}000,"amount":1}`);
    assert.match(taken.rejections[0]!.reason, /it looks like s, the topic says ms/);
    assert.match(taken.rejections[1]!.reason, /it looks like us, the topic says ms/);
    const iso = { ...orders, fields: orders.fields.filter(({ name }) => name !== 'at'), time: { ...orders.time!, unit: 'iso' as const } };
    const numbers = await collect.send(iso, `{"at":${AT},"amount":1}\n{"at":"${AT / 1000}","amount":1}\n{"at":5,"amount":1}`);
    const says = ['it looks like ms, the topic says iso', 'it looks like s, the topic says iso', 'no instant in ISO 8601\\.$'];
    for (const [k, { reason }] of numbers.taken.rejections.entries()) assert.match(reason, new RegExp(says[k]!));
  });

  test('says of an integer that is written with an exponent just that', async (t) => {
    const { taken } = await collecting(t).send(orders, `{"at":${AT},"amount":1,"count":1e2}\n{"at":${AT},"amount":1,"count":1.5}`);
    assert.match(taken.rejections[0]!.reason, /it is written with an exponent/);
    assert.match(taken.rejections[1]!.reason, /it has a fraction/);
  });

  test('takes one object, an array, lines, and one object over many lines, with or without a byte order mark', async (t) => {
    const collect = collecting(t);
    const bodies: [string, number][] = [
      [good('a'), 1],
      [`\ufeff${good('b')}`, 1],
      [`[${good('c')},${good('d')}]`, 2],
      [`\r\n\t[ ${good('e')} ]\n`, 1],
      [`${good('f')}\r\n\r\n  ${good('g')}\n`, 2],
      [`${good('h')}${good('i')}`, 2],
      [JSON.stringify(JSON.parse(good('j')), null, 2), 1],
      [`${JSON.stringify(JSON.parse(good('k')), null, '\t')}\n${JSON.stringify(JSON.parse(good('l')), null, 2)}\n`, 2],
    ];
    for (const [body, count] of bodies) {
      const { taken } = await collect.send(orders, body);
      assert.deepEqual(taken, { accepted: count, rejected: 0, undeduplicated: 0, unkept: 0, rejections: [] }, body);
    }
    assert.equal(
      written(collect, 'orders')
        .map((line) => line.id)
        .join(''),
      'abcdefghijkl',
    );
  });

  test('keeps the bytes of a record; only line breaks and tabs between tokens become spaces', async (t) => {
    const collect = collecting(t);
    const spelled = `{ "at" :${AT}.0 , "amount":1.10,"note":"\\u0061\\/👍🏽 한 \\t","__proto__":{"x":1e2} }`;
    await collect.send(orders, `${spelled}\n`);
    await collect.send(orders, `[\n${spelled.replaceAll(' :', '\n:\t')}]`);
    const [first, second] = written(collect, 'orders');
    assert.equal(first!.json, spelled);
    assert.equal(second!.json, spelled.replaceAll(' :', ' : '));
  });

  test('answers an empty body, an empty array and white space as BODY_EMPTY', (t) => {
    const collect = collecting(t);
    for (const body of ['', '\ufeff', ' \n\t', '[]', '[ ]', '\n[\n]\n']) {
      assert.throws(
        () => collect.intake.take(orders, Buffer.from(body), { sender: 'x', idempotencyKey: null }, () => {}),
        { code: 'BODY_EMPTY' },
        JSON.stringify(body),
      );
    }
  });

  test('rejects what follows an array, and an array that does not end, without harming what stands before', async (t) => {
    for (const [body, code] of [
      [`[${good('a')}] tail`, 'BODY_JSON'],
      [`[${good('a')}`, 'BODY_JSON'],
      [`[${good('a')} ${good('b')}]`, 'BODY_JSON'],
      [`[${good('a')},`, 'RECORD_NOT_OBJECT'],
      [`[${good('a')},]`, 'RECORD_NOT_OBJECT'],
      [`[${good('a')},{"amount":"unclosed},${good('b')}]`, 'RECORD_JSON'],
    ] as const) {
      const collect = collecting(t);
      const { taken } = await collect.send(orders, body);
      assert.equal(taken.accepted, 1, body);
      assert.deepEqual(
        taken.rejections.map(({ code: its }) => its),
        [code],
        body,
      );
      assert.equal(written(collect, 'orders')[0]!.id, 'a');
    }
  });

  test('a line that is cut in the middle harms no other line', async (t) => {
    for (const half of ['{"order_id":"x"', '{"order_id":"x', '{"order_id":', '{"items":[1,', '{"items":[{"a":{', '{']) {
      const collect = collecting(t);
      const { taken } = await collect.send(orders, [good('a'), half, good('b'), half].join('\n'));
      assert.deepEqual([taken.accepted, taken.rejected], [2, 2], half);
      assert.deepEqual(
        taken.rejections.map(({ index }) => index),
        [1, 3],
      );
    }
  });

  test('never splits a record in two at a bracket or comma inside a string', async (t) => {
    const collect = collecting(t);
    const { taken } = await collect.send(orders, `[{"note":"],[{\\"","bad":},${good('a')},{"note":"}","at":},${good('b')}]`);
    assert.deepEqual([taken.accepted, taken.rejected], [2, 2]);
    assert.deepEqual(
      quarantined(collect).map((row) => row.body.toString()),
      ['{"note":"],[{\\"","bad":}', '{"note":"}","at":}'],
    );
  });

  test('takes as many records as the limit says; the others are rejected, not dropped', async (t) => {
    const collect = collecting(t, { limits: { batchRecords: 3 } });
    const { taken } = await collect.send(orders, ['a', 'b', 'c', 'd', 'e'].map(good).join('\n'));
    assert.deepEqual(
      taken.rejections.map(({ index, code }) => [index, code]),
      [
        [3, 'BATCH_TOO_LONG'],
        [4, 'BATCH_TOO_LONG'],
      ],
    );
    assert.equal(taken.accepted, 3);
    assert.equal(quarantined(collect).length, 2);
  });

  test('lists a thousand rejections at most and counts all', async (t) => {
    const collect = collecting(t);
    const { taken } = await collect.send(orders, '{}\n'.repeat(1500));
    assert.deepEqual([taken.rejected, taken.rejections.length, taken.rejections.at(-1)!.index], [1500, 1000, 999]);
  });

  test('gives records without an id one from the Idempotency-Key, another for each record and each sender, and counts those with neither', async (t) => {
    const collect = collecting(t);
    const record = `{"at":${AT},"amount":1}`;
    const body = `${record}\n${record}`;
    assert.equal((await collect.send(orders, body)).taken.undeduplicated, 2);
    for (const sender of ['x', 'x', 'y'])
      assert.equal((await collect.send(orders, body, { idempotencyKey: 'k1', sender })).taken.undeduplicated, 0);
    await collect.send(orders, body, { idempotencyKey: 'k2', sender: 'x' });
    const ids = written(collect, 'orders').map((line) => line.id);
    assert.deepEqual(ids.slice(0, 2), ['', '']);
    const [first, retry, other, next] = [ids.slice(2, 4), ids.slice(4, 6), ids.slice(6, 8), ids.slice(8, 10)];
    assert.deepEqual(first, retry);
    assert.equal(new Set([...first, ...other, ...next]).size, 6);
  });

  test('an id is the same however it is spelled: 200 bytes of UTF-8, without the characters that JSON has to escape', async (t) => {
    const whole = `${'가'.repeat(66)}ab`;
    for (const [raw, escaped] of [
      [whole, whole.replace('가', '\\uac00')],
      ['a\u007fb', 'a\\u007fb'],
    ] as const) {
      const collect = collecting(t);
      const { taken } = await collect.send(orders, [raw, escaped].map(good).join('\n'));
      assert.deepEqual([taken.accepted, taken.rejected], [2, 0], escaped);
      assert.deepEqual(
        written(collect, 'orders').map((line) => line.id),
        [raw, raw],
      );
    }
  });

  test('a record that fails again at replay is not quarantined again', async (t) => {
    const collect = collecting(t);
    const { taken } = await collect.send(orders, '{}', { replayOf: 'q-30' });
    assert.equal(taken.rejected, 1);
    assert.equal(quarantined(collect).length, 0);
  });

  test('a piece that comes out of quarantine is one record or none: nothing is taken out of it, and an empty one stops no other', async (t) => {
    const b = good('b');
    for (const sent of [`[${good('a')} ${b} ]`, `[${good('a')} ${b},${b}]`, `[[${b}]]`, `[${good('a')}`]) {
      const collect = collecting(t);
      await collect.send(orders, sent);
      const { body } = quarantined(collect)[0]!;
      const before = written(collect, 'orders').length;
      for (const time of [1, 2]) {
        const { error, taken } = await collect.send(orders, body, { replayOf: 'q-30' });
        assert.equal(error, null, sent);
        assert.deepEqual([taken.accepted, taken.rejected], [0, 1], `${sent}, time ${time}`);
      }
      assert.equal(written(collect, 'orders').length, before, sent);
    }
    const collect = collecting(t);
    const { taken } = await collect.send(orders, ` ${b}\r`, { replayOf: 'q-30' });
    assert.deepEqual([taken.accepted, taken.rejected], [1, 0]);
  });

  test('lets one sender put no more than its share into quarantine an hour; it rejects all the same, and others are not touched', async (t) => {
    let now = NOW;
    const collect = collecting(t, { now: () => now });
    const body = `{"note":"${'x'.repeat(1_000_000)}"}\n`.repeat(10);
    const unkept: number[] = [];
    for (let k = 0; k < 8; k++) {
      const { taken } = await collect.send(orders, body, { sender: 'flood' });
      assert.equal(taken.rejected, 10);
      unkept.push(taken.unkept);
    }
    assert.equal(quarantined(collect).length, 67);
    assert.deepEqual(unkept, [0, 0, 0, 0, 0, 0, 3, 10]);
    const { rejected, unkept: counted } = collect.intake.counts.get('orders')!;
    assert.deepEqual([rejected, counted], [80, 13]);
    await collect.send(orders, '{}', { sender: 'other' });
    assert.equal(quarantined(collect).at(-1)!.sender, 'other');
    now += 3_600_000_000;
    await collect.send(orders, '{}', { sender: 'flood' });
    assert.equal(quarantined(collect).at(-1)!.sender, 'flood');
  });

  test('counts what was accepted and rejected for each topic', async (t) => {
    const collect = collecting(t);
    await collect.send(orders, `${good('a')}\n{}`);
    await collect.send(topicOf('other', '{}'), '{}');
    assert.deepEqual(collect.intake.counts.get('orders'), { accepted: 1, rejected: 1, unkept: 0, bytes: good('a').length + 3 });
    assert.equal(collect.intake.counts.get('other')!.accepted, 1);
  });

  test('reads times without an offset in the workspace’s zone, over the changes of summer time', async (t) => {
    const topic = topicOf('t', 'time: at\nfields: {at: timestamp}');
    for (const [timeZone, text, instant] of [
      ['Asia/Seoul', '2026-01-15T09:00:00', '2026-01-15T00:00:00Z'],
      ['Asia/Seoul', '2026-01-15', '2026-01-14T15:00:00Z'],
      ['America/New_York', '2025-03-09T01:59:59', '2025-03-09T06:59:59Z'],
      ['America/New_York', '2025-03-09T03:00:00', '2025-03-09T07:00:00Z'],
      ['America/New_York', '2025-11-02T03:00:00', '2025-11-02T08:00:00Z'],
      ['Asia/Seoul', '2026-01-15T09:00:00+01:00', '2026-01-15T08:00:00Z'],
      ['Asia/Seoul', '2026-01-15 09:00:00.123456Z', '2026-01-15T09:00:00.123456Z'],
    ] as const) {
      const collect = collecting(t, { timeZone });
      const { taken } = await collect.send(topic, JSON.stringify({ at: text }));
      assert.equal(taken.accepted, 1, text);
      const micros =
        Date.parse(instant.replace(/\d{3}Z$/, 'Z')) * 1000 + (/\.\d{3}(\d{3})Z/.test(instant) ? Number(instant.slice(-4, -1)) : 0);
      assert.equal(written(collect, 't')[0]!.time, String(micros), `${text} in ${timeZone}`);
    }
  });
});
