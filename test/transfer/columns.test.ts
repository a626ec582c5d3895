import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { reader } from '../../src/store/slice.ts';
import { sliceColumns } from '../../src/transfer/columns.ts';
import { RowWriter } from '../../src/transfer/rows.ts';

type Cells = readonly (readonly (string | null)[])[];

let folder: string;
let files = 0;
let instance: DuckDBInstance;
let connection: DuckDBConnection;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-columns-'));
  instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  connection = await instance.connect();
  await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
});
after(() => {
  connection.closeSync();
  instance.closeSync();
  rmSync(folder, { recursive: true, force: true });
});

function rowsOf(cells: Cells): Buffer {
  const writer = new RowWriter(1024);
  for (const row of cells) {
    for (const cell of row) {
      if (cell === null) writer.null();
      else writer.string(cell);
    }
    writer.endRow();
  }
  return writer.take(null).bytes;
}

/** How many rows the engine finds in one of the two readings and not in the other; null where the rows are not plain. */
async function differences(types: readonly string[], batches: readonly Cells[]): Promise<number | null> {
  const own = sliceColumns(types)!;
  own.begin();
  const bytes = batches.map(rowsOf);
  for (const each of bytes) own.add(each);
  // An engine that keeps what it has read of a file knows it by its name.
  const [csv, parquet] = [join(folder, `${++files}.csv`), join(folder, `${files}.parquet`)];
  if (!own.write(parquet)) return null;
  writeFileSync(csv, Buffer.concat(bytes));
  const texts = types.map(() => 'VARCHAR');
  const asTyped = types.map((type, k) => `CAST(c${k} AS ${type}) AS c${k}`).join(', ');
  const [rows, columns] = [
    `SELECT ${asTyped}, row_number() OVER () AS n FROM ${reader({ file: csv, bytes: statSync(csv).size }, texts)}`,
    `SELECT ${asTyped}, row_number() OVER () AS n FROM read_parquet('${parquet}')`,
  ];
  const found = await connection.runAndReadAll(
    `SELECT (SELECT count(*) FROM (${rows})) - ${batches.flat().length} + (SELECT count(*) FROM (${rows} EXCEPT ALL ${columns})) + (SELECT count(*) FROM (${columns} EXCEPT ALL ${rows})) AS n`,
  );
  for (const file of [csv, parquet]) rmSync(file);
  return Number(found.getRows()[0]![0]);
}

const TYPES = [
  'VARCHAR',
  'TINYINT',
  'SMALLINT',
  'INTEGER',
  'BIGINT',
  'UTINYINT',
  'USMALLINT',
  'UINTEGER',
  'UBIGINT',
  'DECIMAL(4,1)',
  'DECIMAL(9,2)',
  'DECIMAL(15,2)',
  'DECIMAL(18,18)',
  'DECIMAL(30,5)',
  'DATE',
  'TIMESTAMP',
  'TIMESTAMP WITH TIME ZONE',
  'DOUBLE',
  'UUID',
] as const;

/** Text in both forms: the engine refuses the same ones of them. */
const CAST_LATER: ReadonlySet<string> = new Set(['DECIMAL(30,5)', 'DOUBLE', 'UUID']);

const two = (least: number, most: number) => fc.integer({ min: least, max: most }).map((n) => String(n).padStart(2, '0'));
const day = fc
  .tuple(fc.constantFrom('0001', '1969', '1970', '1900', '2000', '2024', '9999'), two(1, 12), two(1, 28))
  .map((parts) => parts.join('-'));
const clock = fc
  .tuple(two(0, 23), two(0, 59), two(0, 59), fc.constantFrom('', '.5', '.123456', '.000000'))
  .map(([h, m, s, fraction]) => `${h}:${m}:${s}${fraction}`);
const moment = fc.tuple(day, clock).map((parts) => parts.join(' '));
const within = (least: bigint, most: bigint) =>
  fc.oneof(fc.constantFrom(least, most, 0n < least ? least : 0n), fc.bigInt({ min: least, max: most })).map(String);
const decimal = (digits: number, scale: number) =>
  fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** BigInt(digits) - 1n })).map(([negative, n]) => {
    const text = String(n).padStart(scale + 1, '0');
    return `${negative ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`;
  });

/** Values as databases write them. */
const usual: Readonly<Record<(typeof TYPES)[number], fc.Arbitrary<string>>> = {
  VARCHAR: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }).filter((text) => !text.includes('\0')),
    fc.constantFrom('', '""', ',', '\n', '한글', 'a"b', 'x\r\n'),
  ),
  TINYINT: within(-128n, 127n),
  SMALLINT: within(-32768n, 32767n),
  INTEGER: within(-2147483648n, 2147483647n),
  BIGINT: within(-(2n ** 63n) + 1n, 2n ** 63n - 1n),
  UTINYINT: within(0n, 255n),
  USMALLINT: within(0n, 65535n),
  UINTEGER: within(0n, 2n ** 32n - 1n),
  UBIGINT: within(0n, 2n ** 63n - 1n),
  'DECIMAL(4,1)': decimal(4, 1),
  'DECIMAL(9,2)': decimal(9, 2),
  'DECIMAL(15,2)': decimal(15, 2),
  'DECIMAL(18,18)': decimal(18, 18),
  'DECIMAL(30,5)': decimal(30, 5),
  DATE: day,
  TIMESTAMP: moment,
  'TIMESTAMP WITH TIME ZONE': fc.tuple(moment, fc.constantFrom('', '+00')).map((parts) => parts.join('')),
  DOUBLE: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  UUID: fc.uuid(),
};

const rowOf = (values: (type: (typeof TYPES)[number]) => fc.Arbitrary<string | null>) => fc.tuple(...TYPES.map(values));

describe('A slice as columns', () => {
  test('usual values of every type and NULL are plain, and the engine reads the same from them as from the rows', async () => {
    const row = rowOf((type) => fc.option(usual[type], { freq: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 40 }), { minLength: 1, maxLength: 3 }), async (batches) => {
        fc.pre(batches.flat().length > 0);
        assert.equal(await differences(TYPES, batches), 0);
      }),
      { numRuns: process.env['MILLRACE_LONG'] === '1' ? 60 : 25 },
    );
  });

  test('odd values are left to the reader of rows, or read as it reads them', async () => {
    const odd = fc.oneof(
      fc.constantFrom('-', '+1', '-0', '007', '1.', '.5', '1e3', ' 1', '1 ', '1,5', '0x1', 'true', '1_000', '٣', '1\0'),
      fc.constantFrom('0000-00-00', '2023-02-29', '2024-02-30', '2024-04-31', '2024-13-01', '10000-01-01', '2024-1-1', '2024-01-01 (BC)'),
      fc.constantFrom(
        '2024-01-01T00:00:00',
        '2024-01-01 24:00:00',
        '2024-01-01 00:00:60',
        '2024-01-01 00:00:00.1234567',
        '2024-01-01 00:00:00Z',
      ),
      fc.constantFrom(
        '2024-01-01 00:00:00+09',
        '2024-01-01 00:00:00-00',
        '2024-01-01 00:00:00+00:30',
        'infinity',
        '99999999999999999999',
        '128',
        '99999.99',
      ),
      moment,
      day,
      within(-(2n ** 64n), 2n ** 64n),
      decimal(20, 3),
    );
    let plain = 0;
    for (const type of TYPES.filter((each) => !CAST_LATER.has(each)))
      await fc.assert(
        fc.asyncProperty(fc.oneof(odd, usual[type]), fc.oneof(odd, usual[type]), async (one, other) => {
          const found = await differences(
            ['VARCHAR', type],
            [
              [
                ['x', one],
                [null, null],
                ['', other],
              ],
            ],
          ).catch((thrown: unknown) => String(thrown));
          assert.ok(found === null || found === 0, `${type} ${JSON.stringify([one, other])}: ${found}`);
          if (found === 0) plain++;
        }),
        { numRuns: process.env['MILLRACE_LONG'] === '1' ? 40 : 20 },
      );
    assert.ok(plain > 0);
  });

  test('texts that are numbered, and then become too many or too long, stay what they were', async () => {
    for (const different of [1, 256, 257, 5000]) {
      const cells = Array.from({ length: 20_000 }, (_, k) => [
        k % 7 === 3 ? null : `text ${k < 15_000 ? k % Math.min(different, 200) : k % different}`,
        k === 19_000 ? 'x'.repeat(60_000) : ['N', 'R', '', null][k % 4]!,
        String(k),
      ]);
      assert.equal(await differences(['VARCHAR', 'VARCHAR', 'INTEGER'], [cells.slice(0, 9_000), cells.slice(9_000)]), 0, `${different}`);
    }
  });

  test('what there is no room for is not plain, nor is a slice any more that had such a row, and the next one is taken again', () => {
    const own = sliceColumns(['DATE', 'VARCHAR'])!;
    const file = join(folder, 'kept.parquet');
    const usualRows = rowsOf([['2024-01-01', 'x']]);
    for (const odd of [
      rowsOf([['2024-01-01', 'x'.repeat(70_000)]]),
      Buffer.from('2024-01-01,x\n'.repeat(800_000)),
      rowsOf([['infinity', 'x']]),
    ]) {
      own.begin();
      assert.equal(own.write(file), false, 'nothing was taken');
      for (const rows of [usualRows, odd, usualRows]) own.add(rows);
      assert.equal(own.write(file), false);
      assert.ok(!existsSync(file));
    }
    own.begin();
    own.add(usualRows);
    assert.equal(own.write(file), true);
    assert.ok(existsSync(file));
    assert.equal(sliceColumns(Array.from({ length: 1001 }, () => 'VARCHAR')), null);
  });
});
