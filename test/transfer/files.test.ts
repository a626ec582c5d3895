import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { guess, openSource, type Warehouse } from '#transfer';
import { decodeRows } from '../../src/transfer/rows.ts';
import { escaped, overlapping, serial, workbookOf, zipOf } from './files-fixture.ts';
import { type Ground, openGround, tableOf } from './harness.ts';

let folder: string;
let ground: Ground;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-files-'));
  ground = await openGround();
});
after(async () => {
  await ground?.close();
  rmSync(folder, { recursive: true, force: true });
});

const WHOLE = { cursor: null, after: null, upTo: null };

async function look(source: string, name: string, content: string | Buffer, options: object = {}) {
  const path = join(folder, name);
  writeFileSync(path, content);
  const opened = await openSource({ source, connection: { path, ...options } }, { folder, anywhere: true, env: {} });
  try {
    const tables = await opened.describe();
    const shown = [];
    for (const table of tables) {
      const refused: { line: number; reason: string; body: Buffer }[] = [];
      const rows: (string | null)[][] = [];
      for await (const batch of opened.read(table, table.columns, WHOLE, { nulled: new Map() })) {
        rows.push(...decodeRows(batch.bytes, Number.POSITIVE_INFINITY));
        refused.push(...batch.refused);
      }
      const columns = table.columns.map((column) => `${column.name} ${column.type}`);
      shown.push({ name: table.name, columns, notes: table.columns.map(({ note }) => note), rows, refused });
    }
    return shown;
  } finally {
    await opened.close();
  }
}

describe('JSON', () => {
  const records =
    '{"id":1,"price":12345678901234567.89,"tags":["a", 1.10],"at":"2024-01-02T03:04:05Z","ok":true}\n{"id":2,"name":"한글"}\n';
  const expected = {
    columns: ['id BIGINT', 'price DECIMAL(38,2)', 'tags JSON', 'at TIMESTAMP WITH TIME ZONE', 'ok BOOLEAN', 'name VARCHAR'],
    rows: [
      ['1', '12345678901234567.89', '["a", 1.10]', '2024-01-02 03:04:05', '1', null],
      ['2', null, null, null, null, '한글'],
    ],
  };
  const forms: [string, string | Buffer][] = [
    ['lines', records],
    ['an array', `[\n${records.trim().replace('\n', ',\n')}\n]\n`],
    ['values over several lines', records.replaceAll(',"', ',\n  "')],
    ['gzip', gzipSync(records)],
    ['a zip', zipOf({ 'inner.ndjson': records })],
    ['UTF-16', Buffer.from(`\ufeff${records}`, 'utf16le')],
  ];
  for (const [form, content] of forms) {
    test(`in the form of ${form} has exact numbers, JSON for what is nested, NULL for what is left out`, async () => {
      const [table] = await look('json', 'given.json', content);
      assert.deepEqual({ columns: table!.columns, rows: table!.rows }, expected);
    });
  }

  test('keeps the spelling of any value, whatever is around it and wherever the reads cut it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ a: fc.json(), b: fc.string({ unit: 'grapheme' }) }), { minLength: 1, maxLength: 20 }),
        async (given) => {
          const lines = given.map(({ a, b }) => `{"a":[${a}],"b":${JSON.stringify(b)}}`);
          for (const text of [lines.join('\n'), `[${lines.join(' ,\n')}]`]) {
            const [table] = await look('json', 'any.json', text);
            assert.deepEqual(
              table!.rows.map(([a]) => a),
              given.map(({ a }) => `[${a}]`),
            );
            if (table!.columns[1] === 'b VARCHAR')
              assert.deepEqual(
                table!.rows.map(([, b]) => b),
                given.map(({ b }) => b),
              );
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('lines that are no object go to quarantine with their line; the others are rows', async () => {
    const [table] = await look('json', 'dirty.json', '{"a":1}\n{"a":}\n[2]\n\n{"a":3}\n{"a":"\\ud800"}\n{"a"');
    assert.deepEqual(
      table!.refused.map(({ line, reason }) => [line, reason]),
      [
        [2, 'it is not JSON'],
        [3, 'it is not an object'],
        [6, 'The value of "a" has half of a surrogate pair, which is no character'],
        [7, 'it is not JSON'],
      ],
    );
    assert.deepEqual(table!.rows, [['1'], ['3']]);
  });

  for (const [what, text] of [
    ['an array that never ends', '[{"a":1},{"a":2}'],
    ['text after the array', '[{"a":1}] x'],
    ['a bracket too many', '[{"a":1}}]'],
  ]) {
    test(`${what} fails as a whole`, () => assert.rejects(look('json', 'bad.json', text!), { code: 'TRANSFER_FILE' }));
  }
});

describe('Excel', () => {
  const cell = (at: string, text: string) => `<c r="${at}" t="inlineStr"><is><t>${escaped(text)}</t></is></c>`;

  test('has dates by their format, shared and spoken texts, booleans, formulas by value, and errors as NULL', async () => {
    const shared =
      '<sst><si><t>이름</t></si><si><r><t>김</t></r><r><t xml:space="preserve"> 철수</t></r><rPh><t>kim</t></rPh></si><si><t>a_x000D_b</t></si></sst>';
    const data =
      `<row r="1"><c r="A1" t="s"><v>0</v></c>${cell('B1', 'day')}${cell('C1', 'at')}${cell('D1', 'paid')}${cell('E1', 'sum')}${cell('F1', 'long')}</row>` +
      `<row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>${serial('2024-02-29')}</v></c><c r="C2" s="2"><v>${serial('2024-02-29 13:45:30')}</v></c><c r="D2" t="b"><v>1</v></c><c r="E2"><f>SUM(A1)</f><v>0.30000000000000004</v></c><c r="F2" s="4"><v>1.5</v></c></row>` +
      `<row r="9"><c r="A9" t="s"><v>2</v></c><c r="B9" s="3"><v>59</v></c><c r="E9" t="e"><v>#DIV/0!</v></c></row>`;
    const [table] = await look('xlsx', 'book.xlsx', workbookOf({ 매출: data }, { 'xl/sharedStrings.xml': shared }));
    assert.deepEqual(table!.name, '매출');
    assert.deepEqual(table!.columns, ['이름 VARCHAR', 'day DATE', 'at TIMESTAMP', 'paid BOOLEAN', 'sum DOUBLE', 'long VARCHAR']);
    assert.deepEqual(table!.rows, [
      ['김 철수', '2024-02-29', '2024-02-29 13:45:30', '1', '0.30000000000000004', '36:00:00'],
      ['a\rb', '1900-02-28', null, null, null, null],
    ]);
    assert.match(table!.notes[4]!, /^1 cells are errors of Excel/);
  });

  test('has a table for each sheet; merged cells of a header name all of their columns, and a title above is none of it', async () => {
    const merged =
      `<row r="1">${cell('A1', 'Report of the year')}</row>` +
      `<row r="3">${cell('A3', 'shop')}${cell('B3', '2023')}${cell('D3', '2024')}</row>` +
      `<row r="4">${cell('B4', 'orders')}${cell('C4', 'sales')}${cell('D4', 'orders')}${cell('E4', 'sales')}</row>` +
      `<row r="5">${cell('A5', 'Seoul')}<c r="B5"><v>1</v></c><c r="C5"><v>2.5</v></c><c r="D5"><v>3</v></c><c r="E5"><v>4</v></c></row>`;
    const ranges =
      '<mergeCells><mergeCell ref="A1:E1"/><mergeCell ref="A3:A4"/><mergeCell ref="B3:C3"/><mergeCell ref="D3:E3"/></mergeCells>';
    const plain = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>';
    const [report, bare] = await look('xlsx', 'sheets.xlsx', workbookOf({ 'a & b': [merged, ranges], bare: plain }));
    assert.deepEqual(report!.columns, [
      'shop VARCHAR',
      '2023 orders BIGINT',
      '2023 sales DECIMAL(18,1)',
      '2024 orders BIGINT',
      '2024 sales BIGINT',
    ]);
    assert.deepEqual(report!.rows, [['Seoul', '1', '2.5', '3', '4']]);
    assert.deepEqual([report!.name, bare!.name, bare!.columns], ['a & b', 'bare', ['column1 BIGINT', 'column2 BIGINT']]);
  });

  test('refuses a document type, a part that is cut off and a column that can not be', async () => {
    const bad = (part: string) => look('xlsx', 'bad.xlsx', workbookOf({ a: '' }, { 'xl/worksheets/sheet1.xml': part }));
    await assert.rejects(bad('<!DOCTYPE x [<!ENTITY a "b">]><worksheet/>'), { code: 'TRANSFER_FILE', message: /document type/ });
    await assert.rejects(bad('<worksheet><sheetData><row r="1"><c r="A'), { code: 'TRANSFER_FILE', message: /cut off/ });
    await assert.rejects(bad('<worksheet><row r="1"><c r="ZZZZ1"><v>1</v></c></row></worksheet>'), {
      code: 'TRANSFER_FILE',
      message: /no column/,
    });
  });
});

describe('Parquet', () => {
  test('keeps its types, nested ones as JSON, and both sides have the same sum', async () => {
    const path = join(ground.store.folders.slices, 'made.parquet');
    const reader = await ground.store.reader();
    await reader.toParquet(
      `SELECT k::INTEGER AS k, (k / 3.0)::DECIMAL(20,6) AS d, TIMESTAMPTZ '2024-01-01 00:00:00+09' + to_seconds(k) AS "at", {'a': k, 'b': [k, NULL]} AS nested,
       CASE WHEN k % 2 = 0 THEN '' END AS t, 'x'::BLOB AS b, (k / 7)::FLOAT AS f, '12:00:00'::TIME AS clock, NULL AS nothing,
       TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS fine, MAP {'x': k, 'y': NULL} AS pairs FROM range(3000) r(k)`,
      undefined,
      path,
    );
    reader.close();
    const transfer = {
      name: 'p',
      source: 'parquet',
      connection: { path },
      tables: [tableOf({ source: 'made', mode: 'merge', key: ['k'] })],
    };
    const { error, tables } = await ground.run(transfer);
    assert.equal(error, null);
    assert.deepEqual([tables[0]!.rows, tables[0]!.parity!.equal], [3000, true]);
    assert.deepEqual(
      await ground.rows(
        `SELECT k, CAST(d AS VARCHAR), CAST("at" AS VARCHAR), nested, t, typeof(nested), typeof(b), typeof(f) FROM shop.made WHERE k IN (1, 2) ORDER BY k`,
      ),
      [
        [1, '0.333333', '2023-12-31 15:00:01+00', '{"a":1,"b":[1,null]}', null, 'JSON', 'BLOB', 'FLOAT'],
        [2, '0.666667', '2023-12-31 15:00:02+00', '{"a":2,"b":[2,null]}', '', 'JSON', 'BLOB', 'FLOAT'],
      ],
    );
    assert.deepEqual(
      await ground.rows(
        `SELECT DISTINCT typeof(clock), typeof(fine), CAST(fine AS VARCHAR), typeof(pairs), pairs FROM shop.made WHERE k = 1`,
      ),
      [['VARCHAR', 'TIMESTAMP', '2024-01-01 00:00:00.123456', 'JSON', '{"x":1,"y":null}']],
    );
  });

  test('that is none is refused without its place on the disk', async () => {
    await assert.rejects(look('parquet', 'none.parquet', 'PAR1 but not really PAR1'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'TRANSFER_FILE');
      assert.ok(!error.message.includes(folder), error.message);
      return true;
    });
  });
});

describe('what is packed', () => {
  test('a zip of several files is a table for each', async () => {
    const tables = await look(
      'csv',
      'two.zip',
      zipOf({ 'a/one.csv': 'x\n1\n', '__MACOSX/a/._one.csv': 'junk', 'two.tsv': 'y\tz\n2\t3\n' }),
    );
    assert.deepEqual(
      tables.map(({ name, rows }) => [name, rows]),
      [
        ['a/one', [['1']]],
        ['two', [['2', '3']]],
      ],
    );
  });

  test('a bomb is refused before it is unpacked', async () => {
    const zeros = Buffer.alloc(300 * 1024 * 1024, 'a,b\n');
    await assert.rejects(look('csv', 'bomb.csv.gz', gzipSync(zeros)), { code: 'TRANSFER_FILE', message: /unpacks to more than 250 times/ });
  });

  const large = Buffer.alloc(21 * 1024 * 1024, 'a,b\n');
  const sheets = Array.from({ length: 14 }, (_, k) => `sheet ${k}`);
  const bombs: [string, string, () => Buffer][] = [
    [
      'a zip of the same bytes under 250 names',
      'csv',
      () =>
        overlapping(
          zipOf({ 'a.csv': large }),
          Array.from({ length: 250 }, (_, k) => `${k}.csv`),
        ),
    ],
    [
      'a zip of the same bytes that are hardly packed, under 250 names',
      'csv',
      () =>
        overlapping(
          zipOf({ 'a.csv': randomBytes(100_000) }),
          Array.from({ length: 250 }, (_, k) => `${k}.csv`),
        ),
    ],
    ['a zip of many files that are harmless alone', 'csv', () => zipOf(Object.fromEntries(sheets.map((name) => [`${name}.csv`, large])))],
    ['a workbook with one large sheet', 'xlsx', () => workbookOf({ first: ' '.repeat(300 * 1024 * 1024) })],
    [
      'a workbook of many sheets that are harmless alone',
      'xlsx',
      () => workbookOf(Object.fromEntries(sheets.map((name) => [name, ' '.repeat(20 * 1024 * 1024)]))),
    ],
    [
      'a workbook whose texts are one',
      'xlsx',
      () => workbookOf({ first: '' }, { 'xl/sharedStrings.xml': `<sst><si><t>${' '.repeat(300 * 1024 * 1024)}</t></si></sst>` }),
    ],
  ];
  for (const [what, source, content] of bombs)
    test(`${what} is refused before it is unpacked`, () =>
      assert.rejects(look(source, `bomb.${source === 'xlsx' ? 'xlsx' : 'zip'}`, content()), {
        code: 'TRANSFER_FILE',
        message: /unpacks to more than 250 times|lie over one another/,
      }));

  test('a zip of several Parquet files is refused, and one beside a note is read', async () => {
    const file = join(ground.store.folders.slices, 'for-zip.parquet');
    const reader = await ground.store.reader();
    await reader.toParquet('SELECT 1 AS a', undefined, file);
    reader.close();
    const one = readFileSync(file);
    await assert.rejects(look('parquet', 'many.zip', zipOf({ 'a.parquet': one, 'b.parquet': one })), {
      code: 'TRANSFER_FILE',
      message: /holds 2 files.*source "folder"/,
    });
    const [read] = await look('parquet', 'one.zip', zipOf({ 'README.txt': 'a note', 'a.parquet': one }));
    assert.deepEqual(read?.rows, [['1']]);
  });

  for (const [what, content, says] of [
    ['a wrong checksum', zipOf({ 'a.csv': 'x\n1\n' }, { crc: 1 }), /does not have the checksum/],
    ['a password', zipOf({ 'a.csv': 'x\n1\n' }, { flags: 1 }), /is encrypted/],
    ['its end cut off', zipOf({ 'a.csv': 'x\n1\n' }).subarray(0, 60), /no directory at its end/],
    ['no file in it', zipOf({}), /holds no file|no directory/],
  ] as const) {
    test(`a zip with ${what} is refused`, () => assert.rejects(look('csv', 'bad.zip', content), { code: 'TRANSFER_FILE', message: says }));
  }
});

test('a first definition is written for each kind of file', async () => {
  for (const [name, source, content] of [
    ['a.ndjson', 'json', '{"a":1}\n'],
    ['b.xlsx', 'xlsx', workbookOf({ first: '<row r="1"><c r="A1"><v>1</v></c></row>' })],
  ] as const) {
    writeFileSync(join(folder, name), content);
    const { text } = await guess(name, { folder, anywhere: false, env: {} });
    assert.match(text, new RegExp(`^source: ${source}$`, 'm'));
  }
});

test('a first definition asks of columns with personal names whether they are, in English and Korean', async () => {
  const personal = ['email', 'home_phone', 'first_name', 'birth_date', 'street'];
  const korean = [
    '이름',
    '성명',
    '전화',
    '전화번호',
    '휴대폰',
    '연락처',
    '배송지 주소',
    '이메일',
    '생년월일',
    '주민등록번호',
    '주민번호',
    '회원명',
    '수령인 이름',
    '계좌번호',
  ];
  const other = ['id', 'price', 'product_name', '상품명', '상품이름', '주문번호', '이름표', '금액', '고객명세', '발명'];
  // As a name is written on macOS: letters in parts.
  const parted = '이메일 주소'.normalize('NFD');
  const names = [...personal, ...korean, parted, ...other];
  writeFileSync(join(folder, 'personal.csv'), `${names.join(',')}\n${names.map((_, k) => k).join(',')}\n`);
  const { text } = await guess('personal.csv', { folder, anywhere: false, env: {} });
  const marked = [...text.matchAll(/^ {4}# (.*): text → .*; personal\?$/gm)].map(([, name]) => name);
  assert.deepEqual(marked, [...personal, ...korean, parted]);
});

test('sheets with Korean names get tables of those names, and no two sheets the same table', async () => {
  const row = '<row r="1"><c r="A1"><v>1</v></c></row>';
  writeFileSync(join(folder, 'sheets.xlsx'), workbookOf({ 주문: row, '매출 1': row, '매출-1': row, '★': row, '2026!': row }));
  const { text } = await guess('sheets.xlsx', { folder, anywhere: false, env: {} });
  assert.deepEqual(
    [...text.matchAll(/target: (.*)/g)].map(([, target]) => target),
    ['main.주문', 'main.매출_1', 'main.매출_1_2', 'main.data', 'main.data_2'],
  );
});

describe('records that are no rows', () => {
  const LINE = 3_000;
  const bad = (k: number) => `{"id":${k}`.padEnd(LINE, 'x');
  const forms: [string, string, string[]][] = [
    ['JSON, a third of them', 'json', Array.from({ length: 15_000 }, (_, k) => (k % 3 === 1 ? bad(k) : `{"id":${k}}`))],
    ['JSON, all behind the rows', 'json', ['{"id":0}', ...Array.from({ length: 5_000 }, (_, k) => bad(k))]],
    [
      'CSV, a third of them',
      'csv',
      ['id', ...Array.from({ length: 15_000 }, (_, k) => (k % 3 === 1 ? `${k},`.padEnd(LINE, 'x') : `${k}`))],
    ],
  ];
  for (const [what, source, lines] of forms) {
    test(`of ${what}, are all kept, and never many bytes of them at a time`, async () => {
      const name = `refused${forms.findIndex(([own]) => own === what)}`;
      const path = join(folder, `${name}.txt`);
      writeFileSync(path, `${lines.join('\n')}\n`);
      const heavy = lines.filter(({ length }) => length === LINE);
      const handed: number[] = [];
      const warehouse: Warehouse = {
        ...ground.warehouse,
        apply(target, slice) {
          handed.push(slice.refused.reduce((sum, { body }) => sum + body.length, 0));
          return ground.warehouse.apply(target, slice);
        },
      };
      const { error, tables } = await ground.run(
        { name, source, connection: { path }, tables: [tableOf({ source: name })] },
        { warehouse },
      );
      assert.equal(error, null);
      const rows = lines.length - heavy.length - (source === 'csv' ? 1 : 0);
      assert.deepEqual([tables[0]!.rows, tables[0]!.quarantined, tables[0]!.parity!.equal], [rows, heavy.length, true]);
      assert.deepEqual(await ground.rows(`SELECT count(*) FROM shop.${name}`), [[rows]]);
      const kept = await ground.rows(`SELECT decode(body) FROM millrace.quarantine WHERE topic = 'transfer:shop.${name}'`);
      assert.deepEqual(kept.flat().sort(), [...heavy].sort());
      assert.ok(Math.max(...handed) < 12 * 1024 * 1024, `${handed}`);
    });
  }

  test('of which a file has as many as rows make it one of another format, however long they are', async () => {
    for (const [k, length] of [10, LINE].entries()) {
      const path = join(folder, `other${k}.csv`);
      writeFileSync(path, `id\n${`1\n${'1,'.padEnd(length, 'x')}\n`.repeat(10_001)}`);
      const { error } = await ground.run({
        name: 'other',
        source: 'csv',
        connection: { path },
        tables: [tableOf({ source: `other${k}` })],
      });
      assert.equal(error?.code, 'TRANSFER_FILE');
      assert.match(error.message, /at line 20003: 10000 rows can't be read/);
    }
  });

  test('of which there are many, but far apart, are kept', async () => {
    const path = join(folder, 'apart.csv');
    writeFileSync(path, `id\n${`${'1\n'.repeat(4)}1,\n`.repeat(12_000)}`);
    const { error, tables } = await ground.run({
      name: 'apart',
      source: 'csv',
      connection: { path },
      tables: [tableOf({ source: 'apart' })],
    });
    assert.deepEqual([error, tables[0]!.rows, tables[0]!.quarantined], [null, 48_000, 12_000]);
  });
});
