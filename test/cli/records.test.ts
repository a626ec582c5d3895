import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { MillraceError } from '#core';
import { batches } from '../../src/cli/records.ts';
import { collecting, topicOf } from '../collect/fixture.ts';

async function split(text: string | Buffer, { records = 1000, bytes = 1e6, chunk = 7 } = {}) {
  const whole = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(whole.length / chunk) }, (_, at) => whole.subarray(at * chunk, (at + 1) * chunk));
  const found = [];
  try {
    for await (const batch of batches(Readable.from(chunks), { records, bytes }))
      found.push({ text: batch.body.toString(), lines: batch.lines });
  } catch (thrown) {
    // After the last one of an array that is cut off.
    if ((thrown as MillraceError).code !== 'BODY_JSON') throw thrown;
  }
  return found;
}

const records = async (text: string | Buffer, chunk = 7) =>
  (await split(text, { chunk })).flatMap((batch) => batch.text.split('\n').slice(0, -1));

describe('the records of a file', () => {
  test('NDJSON goes out line by line as it came in, broken lines too, with their line numbers', async () => {
    const [batch] = await split('{"a":12345678901234567890}\r\n\n{broken\n{"b":"\\ud800"}');
    assert.deepEqual(batch, { text: '{"a":12345678901234567890}\n{broken\n{"b":"\\ud800"}\n', lines: [1, 3, 4] });
  });

  test('an array is cut at its elements, numbers and nesting untouched', async () => {
    const text = '\ufeff [ {"a": 1.10, "b": "],}{\\""},\n {"c": [1, {"d": []}]} , 5,"x,y" ]\n';
    assert.deepEqual(await records(text), ['{"a": 1.10, "b": "],}{\\""}', '{"c": [1, {"d": []}]}', '5', '"x,y"']);
  });

  test('one object over several lines is one record', async () => {
    const [batch] = await split('\n{\n  "a": 1,\n  "b": "}"\n}\n{\n "c": 2 }\n');
    assert.deepEqual(batch, { text: '{\n  "a": 1,\n  "b": "}"\n}\n{\n "c": 2 }\n', lines: [2, 6] });
  });

  test('a line that is cut, the first one too, spoils no other line', async () => {
    const good = ['{"id":"a2"}', '{"id":"a3","x":[1,{"y":"\\ud83d\\ude00"}]}', '{"id":"a4"}'];
    for (const half of [
      '{"id":"a1","x":"cut',
      '{"id":"a1","x":"cut\\',
      '{"id":"a1","x":',
      '{"id":"a1",',
      '{"id":[',
      '{"a":{"b":[{',
      '{',
      '"',
    ])
      for (const chunk of [1, 7, 1000])
        for (const text of [
          [half, ...good],
          [good[0], half, half, ...good.slice(1)],
        ])
          assert.deepEqual(await records(text.join('\n'), chunk), text, `${half} in pieces of ${chunk}`);
  });

  test('an element of an array with a raw line break in a string goes alone, with its bytes, in a form in which the server refuses it whole', async () => {
    const found = await split('[{"a":1},\n{"x":"y\n{\\"b\\":2}\n"} ,{"c":\n3}]');
    assert.deepEqual(found, [
      { text: '{"a":1}\n', lines: [1] },
      { text: '[{"x":"y\n{\\"b\\":2}\n"}', lines: [2] },
      { text: '{"c": 3}\n', lines: [4] },
    ]);
  });

  test('intake finds in each body the records that were cut, one for each line number', async (t) => {
    const topic = topicOf('any', '{}');
    const pieces = [
      '{"a":1}',
      '{"a":{"b":[2]}}',
      '{',
      '}',
      '"',
      '[',
      ']',
      ',',
      '\n',
      ' ',
      '\\',
      '{"a":',
      '{"a":1,"a":2}',
      '"x\ny"',
      '5',
      '\n{"c":\n3}\n',
    ];
    const text = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 4 }), async (file, chunk, records) => {
        const { send } = collecting(t);
        for (const batch of await split(file, { chunk, records })) {
          const { taken } = await send(topic, batch.text);
          assert.equal(taken.accepted + taken.rejected, batch.lines.length, JSON.stringify(batch));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('a record longer than any server takes is an error, and is not waited for', async () => {
    for (const begun of ['{"a":"', '[{"a":"'])
      await assert.rejects(split(begun + 'x'.repeat(17 * 2 ** 20), { chunk: 65_536 }), { code: 'RECORD_TOO_LARGE' });
    const element = `{"b":"${'x'.repeat(1000)}"}`;
    const lines = await records(`{"a":[\n${`${element},\n`.repeat(17_000)}{"c":1}`, 65_536);
    assert.deepEqual([lines.length, lines[0], lines[1], lines[2], lines.at(-1)], [34_002, '{"a":[', element, ',', '{"c":1}']);
  });

  test('what an array leaves open goes out as one record, for the server to refuse', async () => {
    assert.deepEqual(await records('[{"a":1},{"b":'), ['{"a":1}', '{"b":']);
  });

  test('an empty file has none', async () => {
    assert.deepEqual(await split(''), []);
    assert.deepEqual(await split('\n \n'), []);
    assert.deepEqual(await split('[]'), []);
  });

  test('a batch ends at the number of records or of bytes, and a longer record goes alone', async () => {
    const lines = ['{"a":1}', '{"a":2}', '{"a":3}', `{"a":"${'x'.repeat(50)}"}`, '{"a":5}'];
    assert.deepEqual(
      (await split(lines.join('\n'), { records: 2 })).map((batch) => batch.lines),
      [[1, 2], [3, 4], [5]],
    );
    assert.deepEqual(
      (await split(lines.join('\n'), { bytes: 20 })).map((batch) => batch.lines),
      [[1, 2], [3], [4], [5]],
    );
  });

  test('any records come out the same from NDJSON, an array and spread objects, however the file is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }),
        fc.integer({ min: 1, max: 40 }),
        async (values, chunk) => {
          const forms = [values.map((value) => JSON.stringify(value)).join('\n'), JSON.stringify(values), JSON.stringify(values, null, 2)];
          for (const form of forms)
            assert.deepEqual(
              (await records(form, chunk)).map((each) => JSON.parse(each)),
              JSON.parse(JSON.stringify(values)),
            );
        },
      ),
      { numRuns: 100 },
    );
  });
});
