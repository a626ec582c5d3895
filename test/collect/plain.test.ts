import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Files, QUARANTINE, readSlice, realFiles } from '#collect';
import type { Topic } from '#core';
import { collecting, type Line, linesOf, NOW, topicOf } from './fixture.ts';
import { jsonText, numberText, stringText } from './json.ts';

const fields = `fields:
  id: text
  amount: {type: "decimal(9,3)"}
  count: integer
  ratio: double
  paid: boolean
  due: date
  seen: timestamp
  at: timestamp
  note: text
  items: json
  "이름": text
`;
const topics: readonly Topic[] = [
  topicOf('iso', `id: id\ntime: at\n${fields}`),
  topicOf(
    'needs',
    `id: id\ntime: {field: at, required: true}\n${fields.replace('count: integer', 'count: {type: integer, required: true}')}`,
  ),
  topicOf('millis', `id: count\ntime: {field: ratio, unit: ms}\ndrift: freeze\n${fields}`),
  topicOf('seconds', `time: {field: count, unit: s}\ndrift: discard\n${fields}`),
  topicOf('bare', `fields:\n  note: text\n`),
];
const names = ['id', 'amount', 'count', 'ratio', 'paid', 'due', 'seen', 'at', 'note', 'items', '이름', 'known', 'new'];

const two = (least: number, most: number) => fc.integer({ min: least, max: most }).map((n) => String(n).padStart(2, '0'));
/** Instants in the usual spelling and near it, some of them on no calendar. */
const instantText = fc
  .tuple(
    fc.constantFrom('2025', '2026', '2024', '1999', '1970', '0000', '2100', '20x5'),
    two(0, 13),
    two(0, 32),
    fc.constantFrom('T', 'T', ' ', 't', '_'),
    two(0, 24),
    two(0, 60),
    two(0, 61),
    fc.constantFrom('', '', '.5', '.123456', '.1234567', '.', ',5', '.12a'),
    fc.constantFrom('Z', 'Z', 'Z', 'z', '', '+09:00', 'ZZ'),
  )
  .map(([y, mo, d, t, h, mi, s, fraction, zone]) => `"${y}-${mo}-${d}${t}${h}:${mi}:${s}${fraction}${zone}"`);
const dateText = instantText.map((text) => `${text.slice(0, 11)}"`);
const usual = fc.oneof(
  instantText,
  dateText,
  fc.integer({ min: -5, max: 2_000_000_000 }).map(String),
  fc.integer({ min: NOW / 1000 - 1e12, max: NOW / 1000 + 2e8 }).map(String),
  fc
    .tuple(fc.integer({ min: -1_000_000, max: 99_999_999 }), fc.constantFrom('.5', '.25', '.00001', '.123', '.1234', '.0'))
    .map((parts) => parts.join('')),
  fc.constantFrom(
    'true',
    'false',
    'null',
    '"true"',
    '""',
    '"a"',
    '00',
    '-0',
    '01',
    '1.',
    '.5',
    '123456789012345678',
    '1234567890123456789',
    'nul',
    'truE',
  ),
  fc.string({ maxLength: 40 }).map((text) => JSON.stringify(text)),
);
const valueText = fc.oneof(
  { weight: 6, arbitrary: usual },
  { weight: 1, arbitrary: numberText },
  { weight: 1, arbitrary: stringText },
  { weight: 1, arbitrary: jsonText(2) },
);
const gap = fc.oneof({ weight: 20, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(' ', '  ', '\n', '\t') });
const millis = fc.integer({ min: NOW / 1000 - 1e11, max: NOW / 1000 }).map(String);
/** What mostly fits the fields of these names. */
const fitting: Readonly<Record<string, fc.Arbitrary<string>>> = {
  id: fc.nat().map((n) => `"e-${n}"`),
  amount: fc.nat(99_999).map((n) => `${n}.25`),
  count: fc.integer({ min: NOW / 1e6 - 1e7, max: NOW / 1e6 }).map(String),
  ratio: millis,
  paid: fc.constantFrom('true', 'false'),
  due: fc.constantFrom('"2026-02-28"', '"2024-02-29"', '"2023-02-29"', '"0000-02-29"'),
  seen: fc.constantFrom('"2026-02-28T23:59:59.123456Z"', '"2000-02-29 00:00:00Z"'),
  at: fc.nat(86_399_999).map((n) => `"${new Date(NOW / 1000 - n).toISOString()}"`),
  note: fc.constantFrom('"a\\n"', '"\\u1100"', '"한글"', '"a note of more than sixteen bytes \\"so\\""', '1', 'true'),
};
const pair = fc
  .constantFrom(...names)
  .chain((name) =>
    fc.tuple(fc.constant(name), gap, fc.oneof({ weight: 12, arbitrary: fitting[name] ?? usual }, { weight: 1, arbitrary: valueText })),
  )
  .map(([name, space, value]) => `${JSON.stringify(name)}${space}:${space}${value}`);
/** Most have each key once and in order, as clients send them. */
const recordText = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.uniqueArray(pair, { maxLength: 9, selector: (text) => text.split(':')[0] }) },
      { weight: 1, arbitrary: fc.array(pair, { maxLength: 4 }) },
    ),
    gap,
    fc.boolean(),
  )
  .map(([pairs, space, isSorted]) => {
    const at = (text: string) => names.findIndex((name) => text.startsWith(JSON.stringify(name)));
    const all = isSorted ? [...pairs].sort((a, b) => at(a) - at(b)) : pairs;
    return `{${space}${all.join(`${space},${space}`)}${space}}`;
  });
const bodyText = fc
  .tuple(fc.array(recordText, { minLength: 1, maxLength: 6 }), fc.boolean(), gap)
  .map(([records, isArray, space]) => (isArray ? `${space}[${records.join(`${space},${space}`)}]` : records.join(`\n${space}`)));
const body = fc.oneof(
  { weight: 4, arbitrary: bodyText.map((text) => Buffer.from(text)) },
  // Cut anywhere, or with a byte that is another.
  { weight: 1, arbitrary: fc.tuple(bodyText, fc.nat(), fc.nat(255)).map(([text, at, byte]) => damaged(Buffer.from(text), at, byte)) },
);

function damaged(bytes: Buffer, at: number, byte: number): Buffer {
  if (byte < 128) return bytes.subarray(0, 1 + (at % bytes.length));
  bytes[at % bytes.length] = byte - 128;
  return bytes;
}

function all(collect: ReturnType<typeof collecting>, topic: string): Line[] {
  const lines: Line[] = [];
  const durable = collect.log.durable()[topic] ?? 0;
  for (let at = 0; at < durable; ) {
    const slice = readSlice(collect.log.root, topic, at, durable, 1 << 24)!;
    for (const line of linesOf(slice.lines)) lines.push(line);
    at = slice.to;
  }
  return lines;
}

/** Two intakes that are alike, but that one looks at every record by the scanner alone. */
function pairOf(t: TestContext, given: NonNullable<Parameters<typeof collecting>[1]> = {}) {
  // What is durable is not the question here.
  const files: Files = { ...realFiles, fdatasync: (_, done) => setImmediate(done, null) };
  return [collecting(t, { ...given, files }), collecting(t, { ...given, files, plain: null })] as const;
}

test('with plain records taken at once, every outcome and every line is the same as when the scanner looks at each', async (t) => {
  const known = new Set(['known']);
  const [quick, careful] = pairOf(t, { columns: () => known, timeZone: 'Asia/Seoul' });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...topics),
      body,
      fc.option(fc.constant('key'), { nil: null }),
      async (topic, bytes, idempotencyKey) => {
        const outcome = async (collect: typeof quick) => {
          try {
            return await collect.send(topic, Buffer.from(bytes), { idempotencyKey });
          } catch (thrown) {
            return thrown;
          }
        };
        assert.deepEqual(await outcome(quick), await outcome(careful));
      },
    ),
    { numRuns: process.env['MILLRACE_LONG'] === '1' ? 3_000 : 1_800 },
  );
  for (const name of [...topics.map((topic) => topic.name), QUARANTINE]) {
    const [lines, expected] = [all(quick, name), all(careful, name)];
    assert.ok(expected.length > 20, `only ${expected.length} records reached ${name}`);
    assert.deepEqual(lines, expected);
  }
});

/** Values on both sides of every border that a type, an id or a time has. */
const borders: readonly string[] = [
  ...Array.from({ length: 12 }, (_, k) => '9876543210123456789098'.slice(0, k + 9)),
  ...Array.from({ length: 12 }, (_, k) => `-${'9876543210123456789098'.slice(0, k + 9)}`),
  ...Array.from({ length: 12 }, (_, k) => `${'12345678901234'.slice(0, k + 1)}.5`),
  ...Array.from({ length: 12 }, (_, k) => `-${'12345678901234'.slice(0, k + 1)}.25`),
  ...Array.from({ length: 18 }, (_, k) => `1.${'1234567890123456789'.slice(0, k + 1)}`),
  ...['0', '00', '01', '-0', '-', '-01', '0.0', '00.5', '1.', '.1', '1e5', '1E+2', '1.5e3', '1e400', '+1', '1.00000', '0.00001', '0.0001'],
  ...['true', 'false', 'null', 'tru', 'nulL', 'truefalse', '"true"', '"false"', '""', '" "', '[]', '{}', '[1]', '{"a":1}', '{"a":1,"a":2}'],
  ...Array.from({ length: 0x21 }, (_, c) => `"sixteen bytes and ${String.fromCharCode(c)}"`),
  ...Array.from({ length: 0x21 }, (_, c) => `"${String.fromCharCode(c)}"`),
  ...[
    '"\x7f"',
    '"\\u0000"',
    '"\\u0001"',
    '"\\ud7ff"',
    '"\\ud800"',
    '"\\udfff"',
    '"\\ue000"',
    '"\\ud83d\\ude00"',
    '"\\u12G4"',
    '"\\u123"',
    '"\\x"',
    '"\\"',
  ],
  ...['"\\b\\f\\n\\r\\t\\/\\\\\\""', '"\\uABCd"', '"\\v"', '"a', '"'],
  ...[199, 200, 201, 202].map((length) => `"${'i'.repeat(length)}"`),
  ...[66, 67].map((length) => `"${'이'.repeat(length)}"`),
  ...['1900', '2000', '2024', '2023', '2100', '2025', '1969', '1970', '1971'].flatMap((year) =>
    ['01-00', '01-01', '01-31', '01-32', '02-28', '02-29', '02-30', '04-30', '04-31', '12-31', '13-01', '00-10'].flatMap((day) => [
      `"${year}-${day}"`,
      `"${year}-${day}T00:00:00Z"`,
    ]),
  ),
  ...[
    '23:59:59Z',
    '24:00:00Z',
    '23:60:00Z',
    '23:59:60Z',
    '23:59:61Z',
    '00:00Z',
    '00:00:00',
    '00:00:00z',
    '00:00:00.Z',
    '00:00:00,1Z',
    '00:00:0aZ',
    '0a:00:00Z',
    '00:0a:00Z',
  ]
    .concat([
      '00:00:00.1Z',
      '00:00:00.123456Z',
      '00:00:00.1234567Z',
      '00:00:00.12345xZ',
      '00:00:00+09:00',
      '00-00:00Z',
      '00:00-00Z',
      '00:00:00ZZ',
    ])
    .flatMap((clock) => [`"2026-02-27T${clock}"`, `"2026-02-27 ${clock}"`, `"2026-02-27t${clock}"`]),
  ...[
    '2026/02-27T00:00:00Z',
    '2026-02/27T00:00:00Z',
    '202a-02-27T00:00:00Z',
    'a026-02-27T00:00:00Z',
    '2026-0a-27T00:00:00Z',
    '2026-02-2aT00:00:00Z',
  ].map((at) => `"${at}"`),
  // Around the earliest and the latest event time of a topic, in every unit.
  ...[946_684_800_000_000, NOW + 86_400_000_000].flatMap((micros) =>
    [-1, 0, 1].flatMap((k) => [
      `${micros / 1e6 + k}`,
      `${micros / 1e3 + k}`,
      `"${new Date(micros / 1e3 + k).toISOString()}"`,
      `"${new Date(micros / 1e3).toISOString().slice(0, 19)}.00000${k + 1}Z"`,
    ]),
  ),
];

test('on the borders of every type the outcome is the same, value by value', async (t) => {
  const [quick, careful] = pairOf(t, { columns: () => new Set(['known']) });
  const usualRecord: Readonly<Record<string, string>> = {
    id: '"e-1"',
    count: '1767225600',
    ratio: '1767225600000',
    at: '"2026-02-01T00:00:00Z"',
  };
  for (const topic of topics) {
    for (const name of names) {
      for (const value of borders) {
        const text = `{${Object.entries({ ...usualRecord, [name]: value })
          .map(([key, its]) => `${JSON.stringify(key)}:${its}`)
          .join(',')}}`;
        const body = `${text}\n{"id":"after","count":1767225600,"ratio":1767225600000,"at":"2026-02-01T00:00:00Z"}`;
        assert.deepEqual(await quick.send(topic, body), await careful.send(topic, body), text);
      }
    }
    assert.deepEqual(all(quick, topic.name), all(careful, topic.name));
  }
});

test('long bodies are taken through a window: records across its border, longer than it, and many tiny ones', async (t) => {
  const topic = topics.at(-1)!;
  const record = (bytes: number) => `{"note":"${'한'.repeat(bytes / 3)}"}`;
  const bodies = [
    Array.from({ length: 5_000 }, (_, k) => record(30 + (k % 300))).join('\n'),
    [record(10), record(300_000), record(262_144 - 12), record(262_144), record(10)].join('\n'),
    '{}'.repeat(200_000),
    `[${Array.from({ length: 20_000 }, () => '{}').join(' , ')}]`,
  ];
  for (const text of bodies) {
    const [quick, careful] = pairOf(t, { limits: { batchRecords: 150_000 } });
    const [first, second] = [await quick.send(topic, text), await careful.send(topic, text)];
    assert.deepEqual(first, second);
    assert.deepEqual(all(quick, topic.name), all(careful, topic.name));
    assert.ok(first.taken.accepted >= 5);
  }
});

test('a batch of which every second record is not plain keeps its order', async (t) => {
  const [quick, careful] = pairOf(t);
  const text = Array.from({ length: 60 }, (_, k) =>
    k % 2 === 0 ? `{"note":"${k}"}` : k % 3 === 0 ? `{"note":{"k":${k}}}` : `{"note":${k}.5}`,
  ).join('\n');
  const topic = topics.at(-1)!;
  assert.deepEqual(await quick.send(topic, text), await careful.send(topic, text));
  assert.deepEqual(all(quick, topic.name), all(careful, topic.name));
  assert.equal(all(quick, topic.name).length, 50);
});
