/** Files whose own reader would leave something out of them, or make something else of it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MillraceError } from '#core';
import type { LoadFormat, Store } from '#store';
import { folder, freshStore } from './fixture.ts';

let files = 0;

/** The rows of the table that a file makes, all as text, and the types of its columns. */
async function loaded(store: Store, at: string, format: LoadFormat, content: string | Buffer): Promise<[string[], (string | null)[][]]> {
  const table = `main.t${++files}`;
  const file = join(at, `${files}.${format}`);
  writeFileSync(file, content);
  const { columns } = await store.load({ table, file, format, mode: 'create', key: null });
  const shown = columns.map(({ name }, k) => `CAST("${name}" AS VARCHAR) AS c${k}`);
  const rows = await store.rows(`SELECT ${shown.join(', ')} FROM ${table}`);
  return [columns.map(({ type }) => type), rows.map((row) => Object.values(row) as (string | null)[])];
}

test('a file that the reader would take for another one is refused with its line', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  for (const [format, content, says] of [
    ['csv', 'a,b\n1,2\n3,4,5\n6,7,8\n', /line 1 has other columns than the lines below it: "a,b"/],
    ['csv', `a,b\n${'1,2\n'.repeat(50)}3\n${'4,5\n'.repeat(50)}`, /line \d+: Expected Number of Columns: 2 Found: 1 \(3\)/],
    ['csv', 'a,b\n1,2\n3,4\n5,6,7\n8,9\n', /line 4: Expected Number of Columns: 2 Found: 3 \(5,6,7\)/],
    ['csv', 'a;b;c\n1;2;3\n4;5\n', /line 3: Expected Number of Columns: 3 Found: 2/],
    ['csv', 'a,b\n1,"x"\n2,"y\n3,"z"\n', /line 3: Value with unterminated quote found/],
    ['csv', 'a,b\n1,"x\n2,y\n', /line \d: /],
    ['csv', 'a,b\r\n1,2\n3,4\r\n', /ends of different kinds/],
    ['csv', '', /it is empty/],
    ['ndjson', '\n\n', /it is empty/],
    ['csv', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), /packed with gzip/],
    ['ndjson', '{"a":1}\n5\n{"a":2}\n', /no object/],
    ['ndjson', '1\n2\n', /no object/],
  ] as const) {
    await assert.rejects(loaded(store, at, format, content), ({ code, message }: MillraceError) => {
      assert.deepEqual([code, says.test(message)], ['LOAD_FILE', true], `${JSON.stringify(String(content).slice(0, 40))}: ${message}`);
      return true;
    });
  }
  assert.deepEqual(
    (await store.tables()).filter(({ schema }) => schema === 'main'),
    [],
  );
});

test('what is unusual and can be told is taken whole', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  for (const [content, rows] of [
    [
      'a,b\n1,2\n#3,4\n5,6\n',
      [
        ['1', '2'],
        ['#3', '4'],
        ['5', '6'],
      ],
    ],
    [
      'Report of May\n\na,b\n1,2\n3,4\n',
      [
        ['1', '2'],
        ['3', '4'],
      ],
    ],
    [
      "a,b\n1,'x,y'\n2,'z'\n",
      [
        ['1', 'x,y'],
        ['2', 'z'],
      ],
    ],
    [
      'a\tb\n1\t"x\n2\ty\n',
      [
        ['1', '"x'],
        ['2', 'y'],
      ],
    ],
    ['"a,b"\nx\ny\n', [['x'], ['y']]],
    ['name\nhello, world\nfoo\n', [['hello, world'], ['foo']]],
    [
      'a,b\n1,5" pipe\n2,6" pipe\n',
      [
        ['1', '5" pipe'],
        ['2', '6" pipe'],
      ],
    ],
    [
      'n,x\nAnn,"said ""hi"" to\nBob"\n"Bo, b",x\n',
      [
        ['Ann', 'said "hi" to\nBob'],
        ['Bo, b', 'x'],
      ],
    ],
  ] as const)
    assert.deepEqual((await loaded(store, at, 'csv', content))[1], rows, content);
  assert.deepEqual((await loaded(store, at, 'ndjson', ' [{"a":1},\n{"b":2}]'))[1], [
    ['1', null],
    [null, '2'],
  ]);
});

test('a new table keeps every number as the file has it', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  for (const [format, values, type, kept = values] of [
    ['csv', ['12345678901234567890123', '1'], 'DECIMAL(38,0)'],
    ['csv', ['9223372036854775807', '9223372036854775808'], 'DECIMAL(38,0)'],
    ['csv', ['9007199254740993', '0.5'], 'DECIMAL(38,1)', ['9007199254740993.0', '0.5']],
    ['csv', ['9007199254740993', '1e5'], 'VARCHAR'],
    ['csv', ['1'.repeat(40), '1'], 'VARCHAR'],
    ['csv', ['0.1', '1e300', '9007199254740991'], 'DOUBLE', ['0.1', '1e+300', '9007199254740991.0']],
    ['csv', ['nan', 'inf', '1.5'], 'DOUBLE'],
    ['ndjson', ['18446744073709551616', '1'], 'DECIMAL(38,0)'],
    ['ndjson', ['9007199254740993', '1.5'], 'DECIMAL(38,1)', ['9007199254740993.0', '1.5']],
    ['ndjson', ['1e400', '1.5'], 'VARCHAR'],
    ['ndjson', ['1e22', '1.5'], 'DOUBLE', ['1e+22', '1.5']],
  ] as const) {
    const lines = format === 'csv' ? ['v', ...values] : values.map((value) => `{"v":${value}}`);
    const says = `${format} ${values}`;
    assert.deepEqual(
      await loaded(store, at, format, `${lines.join('\n')}\n`),
      [[type], (kept as readonly string[]).map((value) => [value])],
      says,
    );
  }
});

test('a date of which nobody can tell the month stays text, and a time with an offset is an instant', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  for (const [format, values, type, kept = values] of [
    ['csv', ['01/02/2026', '03/02/2026'], 'VARCHAR'],
    ['csv', ['01-02-03'], 'VARCHAR'],
    ['csv', ['01/02/2026 10:00:00'], 'VARCHAR'],
    ['csv', ['01/02/2026', '13/02/2026'], 'DATE', ['2026-02-01', '2026-02-13']],
    ['csv', ['2026-02-01'], 'DATE'],
    [
      'ndjson',
      ['2026-01-02T03:04:05+09:00', '2026-01-02T03:04:05+00:00'],
      'TIMESTAMP WITH TIME ZONE',
      ['2026-01-01 18:04:05+00', '2026-01-02 03:04:05+00'],
    ],
    ['ndjson', ['2026-01-02T03:04:05', '2026-01-03T03:04:05'], 'TIMESTAMP', ['2026-01-02 03:04:05', '2026-01-03 03:04:05']],
    ['ndjson', ['2026-01-02T03:04:05', '2026-01-02T03:04:05Z'], 'VARCHAR'],
  ] as const) {
    const lines = format === 'csv' ? ['v', ...values] : values.map((value) => `{"v":"${value}"}`);
    assert.deepEqual(
      await loaded(store, at, format, `${lines.join('\n')}\n`),
      [[type], (kept as readonly string[]).map((value) => [value])],
      `${values}`,
    );
  }
});

test('ten thousand levels are JSON, and thousands of columns within what a load may take or refused for it', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  const [[type], rows] = await loaded(store, at, 'ndjson', `{"a":${deep}}\n`);
  assert.match(type!, /^JSON(\[\])+$/);
  assert.equal(rows.length, 1);
  const wide = Array.from({ length: 20_000 }, (_, k) => `c${k}`).join(',');
  await assert.rejects(loaded(store, at, 'csv', `${wide}\n${wide}\n${wide.replaceAll('c', '')}\n`), { code: 'LOAD_MEMORY' });
});

test('a file of thousands of columns without a quote is read as it is', async (t) => {
  const [store, at] = [await freshStore(t), folder(t)];
  const numbers = Array.from({ length: 2_500 }, (_, k) => k);
  const [, rows] = await loaded(store, at, 'csv', `${numbers.map((k) => `c${k}`).join(',')}\n${numbers.join(',')}\n`);
  assert.deepEqual(rows, [numbers.map(String)]);
});
