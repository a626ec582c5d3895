/** What was sent is what stands in the warehouse: from the body of a request through intake, log and delivery to SELECT. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readSlice } from '#collect';
import type { Store } from '#store';
import { collecting, topicOf } from '../collect/fixture.ts';
import { jsonText, numberText, stringText } from '../collect/json.ts';
import { freshStore } from './fixture.ts';

/** A decimal number as digits and a power of ten, so that 1.10, 11e-1 and 1.1 are one. */
function decimal(text: string): string {
  const match = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  assert.ok(match, `no number: ${text}`);
  const all = `${match[2]}${match[3] ?? ''}`;
  const digits = all.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${match[1]}${significant}e${Number(match[4] ?? 0) - (match[3]?.length ?? 0) + digits.length - significant.length}`;
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** JSON with each number in one spelling and without white space. */
function canonical(json: string): string {
  const texts = /"(?:[^"\\]|\\.)*"/g;
  const strings = [...json.matchAll(texts)].map(([text]) => JSON.stringify(JSON.parse(text)));
  let k = 0;
  return json
    .replace(texts, '\u0001')
    .replace(/\s+/g, '')
    .replace(NUMBER, decimal)
    .replace(/\u0001/g, () => strings[k++]!);
}

const digits = (max: number) => fc.array(fc.constantFrom(...'0123456789'), { minLength: 1, maxLength: max }).map((all) => all.join(''));
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const money = fc
  .tuple(fc.constantFrom('', '-'), fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.option(digits(10), { nil: null }), fc.nat(3))
  .map(([sign, whole, fraction, zeros]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}${'0'.repeat(zeros)}`}`);
const small = fc
  .tuple(fc.constantFrom('', '-'), fc.nat(7), fc.bigInt({ min: 1n, max: 999n }))
  .map(([sign, zeros, rest]) => `${sign}0.${'0'.repeat(zeros)}${rest}`);
const double = numberText.filter((text) => Number.isFinite(Number(text)) && !/^-?\d{16,}$/.test(text));
const instant = fc
  .tuple(
    fc.integer({ min: Date.UTC(1700, 0, 1), max: Date.UTC(2250, 0, 1) }),
    fc.nat(999),
    fc.constantFrom('T', ' '),
    fc.constantFrom('Z', '+09:00', '-0330', '+00', 'z'),
    fc.nat(3),
  )
  .map(([millis, more, separator, offset, cut]) => {
    const wall = { Z: 0, z: 0, '+00': 0, '+09:00': 540, '-0330': -210 }[offset]!;
    const shown = new Date(millis + wall * 60_000).toISOString();
    const [base, fraction, micros] = [
      [shown.slice(0, 19), '', Math.floor(millis / 1000) * 1_000_000],
      [shown.slice(0, 19), `.${shown.slice(20, 23)}`, millis * 1000],
      [shown.slice(0, 19), `.${shown.slice(20, 23)}${String(more).padStart(3, '0')}`, millis * 1000 + more],
      [shown.slice(0, 19), `,${shown.slice(20, 23)}`, millis * 1000],
    ][cut]! as [string, string, number];
    return { text: `"${base.replace('T', separator)}${fraction}${offset}"`, micros };
  });
const day = fc
  .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 6 });
const quoted = (arbitrary: fc.Arbitrary<string>) =>
  fc.oneof(
    arbitrary,
    arbitrary.map((text) => `"${text}"`),
  );

const declared = fc.record({
  i: optional(quoted(int64.map(String))),
  m: optional(quoted(money)),
  f: optional(quoted(small)),
  x: optional(double),
  s: optional(fc.oneof(stringText, stringText, numberText, fc.constantFrom('true', 'false'))),
  j: optional(jsonText(2)),
  t: optional(instant),
  d: optional(day),
  b: optional(fc.constantFrom('true', 'false', '"true"')),
});

const YAML = `
drift: evolve
id: id
fields:
  id: text
  i: integer
  m: decimal(38,10)
  f: decimal(38,10)
  x: double
  s: text
  j: json
  t: timestamp
  d: date
  b: boolean
`;

type Declared = typeof declared extends fc.Arbitrary<infer T> ? T : never;

function textOf(id: string, { t, d, ...others }: Declared, more: readonly [string, string][]): string {
  const pairs: [string, string | null][] = [
    ['id', JSON.stringify(id)],
    ...Object.entries(others),
    ['t', t?.text ?? null],
    ['d', d === null ? null : `"${d}"`],
  ];
  // Absent and null are both NULL.
  const present = [...pairs, ...more].filter(([key, value]) => value !== null || key < 'm');
  return `{${present.map(([key, value]) => `${JSON.stringify(key)}: ${value ?? 'null'}`).join(', ')}}`;
}

let topics = 0;

/** Sends the texts, delivers them, and gives the rows by their id. */
async function through(
  t: Parameters<typeof collecting>[0],
  store: Store,
  yaml: string,
  batches: readonly (readonly string[])[],
): Promise<Map<string, { [column: string]: unknown }>> {
  const topic = topicOf(`t${++topics}`, yaml);
  const collect = collecting(t);
  let at = 0;
  for (const texts of batches) {
    const { taken } = await collect.send(topic, texts.join('\n'));
    assert.deepEqual(taken.rejections, []);
    const slice = readSlice(collect.log.root, topic.name, at, collect.log.durable()[topic.name]!, 1 << 24)!;
    at = slice.to;
    const [delivered] = await store.deliver([{ topic, ...slice }]);
    const quarantined =
      delivered!.quarantined === 0 ? [] : await store.rows(`SELECT reason FROM millrace.quarantine WHERE topic = '${topic.name}'`);
    assert.deepEqual([delivered!.rows, quarantined], [texts.length, []]);
  }
  await collect.log.close();
  const names = Object.entries((await store.tables()).find(({ schema, name }) => schema === 'raw' && name === topic.name)!.columns);
  const shown = names.map(([, { name, type }]) => {
    const column = `"${name.replaceAll('"', '""')}"`;
    const value = type.startsWith('TIMESTAMP')
      ? `epoch_us(${column})`
      : type === 'DOUBLE' || type === 'BOOLEAN'
        ? column
        : `CAST(${column} AS VARCHAR)`;
    return `${value} AS ${column}, '${type}' AS "type ${name.replaceAll('"', '""')}"`;
  });
  const rows = await store.rows(`SELECT ${shown.join(', ')} FROM raw.${topic.name}`);
  return new Map(rows.map((row) => [String(row['_id']), row]));
}

const plain = (text: string) => (text.startsWith('"') ? (JSON.parse(text) as string) : text);

describe('what was sent stands in the warehouse', () => {
  test('exactly, in declared columns of every type, and byte for byte in data', async (t) => {
    const store = await freshStore(t);
    await fc.assert(
      fc.asyncProperty(fc.array(declared, { minLength: 1, maxLength: 40 }), async (records) => {
        const texts = records.map((record, k) => textOf(`r${k}`, record, []));
        const rows = await through(t, store, YAML, [texts]);
        assert.equal(rows.size, records.length);
        for (const [k, record] of records.entries()) {
          const row = rows.get(`r${k}`)!;
          assert.equal(row['data'], texts[k]!.replace(/[\n\r\t]/g, ' '));
          assert.equal(row['i'], record.i === null ? null : BigInt(plain(record.i)).toString());
          for (const name of ['m', 'f'] as const) {
            if (record[name] === null) assert.equal(row[name], null);
            else assert.equal(decimal(String(row[name])), decimal(plain(record[name])), record[name]);
          }
          if (record.x === null) assert.equal(row['x'], null);
          else
            assert.ok(Object.is(row['x'], Number(record.x)) || (row['x'] === 0 && Number(record.x) === 0), `${row['x']} for ${record.x}`);
          assert.equal(row['s'], record.s === null ? null : plain(record.s));
          assert.equal(row['j'], record.j === null || record.j === 'null' ? null : record.j);
          assert.equal(row['t'] === null ? null : Number(row['t']), record.t === null ? null : record.t.micros, record.t?.text);
          assert.equal(row['d'], record.d);
          assert.equal(row['b'], record.b === null ? null : record.b.includes('true'));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('in the columns of Millrace’s that have the names of its id and its time', async (t) => {
    const store = await freshStore(t);
    const sent = '{"_id":"5f1a","_time":"2026-03-01T09:00:00+09:00","_type":"view"}';
    const rows = await through(t, store, 'id: _id\ntime: _time\ntype: _type\n', [[sent], [sent.replace('5f1a', '5f1b')]]);
    assert.deepEqual([...rows.keys()], ['5f1a', '5f1b']);
    const { _time, _type, data } = rows.get('5f1a')!;
    assert.deepEqual([Number(_time), _type, data], [Date.UTC(2026, 2, 1) * 1000, 'view', sent]);
  });

  test('in columns that were made of undeclared fields, whatever comes first and whatever follows', async (t) => {
    const store = await freshStore(t);
    const kinds = [
      int64.map(String),
      numberText,
      stringText,
      jsonText(2),
      fc.constantFrom('true', 'false', 'null'),
      quoted(int64.map(String)),
      fc.constantFrom('"007"', '"nan"', '" 5"', '"1e5"', '"true"', '"{}"', '"5"', '1e400'),
    ];
    // Each field keeps to few kinds of values, as fields do, and strays sometimes.
    const field = fc
      .tuple(fc.constantFrom(...kinds), fc.constantFrom(...kinds), fc.constantFrom(...kinds))
      .chain(([a, b, c]) =>
        fc.tuple(
          fc.array(a, { minLength: 3, maxLength: 8 }),
          fc.array(fc.oneof(a, b), { minLength: 3, maxLength: 8 }),
          fc.array(fc.oneof(a, b, c), { minLength: 3, maxLength: 8 }),
        ),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(field, { minLength: 1, maxLength: 5 }), async (fields) => {
        const names = ['plain', '한글 이름', 'with "quotes" and ~/', 'Upper', 'x'];
        const sent = new Map<string, Map<string, string>>();
        const batches = [0, 1, 2].map((batch) =>
          Array.from({ length: 8 }, (_, k) => {
            const id = `r${batch}-${k}`;
            const values = fields.flatMap((its, n): [string, string][] =>
              its[batch as 0][k] === undefined ? [] : [[names[n]!, its[batch as 0][k]!]],
            );
            sent.set(id, new Map(values));
            return `{"id":"${id}"${values.map(([key, value]) => `,${JSON.stringify(key)}:${value}`).join('')}}`;
          }),
        );
        const rows = await through(t, store, 'id: id', batches);
        assert.equal(rows.size, 24);
        for (const [id, values] of sent) {
          const row = rows.get(id)!;
          for (const name of names) assertSame(values.get(name) ?? 'null', row[name] ?? null, String(row[`type ${name}`]));
        }
      }),
      { numRuns: 40 },
    );
  });
});

/** Is the column's value what was sent? A fraction in a DOUBLE, or in a text that was one before, may be the double next to it; an integer never. */
function assertSame(sent: string, found: unknown, type: string): void {
  const says = `${JSON.stringify(found)} of type ${type} for ${sent}`;
  if (sent === 'null') assert.equal(found, null, says);
  else if (found === null) assert.fail(says);
  else if (sent.startsWith('"')) assertSameText(JSON.parse(sent) as string, String(found), type, says);
  else if (/^[{[]/.test(sent)) assert.equal(canonical(String(found)), canonical(sent), says);
  else if (sent === 'true' || sent === 'false') assert.equal(String(found), sent, says);
  else if (/^-?\d+$/.test(sent))
    assert.equal(decimal(type === 'DOUBLE' ? BigInt(found as number).toString() : String(found)), decimal(sent), says);
  else assert.ok(decimal(String(found)) === decimal(sent) || Number(found) === Number(sent), says);
}

/** Text may stand in a column of numbers if it is spelled as JSON spells that number, and in one of JSON if it is an object or array. */
function assertSameText(sent: string, found: string, type: string, says: string): void {
  if (type === 'DOUBLE' || type === 'BIGINT') {
    assert.ok(/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(sent) && Number(sent) === Number(found), says);
  } else assert.equal(found, sent, says);
  if (type === 'JSON') assert.match(sent, /^[{[]/, says);
}
