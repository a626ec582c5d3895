import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { openSource } from '#transfer';
import { decodeRows } from '../../src/transfer/rows.ts';
import { type Ground, openGround, tableOf } from './harness.ts';

let folder: string;
let ground: Ground;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
  ground = await openGround();
});
after(async () => {
  await ground?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function survey(text: string | Buffer, options: object = {}) {
  const path = join(folder, 'given.csv');
  writeFileSync(path, text);
  const source = await openSource({ source: 'csv', connection: { path, ...options } }, { folder, anywhere: true, env: {} });
  const [table] = await source.describe();
  const refused: { line: number; reason: string; body: Buffer }[] = [];
  const rows: (string | null)[][] = [];
  for await (const batch of source.read(table!, table!.columns, { cursor: null, after: null, upTo: null }, { nulled: new Map() })) {
    for (const row of decodeRows(batch.bytes, Number.POSITIVE_INFINITY)) rows.push(row);
    refused.push(...batch.refused);
  }
  await source.close();
  return {
    names: table!.columns.map((column) => column.name),
    types: table!.columns.map((column) => column.type),
    notes: table!.columns.map((column) => column.note),
    rows,
    refused,
  };
}

/** Amounts in thousandths as programs write them: the other mark may group thousands, by column. */
interface Written {
  readonly decimal: '.' | ',';
  readonly columns: readonly { readonly scale: number; readonly grouped: boolean; readonly amounts: readonly number[] }[];
}

function written(amount: number, scale: number, grouped: boolean, decimal: string): string {
  const [whole, fraction] = [
    Math.floor(Math.abs(amount) / 1000),
    String(Math.abs(amount) % 1000)
      .padStart(3, '0')
      .slice(0, scale),
  ];
  const group = decimal === '.' ? ',' : '.';
  const shown = grouped ? String(whole).replaceAll(/\B(?=(\d{3})+$)/g, group) : String(whole);
  return `${amount < 0 ? '-' : ''}${shown}${scale === 0 ? '' : decimal + fraction}`;
}

/** Whole numbers and such with two or three decimals; small, or of thousands and more. */
const amount = (scale: number) =>
  fc
    .tuple(fc.constantFrom(1, 1, -1), fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 1_000, max: 999_999 })), fc.nat(999))
    .map(([sign, whole, rest]) => sign * (whole * 1000 + (scale === 0 ? 0 : scale === 3 ? rest : rest - (rest % 10))))
    .filter((value) => value !== 0 && !Object.is(value, -0));

const file: fc.Arbitrary<Written> = fc.record({
  decimal: fc.constantFrom('.', ','),
  columns: fc.integer({ min: 1, max: 3 }).chain((rows) =>
    fc.array(
      fc
        .tuple(fc.constantFrom(0, 0, 2, 3), fc.boolean())
        .chain(([scale, grouped]) =>
          fc
            .array(amount(scale), { minLength: rows, maxLength: rows })
            .map((amounts) => ({ scale, grouped, amounts: scale === 2 ? amounts.map((value) => value || 10) : amounts })),
        ),
      { minLength: 1, maxLength: 3 },
    ),
  ),
});

test('amounts by any convention come back equal or as the text that they were, never as others', async () => {
  let numbers = 0;
  await fc.assert(
    fc.asyncProperty(file, fc.constantFrom(',', ';'), async ({ decimal, columns }, delimiter) => {
      const texts = columns.map(({ scale, grouped, amounts }) => amounts.map((each) => written(each, scale, grouped, decimal)));
      const header = columns.map((_, k) => `"amount ${'abc'[k]}"`);
      const records = texts[0]!.map((_, row) => texts.map((column) => `"${column[row]}"`));
      const { types, rows } = await survey(`${[header, ...records].map((record) => record.join(delimiter)).join('\n')}\n`, {
        header: 'yes',
      });
      for (const [k, type] of types.entries()) {
        if (type !== 'VARCHAR') numbers++;
        for (const [row, values] of rows.entries()) {
          if (type === 'VARCHAR') assert.equal(values[k], texts[k]![row]);
          else assert.equal(Math.round(Number(values[k]) * 1000), columns[k]!.amounts[row], `${texts[k]![row]} became ${values[k]}`);
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(numbers > 200, `only ${numbers} columns were numbers`);
});

describe('a mark with three digits behind it', () => {
  const cases: [string, string, (string | null)[][], string[]][] = [
    [
      'is text where nothing tells',
      'item,price\na,"1,234"\nb,"12,000"\n',
      [
        ['a', '1,234'],
        ['b', '12,000'],
      ],
      ['VARCHAR', 'VARCHAR'],
    ],
    [
      'is text beside the other mark',
      'price;all\n12,50;1.234\n7,25;2.000\n',
      [
        ['12.50', '1.234'],
        ['7.25', '2.000'],
      ],
      ['DECIMAL(18,2)', 'VARCHAR'],
    ],
    [
      'stands before decimals where it does elsewhere',
      'price;weight\n12,5;1,234\n7,5;2,000\n',
      [
        ['12.5', '1.234'],
        ['7.5', '2.000'],
      ],
      ['DECIMAL(18,1)', 'DECIMAL(18,3)'],
    ],
    [
      'groups where it does elsewhere',
      'n,all\n"1,234","1,234,567"\n"2,000","1,000,000"\n',
      [
        ['1,234', '1,234,567'],
        ['2,000', '1,000,000'],
      ],
      ['VARCHAR', 'VARCHAR'],
    ],
    [
      'stands before decimals where the other one groups',
      'n;all\n1,234;1.234,5\n2,000;1.000,25\n',
      [
        ['1.234', '1.234,5'],
        ['2.000', '1.000,25'],
      ],
      ['DECIMAL(18,3)', 'VARCHAR'],
    ],
    ['stands before decimals below one', 'n\n0.123\n1.234\n', [['0.123'], ['1.234']], ['DECIMAL(18,3)']],
    [
      'is text where the columns are at odds',
      'a;b;c\n1,5;1.5;1.234\n',
      [['1.5', '1.5', '1.234']],
      ['DECIMAL(18,1)', 'DECIMAL(18,1)', 'VARCHAR'],
    ],
  ];
  for (const [name, text, expected, expectedTypes] of cases) {
    test(name, async () => {
      const { types, rows, notes } = await survey(text, { header: 'yes' });
      assert.deepEqual(rows, expected);
      assert.deepEqual(types, expectedTypes);
      for (const [k, type] of types.entries()) if (type === 'VARCHAR' && /\d/.test(rows[0]![k]!)) assert.ok(notes[k] !== null);
    });
  }

  test('is a number by the option, and refused where only a type was chosen', async () => {
    assert.deepEqual((await survey('n\n1.234\n', { header: 'yes', decimal: 'point' })).rows, [['1.234']]);
    assert.deepEqual((await survey('n\n"1,234"\n', { header: 'yes', decimal: 'comma' })).rows, [['1.234']]);
    const path = join(folder, 'typed.csv');
    writeFileSync(path, 'n,m\n"1,234",a\n');
    const chosen = tableOf({ source: 'typed', target: 'shop.typed', types: { n: 'DECIMAL(18,3)' } });
    const { error, tables } = await ground.run({ name: 'typed', source: 'csv', connection: { path }, tables: [chosen] });
    assert.equal(error, null);
    assert.equal(tables[0]!.quarantined, 1);
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.typed'), [[0]]);
  });

  test('is looked at with what was found as it is without it', async () => {
    for (const [, text] of cases) {
      writeFileSync(join(folder, 'found.csv'), text);
      const open = (options: object) =>
        openSource({ source: 'csv', connection: { path: 'found.csv', header: 'yes', ...options } }, { folder, anywhere: true, env: {} });
      const first = await open({});
      const second = await open(first.found!);
      assert.deepEqual(await second.describe(), await first.describe());
    }
  });
});

/** CP949 beyond EUC-KR's own 2,350 syllables: 똠 is 8c 63, 방 is b9 e6, 각 is b0 a2 (Unicode's CP949.TXT). */
const KOREAN = Buffer.from([...Buffer.from('name,n\n'), 0x8c, 0x63, 0xb9, 0xe6, 0xb0, 0xa2, ...Buffer.from(',1\n')]);

test('rows of a file come an eighth of a group at a time, and no more than are wanted', async () => {
  const path = join(folder, 'long.csv');
  writeFileSync(path, `n\n${Array.from({ length: 60_000 }, (_, n) => n).join('\n')}\n`);
  const source = await openSource({ source: 'csv', connection: { path } }, { folder, anywhere: true, env: {} });
  const [table] = await source.describe();
  const counts = async (limit?: number) => {
    const batches: number[] = [];
    const span = { cursor: null, after: null, upTo: null };
    for await (const { count } of source.read(table!, table!.columns, span, { nulled: new Map() }, limit)) batches.push(count);
    return batches;
  };
  assert.deepEqual(await counts(), [15_360, 15_360, 15_360, 13_920]);
  assert.deepEqual(await counts(20_000), [15_360, 4640]);
  await source.close();
});

describe('encodings are found', () => {
  const text = 'name,n\n한글 é,1\n';
  const cases: [string, Buffer, string][] = [
    ['UTF-8', Buffer.from(text), '한글 é'],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${text}`), '한글 é'],
    ['UTF-16LE with a mark', Buffer.from(`\ufeff${text}`, 'utf16le'), '한글 é'],
    ['UTF-16BE with a mark', Buffer.from(`\ufeff${text}`, 'utf16le').swap16(), '한글 é'],
    ['UTF-16LE without a mark', Buffer.from('name,n\nabc,1\n', 'utf16le'), 'abc'],
    ['CP949', KOREAN, '똠방각'],
    ['Latin-1', Buffer.from('name,n\ncafé à côté,1\n', 'latin1'), 'café à côté'],
    ['Latin-1 where only the last record shows it', Buffer.from(`name,n\n${'plain,1\n'.repeat(300_000)}é,2\n`, 'latin1'), 'plain'],
  ];
  for (const [name, bytes, expected] of cases) {
    test(name, async () => {
      const { names, rows } = await survey(bytes);
      assert.deepEqual(names, ['name', 'n']);
      assert.equal(rows[0]![0], expected);
      if (name.startsWith('Latin-1 where')) assert.deepEqual(rows.at(-1), ['é', '2']);
    });
  }

  test('a character of UTF-8 that is cut by two reads is no reason against UTF-8', async () => {
    // A read is 1 MiB; the records shift the three bytes of each character over its end.
    const { rows } = await survey(`name\n${'한글한글한글한글\n'.repeat(90_000)}`);
    assert.deepEqual(new Set(rows.map(([value]) => value)), new Set(['한글한글한글한글']));
  });
});

test('CP949 is read in all parts of its table as another codec reads it', async () => {
  // Made with bytes.decode('cp949').
  const cells: [number, number, string][] = [
    [0x81, 0x41, '갂'],
    [0x8c, 0x63, '똠'],
    [0xa0, 0xfe, '좤'],
    [0xa1, 0x41, '좥'],
    [0xc6, 0x52, '힣'],
    [0xb0, 0xa1, '가'],
    [0xc8, 0xfe, '힝'],
    [0xca, 0xa1, '伽'],
    [0xa2, 0xe6, '€'],
  ];
  const bytes = Buffer.concat([Buffer.from('v\n'), ...cells.map(([lead, trail]) => Buffer.from([lead, trail, 0x0a]))]);
  const { rows } = await survey(bytes, { header: 'yes' });
  assert.deepEqual(
    rows.flat(),
    cells.map(([, , text]) => text),
  );
});

describe('dialects are found', () => {
  for (const delimiter of [',', ';', '\t', '|']) {
    test(`the delimiter ${JSON.stringify(delimiter)}`, async () => {
      const { names, rows } = await survey(`a${delimiter}b\n1${delimiter}"x, ; | y"\n2${delimiter}z\n`);
      assert.deepEqual(names, ['a', 'b']);
      assert.deepEqual(rows, [
        ['1', 'x, ; | y'],
        ['2', 'z'],
      ]);
    });
  }

  test('a first record of values is no header', async () => {
    assert.deepEqual(
      await survey('1|a|2024-01-13|\n2|b|2024-01-14|\n').then(({ names, types, rows }) => ({ names, types, count: rows.length })),
      {
        names: ['column1', 'column2', 'column3'],
        types: ['BIGINT', 'VARCHAR', 'DATE'],
        count: 2,
      },
    );
  });

  const UNKNOWN = 'no record tells whether the first one is a row or the names; the option "header" decides';
  const firsts: [what: string, text: string, names: string[], rows: number, note: string | null][] = [
    ['a value that comes again in its column is a row’s', 'Kim,Seoul\nLee,Busan\nPark,Seoul\n', ['column1', 'column2'], 3, null],
    ['where nothing tells, what looks like names is, and that is said', 'Kim,Seoul\nLee,Busan\n', ['Kim', 'Seoul'], 1, UNKNOWN],
    ['a name stands above numbers', 'name,n\nKim,1\nLee,2\n', ['name', 'n'], 2, null],
    ['a name stands above numbers beside one that is empty', ',name,age\n0,Kim,31\n1,Lee,22\n', ['column1', 'name', 'age'], 2, null],
    ['true is a value above others', 'true,Kim\nfalse,Lee\n', ['column1', 'column2'], 2, null],
    ['what stands for no value is no name', 'NA,Kim\n1,Lee\n2,Park\n', ['NA', 'Kim'], 2, UNKNOWN],
    ['codes of one length have another name', 'country,v\nKR,a\nUS,bb\nJP,c\nDE,d\nFR,e\n', ['country', 'v'], 5, null],
    ['a header that stands there twice is one', 'name,n\nKim,1\nname,n\n', ['name', 'n'], 2, UNKNOWN],
    ['one that is alone may be either', 'a,b\n', ['a', 'b'], 0, UNKNOWN],
  ];
  for (const [what, text, names, count, note] of firsts) {
    test(`the first record: ${what}`, async () => {
      const found = await survey(text);
      assert.deepEqual([found.names, found.rows.length, found.notes[0]], [names, count, note]);
    });
  }

  test('the first record of a table with a number, a date or a repeated text is told from its header, whatever the names are', () => {
    const word = fc.stringMatching(/^[A-Za-z가-힣_]{1,12}$/).filter((text) => !/^(true|false|na|null|none|nan)$/i.test(text));
    const table = fc.record({
      names: fc.uniqueArray(word, { minLength: 3, maxLength: 3, selector: (text) => text.toLowerCase() }),
      rows: fc.array(fc.tuple(fc.integer(), word, fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })), {
        minLength: 2,
        maxLength: 20,
      }),
    });
    return fc.assert(
      fc.asyncProperty(table, async ({ names, rows }) => {
        const lines = rows.map(([n, text, day]) => `${n},${text},${day.toISOString().slice(0, 10)}\n`);
        const headed = await survey(`${names.join(',')}\n${lines.join('')}`);
        assert.deepEqual([headed.names, headed.rows.length], [names, rows.length]);
        assert.equal((await survey(lines.join(''))).rows.length, rows.length);
        // Texts alone: the first one stands once more in its column.
        const texts = [...rows.map(([, text], k) => `${text}${k},x${k}\n`), `${rows[0]![1]}0,y\n`];
        assert.equal((await survey(texts.join(''))).rows.length, texts.length);
      }),
      { numRuns: 30 },
    );
  });

  test('names that are empty, doubled or ours are told apart', async () => {
    const { names } = await survey('id,,ID,_batch\n1,2,3,4\n', { header: 'yes' });
    assert.deepEqual(names, ['id', 'column2', 'ID_2', '_batch_2']);
  });

  test("quotes: NULL apart from '', doubled quotes, line ends inside, CRLF and CR", async () => {
    const { rows } = await survey('a,b,c\r\n,"","say ""hi"""\r\n"x\ny",z,"1,2"\r\n');
    assert.deepEqual(rows, [
      [null, '', 'say "hi"'],
      ['x\ny', 'z', '1,2'],
    ]);
    assert.deepEqual((await survey('a,b\r1,2\r3,4\r')).rows, [
      ['1', '2'],
      ['3', '4'],
    ]);
  });

  test('ragged records are refused with line and reason, and no other record is lost', async () => {
    const { rows, refused } = await survey('a,b\n1,2\n1,2,3\n4\n"x"y,5\n6,7\n');
    assert.deepEqual(rows, [
      ['1', '2'],
      ['6', '7'],
    ]);
    assert.deepEqual(
      refused.map(({ line, reason, body }) => [line, reason, body.toString()]),
      [
        [3, 'it has 3 fields; the others have 2', '1,2,3'],
        [4, 'it has 1 fields; the others have 2', '4'],
        [5, 'there is text after a closing quote', '"x"y,5'],
      ],
    );
  });

  test('a quote that is never closed is refused with the line where it opens', async () => {
    await assert.rejects(survey('a,b\n1,2\n3,"x\n4,5\n'), {
      code: 'TRANSFER_FILE',
      params: { file: 'given.csv', format: 'csv', line: 3, problem: 'a quote that is opened here is never closed' },
    });
  });

  test('an empty file and one with only a header have no rows', async () => {
    assert.deepEqual((await survey('')).rows, []);
    const { names, rows } = await survey('a,b\n', { header: 'yes' });
    assert.deepEqual([names, rows], [['a', 'b'], []]);
  });
});

describe('types are what every value of the column allows', () => {
  const many = (first: string, rest: string) => `v\n${`${first}\n`.repeat(30_000)}${rest}\n`;
  const cases: [string, string, string, string][] = [
    ['days first, shown only by the last value', many('03/04/2024', '13/04/2024'), 'DATE', '2024-04-03'],
    ['months first, shown only by the last value', many('03/04/2024', '04/13/2024'), 'DATE', '2024-03-04'],
    ['neither shown', many('03/04/2024', '05/06/2024'), 'VARCHAR', '03/04/2024'],
    ['both shown', many('13/04/2024', '04/13/2024'), 'VARCHAR', '13/04/2024'],
    ['a day that does not exist', many('28/02/2024', '30/02/2024'), 'VARCHAR', '28/02/2024'],
    ['times with a zone', many('2024-01-01T00:00:00+09:00', '2024-01-01 00:00:00Z'), 'TIMESTAMP WITH TIME ZONE', '2023-12-31 15:00:00'],
    ['times of twelve hours', many('1/31/2024 12:05:09 AM', '1/31/2024 1:00:00 PM'), 'TIMESTAMP', '2024-01-31 00:05:09'],
    ['integers up to 64 bits', many('9223372036854775807', '-9223372036854775808'), 'BIGINT', '9223372036854775807'],
    ['integers beyond', many('1', '9223372036854775808'), 'VARCHAR', '1'],
    ['leading zeros', many('10', '007'), 'VARCHAR', '10'],
    ['decimals', many('1', '2.50'), 'DECIMAL(18,2)', '1.00'],
    ['many digits after the point', many('0.00479298817650529', '1'), 'DOUBLE', '0.00479298817650529'],
    ['more digits than a double has', many('0.1234567890123456789', '1'), 'DECIMAL(38,19)', '0.1234567890123456789'],
    ['exponents', many('1e-7', '2.5E3'), 'DOUBLE', '1e-7'],
    ['booleans', many('true', 'FALSE'), 'BOOLEAN', '1'],
    ['one text among numbers', many('1', 'n/a'), 'VARCHAR', '1'],
  ];
  for (const [name, text, type, first] of cases) {
    test(name, async () => {
      const { types, rows } = await survey(text, { delimiter: ',', header: 'yes' });
      assert.deepEqual([types, rows[0], rows.length], [[type], [first], 30_001]);
    });
  }

  test('a decimal comma', async () => {
    const { types, rows } = await survey('a;b\n1,5;x\n-22,75;y\n');
    assert.deepEqual(
      [types, rows.map(([value]) => value)],
      [
        ['DECIMAL(18,2)', 'VARCHAR'],
        ['1.50', '-22.75'],
      ],
    );
  });

  test('one column that shows the order of day and month decides for the others of the file', async () => {
    const { types, rows } = await survey('a,b\n03/04/2024,25/12/2024\n');
    assert.deepEqual([types, rows], [['DATE', 'DATE'], [['2024-04-03', '2024-12-25']]]);
  });
});

test('formulas, paths and statements in a file are data', async () => {
  const hostile = ["=cmd|' /C calc'!A0", '../../etc/passwd', "'); DROP TABLE x; --", '\u0000', '%s'];
  const path = join(folder, 'hostile.csv');
  writeFileSync(path, `id,v\n${hostile.map((value, k) => `${k},"${value.replaceAll('"', '""')}"\n`).join('')}`);
  const report = await ground.run({ name: 'x', source: 'csv', connection: { path }, tables: [tableOf({ source: 'hostile' })] });
  assert.equal(report.error, null);
  assert.deepEqual((await ground.rows('SELECT v FROM shop.hostile ORDER BY id')).flat(), hostile);
});

test('any rows of texts come back as they were, whatever is in them', async () => {
  const cell = fc.option(
    fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => text.isWellFormed()),
    { nil: null },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 20 }), fc.constantFrom('\n', '\r\n'), async (rows, end) => {
      const quote = (value: string | null) => (value === null ? '' : `"${value.replaceAll('"', '""')}"`);
      const text = `k,a,b${end}${rows.map((row, k) => [String(k), ...row.map(quote)].join(',') + end).join('')}`;
      const path = join(folder, 'any.csv');
      writeFileSync(path, text);
      const connection = { path, encoding: 'utf-8', delimiter: ',', header: 'yes' };
      const report = await ground.run({
        name: 'x',
        source: 'csv',
        connection,
        tables: [tableOf({ source: 'any', types: { a: 'VARCHAR', b: 'VARCHAR' } })],
      });
      assert.equal(report.error, null);
      assert.deepEqual(
        await ground.rows('SELECT a, b FROM shop.any ORDER BY k'),
        rows.map((row) => [...row]),
      );
      assert.equal(report.tables[0]!.parity!.equal, true);
    }),
    { numRuns: 25 },
  );
});

test('a file outside of the workspace is refused unless the one who asks could read it anyway', async () => {
  const connection = { path: '../../etc/passwd', delimiter: ':' };
  await assert.rejects(openSource({ source: 'csv', connection: { path: '/etc/passwd' } }, { folder, anywhere: false, env: {} }), {
    code: 'TRANSFER_PATH',
  });
  await assert.rejects(openSource({ source: 'csv', connection }, { folder, anywhere: false, env: {} }), (error: { code: string }) =>
    ['TRANSFER_PATH', 'TRANSFER_FILE'].includes(error.code),
  );
});

const data = process.env['MILLRACE_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

describe('real files', { skip: existsSync(data) ? false : 'the real data is not here (MILLRACE_DATA)' }, () => {
  /** Lines of the file, counted apart from the code under test. */
  const linesOf = (file: string) =>
    gunzipSync(readFileSync(join(data, file)))
      .toString('latin1')
      .split('\n')
      .filter((line) => line.trim() !== '').length;

  async function load(file: string, target: string, connection: object = {}) {
    const name = file
      .split('/')
      .at(-1)!
      .replace(/(\.\w+)?\.gz$/, '');
    const report = await ground.run({
      name: 'real',
      source: 'csv',
      connection: { path: join(data, file), ...connection },
      tables: [tableOf({ source: name, target })],
    });
    assert.equal(report.error, null);
    const [table] = report.tables;
    assert.equal(table!.parity!.equal, true, JSON.stringify(table));
    const columns = await ground.rows(
      `SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name || '.' || table_name = '${target}' AND column_name <> '_batch' ORDER BY column_index`,
    );
    return { table: table!, types: Object.fromEntries(columns) as Record<string, string> };
  }

  test('TPC-H: no header, | at the end of each line', async () => {
    const { table, types } = await load('tpch-sf0005/lineitem.tbl.gz', 'real.lineitem');
    assert.equal(table.rows, linesOf('tpch-sf0005/lineitem.tbl.gz'));
    assert.deepEqual(Object.values(types), [
      'BIGINT',
      'BIGINT',
      'BIGINT',
      'BIGINT',
      'BIGINT',
      'DECIMAL(18,2)',
      'DECIMAL(18,2)',
      'DECIMAL(18,2)',
      'VARCHAR',
      'VARCHAR',
      'DATE',
      'DATE',
      'DATE',
      'VARCHAR',
      'VARCHAR',
      'VARCHAR',
    ]);
  });

  test('bike sharing: dates', async () => {
    const { table, types } = await load('bike-sharing/hour.csv.gz', 'real.bikes');
    assert.deepEqual([table.rows, types['dteday']], [17_379, 'DATE']);
    assert.deepEqual(await ground.rows('SELECT CAST(min(dteday) AS VARCHAR), CAST(max(dteday) AS VARCHAR) FROM real.bikes'), [
      ['2011-01-01', '2012-12-31'],
    ]);
  });

  test('occupancy: a header that is one name short names all but the row names', async () => {
    const { table, types } = await load('uci-occupancy/datatraining.txt.gz', 'real.occupancy');
    assert.equal(table.rows, 8_143);
    assert.deepEqual(Object.entries(types).slice(0, 3), [
      ['row', 'BIGINT'],
      ['date', 'TIMESTAMP'],
      ['Temperature', 'DOUBLE'],
    ]);
  });

  for (const file of [
    'green_tripdata_2013-08',
    ...(process.env['MILLRACE_LONG'] === '1'
      ? [
          'green_tripdata_2015-01',
          'green_tripdata_2016-07',
          'yellow_tripdata_2009-01',
          'yellow_tripdata_2015-01',
          'yellow_tripdata_2016-07',
        ]
      : []),
  ]) {
    test(`taxi: ${file} comes in whole, with its times as times`, async () => {
      const target = `real.${file.replaceAll('-', '_')}`;
      const { table, types } = await load(`nyc-taxi/${file}.csv.gz`, target);
      assert.equal(table.rows + table.quarantined, linesOf(`nyc-taxi/${file}.csv.gz`) - 1);
      assert.equal(table.quarantined, 0);
      const times = Object.entries(types).filter(([name]) => /datetime/i.test(name));
      assert.deepEqual(
        times.map(([, type]) => type),
        ['TIMESTAMP', 'TIMESTAMP'],
      );
    });
  }

  test('online retail: half a million order lines', async () => {
    const { table } = await load('uci-online-retail/online_retail.csv.gz', 'real.retail');
    assert.equal(table.rows + table.quarantined, 541_909);
  });
});
