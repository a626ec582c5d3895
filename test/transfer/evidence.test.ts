import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Evidence } from '../../src/transfer/csv/evidence.ts';
import { converter } from '../../src/transfer/csv/values.ts';

const digits = fc.stringMatching(/^[0-9]{1,18}$/);
const number = fc
  .tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.', ','), digits, fc.constantFrom('', '', 'e5', 'E-12'))
  .map(([sign, whole, mark, fraction, exponent]) => `${sign}${whole}${mark}${mark === '' ? '' : fraction}${exponent}`);
const part = (most: number) => fc.integer({ min: 0, max: most }).map((value) => String(value).padStart(2, '0'));
const time = fc
  .tuple(fc.constantFrom('2024', '2023', '1900', '2000', '0001'), fc.constantFrom('-', '/', '.'), part(13), part(32), part(24), part(60))
  .chain(([year, mark, month, day, hour, minute]) => {
    const date = `${year}${mark}${month}${mark}${day}`;
    const dated = [date, `${date} ${hour}:${minute}:${minute}`, `${date}T${hour}:${minute}:${minute}`];
    return fc.constantFrom(...dated, `${dated[1]}.25`, `${dated[1]}Z`, `${day}${mark}${month}${mark}${year}`);
  });
const odd = fc.constantFrom(
  '-',
  '.',
  '-.5',
  '5.',
  '-0',
  '-0.0',
  '00',
  '01.5',
  'true',
  '12-4-5678',
  '2024-02-30',
  '2024-02-29 25:00:00',
  ' 1',
  'é',
);
/** As exports write them: one scale, one form of time; and signs, zeros and days that may not be. */
const regular = fc.oneof(
  fc.integer({ min: 0, max: 6 }).chain((scale) => {
    const value = fc
      .tuple(fc.constantFrom('', '-'), fc.integer({ min: 0, max: 99_999 }), fc.integer({ min: 0, max: 10 ** scale - 1 }))
      .map(([sign, whole, rest]) => `${sign}${whole}${scale === 0 ? '' : `.${String(rest).padStart(scale, '0')}`}`);
    return fc.array(value, { minLength: 1, maxLength: 6 });
  }),
  fc.array(
    fc.tuple(part(12), part(31)).map(([month, day]) => `2024-${month}-${day}`),
    { minLength: 1, maxLength: 6 },
  ),
);
/** Columns of one kind, and mixed ones. */
const column = fc.oneof(
  regular,
  fc.array(number, { minLength: 1, maxLength: 6 }),
  fc.array(time, { minLength: 1, maxLength: 6 }),
  fc.array(fc.oneof(number, time, odd), { minLength: 1, maxLength: 6 }),
);

test('a value that is judged where it lies in a buffer is evidence for the same type as its text', () => {
  fc.assert(
    fc.property(column, (values) => {
      const [texts, bytes] = [new Evidence(), new Evidence()];
      for (const value of values) {
        texts.add(value);
        const buffer = Buffer.from(`"${value},`);
        bytes.addBytes(buffer, 1, buffer.length - 1);
      }
      assert.deepEqual(bytes.found(null, null), texts.found(null, null), JSON.stringify(values));
      assert.deepEqual([bytes.values, bytes.order, bytes.marks], [texts.values, texts.order, texts.marks]);
    }),
    { numRuns: 2_000 },
  );
});

test('a column is copied as it is only where converting changes none of its values', () => {
  let copied = 0;
  fc.assert(
    fc.property(column, (values) => {
      const evidence = new Evidence();
      for (const value of values) evidence.add(value);
      const { type, style, asIs } = evidence.found(null, null);
      const convert = converter(type, style);
      if (!asIs || convert === null) return;
      copied++;
      for (const value of values) assert.equal(convert(value), value, `${type} ${value}`);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(copied > 100, `only ${copied} columns were copied`);
});

test('dates that are written otherwise than in the warehouse are never copied as they are', () => {
  const found = (...values: string[]) => {
    const evidence = new Evidence();
    for (const value of values) evidence.add(value);
    const { type, asIs } = evidence.found('dmy', null);
    return [type, asIs];
  };
  assert.deepEqual(found('2024-01-31'), ['DATE', true]);
  assert.deepEqual(found('2024-01-31', '2024/02/01'), ['DATE', false]);
  assert.deepEqual(found('2024-01-31 10:00:00'), ['TIMESTAMP', true]);
  assert.deepEqual(found('31.01.2024'), ['DATE', false]);
  assert.deepEqual(found('1.50', '2.25'), ['DECIMAL(18,2)', true]);
  assert.deepEqual(found('1.5', '2.25'), ['DECIMAL(18,2)', false]);
  assert.deepEqual(found('1,5', '2,25'), ['DECIMAL(18,2)', false]);
  assert.deepEqual(found('true', 'false'), ['BOOLEAN', false]);
});
