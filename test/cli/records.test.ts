import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { batches } from '../../src/cli/records.ts';

async function split(text: string | Buffer, { records = 1000, bytes = 1e6, chunk = 7 } = {}) {
  const whole = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(whole.length / chunk) }, (_, at) => whole.subarray(at * chunk, (at + 1) * chunk));
  const found = [];
  for await (const batch of batches(Readable.from(chunks), { records, bytes }))
    found.push({ text: batch.body.toString(), lines: batch.lines });
  return found;
}

const records = async (text: string | Buffer, chunk = 7) =>
  (await split(text, { chunk })).flatMap((batch) => batch.text.split('\n').slice(0, -1));

describe('the records of a file', () => {
  test('NDJSON goes out line by line as it came in, broken lines too, with their line numbers', async () => {
    const [batch] = await split('{"a":12345678901234567890}\r\n\n{broken\n{"b":"\\ud800"}');
    assert.deepEqual(batch, { text: '{"a":12345678901234567890}\r\n{broken\n{"b":"\\ud800"}\n', lines: [1, 3, 4] });
  });

  test('an array is cut at its elements, numbers and nesting untouched', async () => {
    const text = '\ufeff [ {"a": 1.10, "b": "],}{\\""},\n {"c": [1, {"d": []}]} , 5,"x,y" ]\n';
    assert.deepEqual(await records(text), ['{"a": 1.10, "b": "],}{\\""}', '{"c": [1, {"d": []}]}', '5', '"x,y"']);
  });

  test('one object over several lines is one record', async () => {
    const [batch] = await split('\n{\n  "a": 1,\n  "b": "}"\n}\n{\n "c": 2 }\n');
    assert.deepEqual(batch, { text: '{   "a": 1,   "b": "}" }\n{  "c": 2 }\n', lines: [2, 6] });
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
