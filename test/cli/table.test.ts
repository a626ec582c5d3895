import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readExactJson } from '../../src/cli/print/json.ts';
import { table, textWidth } from '../../src/cli/print/table.ts';

const text = (name: string) => ({ name, type: 'VARCHAR' });
const decimal = (name: string) => ({ name, type: 'DECIMAL(18,2)' });

describe('a terminal table', () => {
  test('aligns numbers to the right with separators, text to the left, and shows NULL apart from text and emptiness', () => {
    const rows = [
      ['NULL', 1234567.5, 1],
      [null, null, 22],
      ['', -0.25, 333],
    ];
    assert.equal(
      table([text('page'), decimal('revenue'), { name: 'user_id', type: 'BIGINT' }], rows),
      [
        'page      revenue  user_id',
        '────  ───────────  ───────',
        'NULL  1,234,567.5        1',
        '∅               ∅       22',
        '            -0.25      333',
      ].join('\n'),
    );
  });

  test('keeps columns straight where Korean text takes two cells a letter', () => {
    const lines = table(
      [text('쪽'), decimal('값')],
      [
        ['홈', 1],
        ['a', 20],
        ['상품 상세', 300],
      ],
    ).split('\n');
    assert.deepEqual(new Set(lines.map(textWidth)), new Set([textWidth(lines[0]!)]));
    assert.equal(textWidth('상품 상세'), 9);
    assert.equal(textWidth('e\u0301👍🏽'), 3);
  });

  test('keeps every digit that a double would lose', async () => {
    const answer = '{"rows":[[12345678901234567890.12, 0.10, 9007199254740993, 5]]}';
    const { rows } = await readExactJson<{ rows: unknown[][] }>(Readable.from([Buffer.from(answer)]));
    const shown = table([decimal('a'), decimal('b'), decimal('c'), decimal('d')], rows);
    assert.match(shown, /12,345,678,901,234,567,890\.12 +0\.10 +9,007,199,254,740,993 +5$/);
  });

  test('says how many rows are not shown', () => {
    assert.match(table([text('a')], [['x']], { total: 1235 }), /\n… 1,234 more rows$/);
    assert.match(table([text('a')], [['x']], { total: 2 }), /\n… 1 more row$/);
    assert.match(table([text('a')], [['x']], { total: null }), /\n… more rows$/);
    assert.doesNotMatch(table([text('a')], [['x']], { total: 1 }), /…/);
  });

  test('fits its lines to the terminal by cutting the widest columns', () => {
    const shown = table([text('a'), text('b')], [['가'.repeat(50), 'short']], { width: 30 });
    for (const line of shown.split('\n')) assert.ok(textWidth(line) <= 30, line);
    assert.match(shown, /가… {2}short/);
    // A terminal that does not know its size says 0.
    assert.match(table([text('a')], [['x'.repeat(50)]], { width: 0 }), /x{50}/);
  });

  test('never lets a cell move the cursor or start a line', () => {
    const unit = fc.string({ unit: fc.constantFrom('a', '가', '\n', '\r', '\x1b', '\x9b', '\t', '\0', '👍', '"') });
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 5 }), (cells) => {
        const shown = table(
          [text('c')],
          cells.map((cell) => [cell]),
        );
        assert.doesNotMatch(shown, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
        assert.equal(shown.split('\n').length, cells.length + 2);
      }),
    );
  });
});
