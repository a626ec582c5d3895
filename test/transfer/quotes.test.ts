import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { lookAtFile, openSource } from '#transfer';
import { decodeRows } from '../../src/transfer/rows.ts';
import { type Ground, openGround, tableOf } from './harness.ts';

let folder: string;
let ground: Ground;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-quotes-'));
  ground = await openGround();
});
after(async () => {
  await ground?.close();
  rmSync(folder, { recursive: true, force: true });
});

type Row = readonly (string | null)[];

async function survey(text: string | Buffer, options: object = {}) {
  const path = join(folder, 'given.csv');
  writeFileSync(path, text);
  const source = await openSource({ source: 'csv', connection: { path, ...options } }, { folder, anywhere: true, env: {} });
  const [table] = await source.describe();
  const rows: Row[] = [];
  const refused: string[] = [];
  for await (const batch of source.read(table!, table!.columns, { cursor: null, after: null, upTo: null }, { nulled: new Map() })) {
    for (const row of decodeRows(batch.bytes, Number.POSITIVE_INFINITY)) rows.push(row);
    refused.push(...batch.refused.map(({ reason }) => reason));
  }
  await source.close();
  return { found: source.found!, names: table!.columns.map(({ name }) => name), rows, refused };
}

const values = (row: Row): Row => row.map((value) => value ?? null);

describe('apostrophes that are quotes are found', () => {
  const cases: [what: string, text: string, rows: Row[]][] = [
    ['around every text', "'id','name'\n1,'a'\n2,'b'\n3,'c'\n4,'d'\n5,'e'\n", [1, 2, 3, 4, 5].map((n) => [String(n), 'abcde'[n - 1]!])],
    [
      'around those with a delimiter alone',
      "id,place\n1,'Seoul, Korea'\n2,Busan\n",
      [
        ['1', 'Seoul, Korea'],
        ['2', 'Busan'],
      ],
    ],
    [
      'with a line end inside',
      "id,note\n1,'two\nlines'\n2,one\n3,'and\r\ntwo'\n",
      [
        ['1', 'two\nlines'],
        ['2', 'one'],
        ['3', 'and\r\ntwo'],
      ],
    ],
    [
      'doubled inside a text',
      "id,name\n1,'it''s'\n2,plain\n",
      [
        ['1', "it's"],
        ['2', 'plain'],
      ],
    ],
    [
      'around texts with the other quote in them, at their beginning too',
      `id;say\n1;'"Hi; you", she said'\n2;'"never closed'\n3;'a "b" c;'\n`,
      [
        ['1', '"Hi; you", she said'],
        ['2', '"never closed'],
        ['3', 'a "b" c;'],
      ],
    ],
    [
      'around texts, while numbers and what stands for no value have none',
      "a,b\n'x',1\nNULL,2\n'y',3\n7,4\n'',5\n'z',6\n'v',7\n'w',8\n",
      [
        ['x', '1'],
        ['NULL', '2'],
        ['y', '3'],
        ['7', '4'],
        ['', '5'],
        ['z', '6'],
        ['v', '7'],
        ['w', '8'],
      ],
    ],
    [
      'where only the last record shows it',
      `id,v\n${'1,plain\n'.repeat(200_000)}2,'a,b'\n`,
      [...Array.from({ length: 200_000 }, () => ['1', 'plain']), ['2', 'a,b']],
    ],
  ];
  for (const [what, text, rows] of cases)
    test(what, async () => {
      const found = await survey(text);
      assert.equal(found.found['quote'], "'");
      assert.deepEqual(found.rows.map(values), rows);
      assert.deepEqual(found.refused, []);
    });

  test('a byte of UTF-16 or CP949 makes no difference', async () => {
    const text = "이름,값\n'가, 나',1\n다,2\n";
    // The same in CP949, by iconv.
    const korean = Buffer.from('c0ccb8a72cb0aa0a27b0a12c20b3aa272c310ab4d92c320a', 'hex');
    for (const bytes of [Buffer.from(`\ufeff${text}`, 'utf16le'), korean, Buffer.from(text)])
      assert.deepEqual((await survey(bytes)).rows, [
        ['가, 나', '1'],
        ['다', '2'],
      ]);
  });
});

describe('apostrophes that are text stay', () => {
  const many = (cell: (n: number) => string) => `id,v\n${Array.from({ length: 20 }, (_, n) => `${n},${cell(n)}\n`).join('')}`;
  const cases: [what: string, text: string][] = [
    ['in words', "id,v\n1,it's\n2,O'Brien\n3,don't, they say\n"],
    ['before words', "id,v\n1,'90s\n2,'t Hooft\n3,'s-Gravenhage\n4,'tis\n5,'cause\n"],
    ['before and after a comma', "id,v\n1,'90s, 80s'\n2,rock'n'roll\n"],
    ['for feet', many((n) => `${n}'`)],
    ['around some texts of a column', many((n) => (n % 3 === 0 ? "'so-called'" : 'plain'))],
    ['around two texts, which may be chance', "id,v\n1,'a'\n2,'b'\n"],
    ['three in a row, as wikis write bold', many((n) => (n === 4 ? "'''bold'''" : 'plain'))],
    ['two in a row, as wikis write italics', many((n) => (n === 4 ? "''italic''" : 'plain'))],
    ['before numbers, as spreadsheets mark text', many((n) => `'00${n}`)],
    ['all quoted but one that is a word', `${many(() => "'x'")}20,it's\n`],
    ['inside of the usual quotes', 'id,v\n1,"it\'s, so"\n2,"\'a\', \'b\'"\n3,"c"\n'],
    ['at the ends of what has the usual quotes', `id,v\n${`1,"'a'"\n`.repeat(10)}`],
    ['escaped by a backslash', "id,v\n1,'it\\'s'\n2,'a'\n3,'b'\n4,'c'\n5,'d'\n6,'e'\n"],
    ['beside fields in the usual quotes', 'id,v\n1,"a"\n2,\'b,c\'\n'],
    ['alone in a field', "id,v\n1,'\n2,x\n"],
  ];
  for (const [what, text] of cases) test(what, async () => assert.equal((await survey(text)).found['quote'], '"'));
});

test('a quote that is said is the one, and none is none', async () => {
  const text = 'id,v\n1,"5"" disk"\n2,|a,b|\n3,\'x\'\n';
  assert.deepEqual((await survey('id;v\n1;5" disk\n2;"6" disk\n3;"\n', { quote: 'none' })).rows, [
    ['1', '5" disk'],
    ['2', '"6" disk'],
    ['3', '"'],
  ]);
  assert.deepEqual((await survey(text, { quote: '|', delimiter: ',' })).rows, [
    ['1', '"5"" disk"'],
    ['2', 'a,b'],
    ['3', "'x'"],
  ]);
  assert.deepEqual((await survey("id,v\n1,'x'\n", { quote: "'" })).rows, [['1', 'x']]);
  assert.deepEqual((await survey("id,v\n1,'x'\n", { quote: '"' })).rows, [['1', "'x'"]]);
  for (const options of [
    { quote: '""' },
    { quote: 'é' },
    { quote: ' ' },
    { quote: '' },
    { quote: ';', delimiter: ';' },
    { delimiter: '"' },
  ])
    await assert.rejects(survey(text, options), { code: 'TRANSFER_OPTION' }, JSON.stringify(options));
});

test('a look at a file says its quote, as the option does', async () => {
  const path = join(folder, 'looked.csv');
  for (const [text, quote] of [
    ["id,v\n1,'a,b'\n2,c\n", "'"],
    ['id,v\n1,"a,b"\n2,c\n', '"'],
  ] as const) {
    writeFileSync(path, text);
    const look = (options: object) =>
      lookAtFile(path, { kind: 'csv', options: { ...options }, table: null, types: {} }, { folder, anywhere: true, env: {} }, 20);
    const { options, rows } = await look({});
    assert.deepEqual(
      [options['quote'], rows],
      [
        quote,
        [
          ['1', 'a,b'],
          ['2', 'c'],
        ],
      ],
    );
    assert.deepEqual((await look({ ...options, dates: 'auto' })).rows, rows);
  }
});

const DELIMITERS = [',', ';', '\t', '|'];
const piece = fc.constantFrom('a', 'b', ' ', "'", '"', ',', ';', '\t', '|', '\n', '\r\n', "''", '""', '한', '0', '-');
const cell = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
const table = fc.record({
  rows: fc.array(fc.tuple(fc.constantFrom('Kim', 'Lee', 'Park'), fc.option(cell, { nil: null }), cell), { minLength: 6, maxLength: 25 }),
  quote: fc.constantFrom("'", '"'),
  delimiter: fc.constantFrom(...DELIMITERS),
  end: fc.constantFrom('\n', '\r\n', '\r'),
});

/** As writers do: all texts, or only those that would not be read back as they are. */
function written({ rows, quote, delimiter, end }: { rows: readonly Row[]; quote: string; delimiter: string; end: string }, all: boolean) {
  const field = (value: string | null) =>
    value === null
      ? ''
      : all || value === '' || [delimiter, quote, '\n', '\r'].some((each) => value.includes(each))
        ? quote + value.replaceAll(quote, quote + quote) + quote
        : value;
  return [['id', 'name', 'a', 'b'], ...rows.map((row, k) => [String(k), ...row])]
    .map((row, k) => row.map((value, column) => (k === 0 || column === 0 ? value : field(value))).join(delimiter) + end)
    .join('');
}

test('what is written with a quote that is said comes back as it was, however it is written', () =>
  fc.assert(
    fc.asyncProperty(table, fc.boolean(), async (given, all) => {
      const { quote, delimiter, rows } = given;
      const types = { name: 'VARCHAR', a: 'VARCHAR', b: 'VARCHAR' };
      writeFileSync(join(folder, 'any.csv'), written(given, all));
      const connection = { path: join(folder, 'any.csv'), encoding: 'utf-8', quote, delimiter, header: 'yes' };
      const report = await ground.run({ name: 'x', source: 'csv', connection, tables: [tableOf({ source: 'any', types })] });
      assert.equal(report.error, null);
      assert.deepEqual(await ground.rows('SELECT name, a, b FROM shop.any ORDER BY id'), rows);
      assert.equal(report.tables[0]!.parity!.equal, true);
    }),
    { numRuns: 40 },
  ));

test('which quote all texts of a file have is found, whatever is in them', () =>
  fc.assert(
    fc.asyncProperty(table, async (given) => {
      const { found, rows } = await survey(written(given, true), { encoding: 'utf-8', header: 'yes', delimiter: given.delimiter });
      assert.equal(found['quote'], given.quote);
      assert.deepEqual(
        rows.map((row) => row.slice(1)),
        given.rows,
      );
    }),
    { numRuns: 100 },
  ));

test('a file in the usual quotes is read by them, whatever apostrophes are in its texts, if one of them is in a word', () =>
  fc.assert(
    fc.asyncProperty(table, fc.boolean(), async (given, all) => {
      const usual = { ...given, quote: '"', rows: [...given.rows, ["O'Brien", null, 'x'] as const] };
      const { found, rows } = await survey(written(usual, all), { encoding: 'utf-8', header: 'yes', delimiter: given.delimiter });
      assert.equal(found['quote'], '"');
      assert.deepEqual(
        rows.map((row) => row.slice(1)),
        usual.rows,
      );
    }),
    { numRuns: 100 },
  ));
