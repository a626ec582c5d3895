import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseJourney, parseMetric } from '#analyze';
import { MillraceError } from '#core';
import { readDefinition, type Section } from '#definition';
import { parseExperiment } from '#experiment';
import { parseDashboard } from '#visualize';
import { parseTopic, parseTransfer } from '#workspace';

const open = (text: string, most?: number) => readDefinition(text, 'a.yaml', 'any', most);

function refusal(work: () => unknown): [code: string, line: unknown, message: string] {
  try {
    work();
  } catch (error) {
    if (error instanceof MillraceError) return [error.code, error.params['line'], error.message];
    throw error;
  }
  return assert.fail('it was taken');
}

test('texts keep their spelling, and an absent or empty key gives nothing', () => {
  const top = open('a: 2024.0\nb: true\nc:\nd: " x "\n');
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((key) => top.text(key)),
    ['2024.0', 'true', null, ' x ', null],
  );
  assert.deepEqual([top.texts('c'), top.words('c'), top.sections('c', 'any', 1), top.section('c', []).keys()], [[], {}, [], []]);
  assert.deepEqual([top.choice('e', ['x'], null), top.integer('e', { min: 1, max: 2 }, null), top.boolean('e', true)], [null, null, true]);
});

test('prose may have lines and tabs, a text may not, and neither other control characters', () => {
  const top = open('a: |\n  SELECT 1,\n  \t2\nb: "x\\u0000"\nc: "x\\u2028"\n');
  assert.equal(top.prose('a', 20), 'SELECT 1,\n\t2\n');
  assert.match(refusal(() => top.text('a'))[2], /"a" has a control character/);
  assert.match(refusal(() => top.prose('a', 12))[2], /more than 12 characters/);
  for (const key of ['b', 'c']) assert.match(refusal(() => top.prose(key, 20))[2], /control character/);
});

test('lists and maps of texts are read whole, with names from the prototype as the names that they are', () => {
  const top = open('one: a\nmany: [a, 2, "true"]\nmap: { __proto__: x, constructor: "1" }\n');
  assert.deepEqual([top.texts('one'), top.texts('many')], [['a'], ['a', '2', 'true']]);
  assert.deepEqual(Object.entries(top.words('map')), [
    ['__proto__', 'x'],
    ['constructor', '1'],
  ]);
});

describe('a refusal names code, file, line and the path to the value', () => {
  const cases: readonly [what: string, text: string, read: (top: Section) => unknown, line: number, says: string][] = [
    ['an entry that is no map', 's:\n  - a: 1\n  - b\n', (top) => top.sections('s', 'any', 9), 3, '"s[2]" must be a map of options'],
    ['too many entries', 's:\n  - a: 1\n  - a: 2\n', (top) => top.sections('s', 'any', 1), 2, '"s" has 2 entries; at most 1 are taken'],
    ['no list', 's: { a: 1 }\n', (top) => top.sections('s', 'any', 9), 1, '"s" must be a list'],
    [
      'an unknown key inside',
      's:\n  - a: 1\n    tabl: 2\n',
      (top) => top.sections('s', ['a', 'table'], 9),
      3,
      '"s[1].tabl" is unknown; "table" is near',
    ],
    ['an empty item of texts', 't: [a, ""]\n', (top) => top.texts('t'), 1, '"t" has an entry that is empty'],
    ['a map in texts', 't:\n  - a\n  - { b: 1 }\n', (top) => top.texts('t'), 2, '"t" must be a list of texts'],
    ['a list in words', 'w:\n  a: b\n  c: [d]\n', (top) => top.words('w'), 3, '"w.c" must be text, not a list'],
    ['an empty word', 'w:\n  a:\n', (top) => top.words('w'), 2, '"w.a" is missing'],
    ['an absent text', 'x: 1\n\nw: { a: 1 }\n', (top) => top.section('w', 'any').needText('b'), 3, '"w.b" is missing'],
  ];
  for (const [what, text, read, line, says] of cases) {
    test(what, () => {
      const [code, at, message] = refusal(() => read(open(text)));
      assert.deepEqual([code, at], ['DEFINITION_INVALID', line], message);
      assert.ok(message.startsWith('a.yaml:') && message.includes(says), message);
    });
  }
});

test('a file may have as many bytes as its kind takes, and none more', () => {
  const of = (bytes: number) => `a: x\n#${'가'.repeat(bytes / 3 - 2)}`;
  assert.equal(Buffer.byteLength(of(300)), 300);
  assert.equal(open(of(300), 300).text('a'), 'x');
  assert.equal(refusal(() => open(of(300), 299))[0], 'DEFINITION_YAML');
  assert.equal(open(of(65_535)).text('a'), 'x');
  assert.equal(refusal(() => open(of(65_538)))[0], 'DEFINITION_YAML');
});

describe('every kind of definition file refuses what no file may hold', () => {
  const kinds: Readonly<Record<string, (text: string) => unknown>> = {
    topic: (text) => parseTopic('t', text, 'f'),
    transfer: (text) => parseTransfer('t', text, 'f'),
    metric: (text) => parseMetric('t', text, 'f'),
    journey: (text) => parseJourney('t', text, 'f'),
    experiment: (text) => parseExperiment('t', text, 'f'),
    dashboard: (text) => parseDashboard(text, 'f'),
  };
  const hostile: readonly [what: string, text: string, line: number | undefined][] = [
    ['an anchor', 'title: x\nbase: &a b', 2],
    ['an alias in a key', 'title: x\n*a : b', 2],
    ['aliases of aliases', 'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]', 1],
    ['a tag', 'title: !!str x', 1],
    ['a key twice', 'title: x\ntitle: y', 2],
    ['a second document', 'title: x\n---\ntitle: y', 2],
    ['nine levels', `title: ${'['.repeat(9)}${']'.repeat(9)}`, 1],
    ['300 KiB', `title: ${'x'.repeat(300 * 1024)}`, undefined],
  ];
  for (const [what, text, line] of hostile) {
    test(what, () => {
      for (const [kind, parse] of Object.entries(kinds)) {
        const [code, at, message] = refusal(() => parse(text));
        assert.deepEqual([kind, code, at], [kind, 'DEFINITION_YAML', line], message);
      }
    });
  }
});
