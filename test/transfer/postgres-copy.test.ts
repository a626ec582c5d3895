/** What comes of a COPY, taken apart in whatever pieces it comes, and made into rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BATCH_ROWS, decodeRows, LONGEST_ROW, type Rows } from '../../src/transfer/rows.ts';
import type { SourceColumn } from '../../src/transfer/source.ts';
import { gathering, messages } from '../../src/transfer/sources/postgres-copy.ts';

/** As PostgreSQL's manual has it ("Message Formats"): Byte1, Int32 that counts itself, the rest. */
function message(kind: string, body: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(kind, 'latin1');
  bytes.writeUInt32BE(4 + body.length, 1);
  body.copy(bytes, 5);
  return bytes;
}

interface Seen {
  readonly rows: string[];
  readonly others: string[];
  beyond: number;
}

function reading(): { seen: Seen; take: (chunk: Buffer) => void } {
  const seen: Seen = { rows: [], others: [], beyond: 0 };
  const take = messages({
    rows(bytes, from) {
      const to = from + Math.max(5, 1 + bytes.readUInt32BE(from + 1));
      assert.ok(to <= bytes.length, 'a message that is not whole was given');
      seen.rows.push(bytes.toString('latin1', from + 5, to));
      return to;
    },
    other: (bytes) => seen.others.push(bytes.toString('latin1')),
    beyond: () => seen.beyond++,
  });
  return { seen, take };
}

test('rows and all other messages are the same in whatever pieces they come', () => {
  const body = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const each = fc.record({ kind: fc.constantFrom('d', 'd', 'd', 'H', 'c', 'N', 'Z'), body });
  fc.assert(
    fc.property(fc.array(each, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (sent, pieces) => {
      const bytes = Buffer.concat(sent.map(({ kind, body }) => message(kind, body)));
      const { seen, take } = reading();
      for (let at = 0, k = 0; at < bytes.length; k++) {
        const piece = Buffer.from(bytes.subarray(at, at + pieces[k % pieces.length]!));
        take(piece);
        // Whoever gave it may use it again.
        at += piece.length;
        piece.fill(0);
      }
      const of = (wanted: (kind: string) => boolean) => sent.filter(({ kind }) => wanted(kind));
      assert.deepEqual(
        seen.rows,
        of((kind) => kind === 'd').map(({ body }) => body.toString('latin1')),
      );
      assert.deepEqual(
        seen.others,
        of((kind) => kind !== 'd').map(({ kind, body }) => message(kind, body).toString('latin1')),
      );
      assert.equal(seen.beyond, 0);
    }),
    { numRuns: 2_000 },
  );
});

test('a row that says it is longer than any may be is told at its head, and nothing is given behind it', () => {
  const { seen, take } = reading();
  const head = message('d', Buffer.alloc(0));
  head.writeUInt32BE(4 + LONGEST_ROW + 1, 1);
  take(Buffer.concat([message('d', Buffer.from('1\n')), head.subarray(0, 3)]));
  assert.deepEqual([seen.rows, seen.beyond], [['1\n'], 0]);
  take(Buffer.concat([head.subarray(3), message('d', Buffer.from('2\n')), message('Z', Buffer.from('I'))]));
  take(message('d', Buffer.from('3\n')));
  assert.deepEqual([seen.rows, seen.others, seen.beyond], [['1\n'], [], 1]);
});

test('the longest row there may be is taken, and a length of nothing holds up nobody', () => {
  const { seen, take } = reading();
  const long = message('d', Buffer.alloc(LONGEST_ROW, 'x'));
  for (let at = 0; at < long.length; at += 10_000_000) take(long.subarray(at, at + 10_000_000));
  assert.equal(seen.rows[0]!.length, LONGEST_ROW);
  take(Buffer.from([0x64, 0, 0, 0, 0, 0x64, 0, 0, 0, 5, 0x31]));
  assert.deepEqual(seen.rows.slice(1), ['', '1']);
});

const text = (name: string): SourceColumn => ({ name, sourceType: 'text', type: 'VARCHAR', cursor: null, long: true, note: null });
const blank = (name: string): SourceColumn => ({ ...text(name), sourceType: 'character(8)' });
const day = (name: string): SourceColumn => ({ ...text(name), sourceType: 'timestamp', type: 'TIMESTAMP' });

/** A value in COPY's text format (manual, "COPY"): what the server escapes. */
function escaped(value: string | null): string {
  if (value === null) return '\\N';
  const letters: Readonly<Record<string, string>> = { '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v', '\\': '\\' };
  return value.replace(/[\b\f\n\r\t\v\\]/g, (letter) => `\\${letters[letter]}`);
}

const rowOf = (cells: readonly (string | null)[]): Buffer => message('d', Buffer.from(`${cells.map(escaped).join('\t')}\n`));

/** All rows of what comes in these pieces, batch by batch. */
function gathered(columns: readonly SourceColumn[], cursor: boolean, bytes: Buffer, piece: number): Rows[] {
  const gathers = gathering(columns, cursor);
  const batches: Rows[] = [];
  const take = messages({
    rows(chunk, from) {
      const to = gathers.add(chunk, from);
      if (gathers.isBatch()) batches.push(gathers.take());
      return to < 0 ? assert.fail('a row was taken for none') : to;
    },
    other: () => assert.fail('nothing else was sent'),
    beyond: () => assert.fail('no row is too long'),
  });
  for (let at = 0; at < bytes.length; at += piece) take(bytes.subarray(at, at + piece));
  if (gathers.count > 0) batches.push(gathers.take());
  return batches;
}

const cell = fc.option(
  fc.oneof(
    fc.array(fc.constantFrom(...'abN ,"\n\r\t\b\f\v\\한🙂'), { maxLength: 40 }).map((letters) => letters.join('')),
    fc.constantFrom('', '\\N', 'N', ' ', '   ', '""', '\\', ' BC', '0044-03-15 BC'),
    fc.integer({ min: 0, max: 100 }).map((length) => 'x'.repeat(length)),
  ),
  { nil: null },
);

test('rows are what was in the table, whatever their values have in them and in whatever pieces they come', () => {
  const rows = fc
    .integer({ min: 1, max: 6 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1 }));
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 300 }), (given, piece) => {
      const columns = given[0]!.map((_, k) => text(`c${k}`));
      const [batch] = gathered(columns, false, Buffer.concat(given.map(rowOf)), piece);
      assert.deepEqual(decodeRows(batch!.bytes, Number.POSITIVE_INFINITY), given);
      assert.deepEqual([batch!.count, batch!.complete], [given.length, null]);
    }),
    { numRuns: 2_000 },
  );
});

test('blanks at the end of a column that is filled with them are none, and years before Christ are told as the warehouse reads them', () => {
  const rows = [
    ['a  ', '0044-03-15 BC', '44 BC'],
    ['        ', '0044-03-15 10:00:00 BC', 'a  '],
    ['a "b"   ', '0001-12-31 23:59:59.5+00 BC', ''],
    [null, 'infinity', ' BC'],
    ['\\ ', null, null],
    ['x', '2024-01-01', 'BC'],
  ];
  const [batch] = gathered([blank('b'), day('d'), text('t')], false, Buffer.concat(rows.map(rowOf)), 7);
  assert.deepEqual(decodeRows(batch!.bytes, 10), [
    ['a', '0044-03-15 (BC)', '44 BC'],
    ['', '0044-03-15 (BC) 10:00:00', 'a  '],
    ['a "b"', '0001-12-31 (BC) 23:59:59.5+00', ''],
    [null, 'infinity', ' BC'],
    ['\\', null, null],
    ['x', '2024-01-01', 'BC'],
  ]);
});

test('a batch is complete up to the cursor before its newest, also behind a row for which the memory grew', () => {
  const cursors = Array.from({ length: 2 * BATCH_ROWS + 10 }, (_, k) => String(Math.floor(k / 3)));
  const long = 'y'.repeat(30_000_000);
  const sent = cursors.map((cursor, k) => rowOf([cursor, k === 10 ? long : `v${k}`]));
  const batches = gathered([text('v')], true, Buffer.concat(sent), 65_536);
  let given = 0;
  for (const { count, bytes, complete } of batches) {
    const values = decodeRows(bytes, Number.POSITIVE_INFINITY).map(([value]) => value);
    assert.deepEqual(
      values.map((value) => (value === long ? 'long' : value)),
      Array.from({ length: count }, (_, k) => (given + k === 10 ? 'long' : `v${given + k}`)),
    );
    given += count;
    const newest = Number(cursors[given - 1]);
    assert.equal(complete, newest === 0 ? null : String(newest - 1));
  }
  assert.equal(given, cursors.length);
  assert.ok(batches.length >= 3);
});

test('what is no row of these columns is told, and not guessed at', () => {
  for (const body of ['', '\n', 'a\n', 'a\tb', 'a\tb\tc\n', 'a\tb\nc\td\n', 'a\tb\\\n', '\\Nx\tb\n', 'a\t\\N'])
    assert.equal(gathering([text('a'), text('b')], false).add(message('d', Buffer.from(body)), 0), -1, JSON.stringify(body));
  assert.equal(gathering([text('a')], true).add(message('d', Buffer.from('a\n')), 0), -1);
  assert.equal(gathering([text('a')], true).add(message('d', Buffer.from(`${'9'.repeat(200)}\ta\n`)), 0), -1);
  const [good, head] = [message('d', Buffer.from('a\tb\n')), Buffer.from([0x64, 0, 0, 0, 0])];
  assert.equal(gathering([text('a'), text('b')], false).add(head, 0), -1);
  const gathers = gathering([text('a'), text('b')], false);
  assert.equal(gathers.add(Buffer.concat([good, good.subarray(0, 6)]), 0), good.length);
  assert.equal(gathers.count, 1);
});
