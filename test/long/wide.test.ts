import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTopic } from '#workspace';
import { column, columnsOf, count, delivery, freshStore } from '../store/fixture.ts';

const topicOf = (name: string) => parseTopic(name, 'id: id\ntype: kind\nfields: {id: text, kind: text}', `topics/${name}.yaml`);

test('of five thousand fields the first two hundred become columns; all of them stand in the record as it was sent', async (t) => {
  const store = await freshStore(t);
  const json = (id: string) =>
    JSON.stringify({ id, kind: 'wide', ...Object.fromEntries(Array.from({ length: 5_000 }, (_, k) => [`f${k}`, k])) });
  const first = delivery(topicOf('wide'), 0, [{ json: json('a'), id: 'a' }]);
  await store.deliver([first]);
  await store.deliver([
    delivery(first.topic, first.to, [
      { json: json('b'), id: 'b' },
      { json: json('a'), id: 'a' },
    ]),
  ]);
  const columns = await columnsOf(store, 'raw.wide');
  assert.equal(Object.keys(columns).length, 200);
  assert.equal(columns['f0'], 'BIGINT');
  assert.deepEqual(await column(store, 'SELECT data FROM raw.wide ORDER BY _position'), [json('a'), json('b')]);
  assert.deepEqual(await column(store, `SELECT sum(CAST(data->>'f4999' AS BIGINT)) FROM raw.wide`), [9998n]);
});

test('a record of ten million bytes stands beside small ones as it was sent', async (t) => {
  const store = await freshStore(t);
  const large = JSON.stringify({ id: 'large', kind: 'x', text: '가x'.repeat(2_500_000) });
  assert.ok(Buffer.byteLength(large) >= 10_000_000);
  const small = JSON.stringify({ id: 'small', kind: 'x', text: '1' });
  await store.deliver([
    delivery(topicOf('large'), 0, [
      { json: small, id: 'small' },
      { json: large, id: 'large' },
      { json: small, id: 'small' },
    ]),
  ]);
  const held = await column(store, 'SELECT data FROM raw.large ORDER BY _position');
  assert.equal(held.length, 2);
  assert.ok(held[0] === small && held[1] === large);
});

test('two hundred topics with a thousand sparse types are delivered in one transaction, each with its own rows', async (t) => {
  const store = await freshStore(t);
  const deliveries = Array.from({ length: 200 }, (_, n) => {
    const records = Array.from({ length: 5 }, (_, k) => {
      const kind = n * 5 + k;
      return { json: JSON.stringify({ id: `${n}-${k}`, kind: `kind_${kind}`, [`only_${kind}`]: kind }), id: `${n}-${k}` };
    });
    return delivery(topicOf(`topic_${n}`), 0, records);
  });
  await store.deliver(deliveries);
  assert.equal(store.batch(), 1);
  assert.equal(await count(store, 'millrace.batch WHERE rows = 5'), 200);
  assert.deepEqual(await column(store, 'SELECT kind FROM raw.topic_199 WHERE only_999 = 999'), ['kind_999']);
  assert.equal(Object.keys(await columnsOf(store, 'raw.topic_7')).length, 7);
});
