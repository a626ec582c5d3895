import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { MillraceError, type Topic } from '#core';
import { parseTopic } from '#workspace';

const cases = new URL('cases/', import.meta.url);

/**
 * A case's head: `# <what it does>`, then `# gives <JSON>` or `# refused <CODE> <line or *> <part of the message>`.
 * They don't end in .yaml because half of them is broken YAML on purpose, which formatters refuse.
 */
function headOf(text: string): {
  title: string;
  gives: Partial<Topic> | null;
  refused: { code: string; line: string; says: string } | null;
} {
  const [title = '', expectation = ''] = text.split('\n').map((line) => line.slice(2));
  const refused = /^refused (\w+) (\d+|\*) (.+)$/.exec(expectation);
  if (refused) return { title, gives: null, refused: { code: refused[1]!, line: refused[2]!, says: refused[3]! } };
  assert.match(expectation, /^gives \{"/, 'a case says what it gives or how it is refused');
  return { title, gives: JSON.parse(expectation.slice('gives '.length)) as Partial<Topic>, refused: null };
}

function attempt(name: string, text: string): Topic | MillraceError {
  try {
    return parseTopic(name, text, `topics/${name}.yaml`);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
}

for (const file of readdirSync(cases).filter((name) => name.endsWith('.topic'))) {
  const name = file.slice(0, -'.topic'.length);
  const text = readFileSync(new URL(file, cases), 'utf8');
  const { title, gives, refused } = headOf(text);
  test(`a topic file ${title} (${file})`, () => {
    const outcome = attempt(name, text);
    if (gives) {
      assert.ok(!(outcome instanceof MillraceError), String(outcome));
      for (const [key, value] of Object.entries(gives)) assert.deepEqual(outcome[key as keyof Topic], value, key);
    } else {
      assert.ok(outcome instanceof MillraceError, `it was taken: ${JSON.stringify(outcome)}`);
      assert.equal(outcome.code, refused!.code, outcome.message);
      assert.ok(outcome.message.includes(refused!.says), outcome.message);
      if (refused!.line !== '*') assert.equal(outcome.params['line'], Number(refused!.line), outcome.message);
    }
  });
}

test('a topic has a name that is the same in a path, a URL and SQL', () => {
  for (const name of ['a', 'orders', 'o2_x', 'a'.repeat(63)]) assert.equal(parseTopic(name, 'title: x', 'x').name, name);
  for (const name of ['', 'A', '1a', '_a', 'a-b', 'a.b', '../a', 'a/b', 'ä', 'a'.repeat(64), 'a\n', 'con ']) {
    assert.throws(() => parseTopic(name, 'title: x', 'x'), { code: 'TOPIC_NAME' }, name);
  }
});

test('200 fields are taken and 201 are not', () => {
  const fields = (n: number) => `fields:\n${Array.from({ length: n }, (_, i) => `  f${i}: text\n`).join('')}`;
  assert.equal(parseTopic('t', fields(200), 'x').fields.length, 200);
  assert.throws(() => parseTopic('t', fields(201), 'x'), { code: 'DEFINITION_INVALID' });
});

test('a file of more than 64 KiB is refused before it is parsed', () => {
  const fill = (bytes: number) => `title: x\n#${'a'.repeat(bytes - 10)}`;
  assert.equal(parseTopic('t', fill(65_536), 'x').title, 'x');
  assert.throws(() => parseTopic('t', fill(65_537), 'x'), { code: 'DEFINITION_YAML' });
  assert.throws(() => parseTopic('t', `title: ${'가'.repeat(30_000)}`, 'x'), { code: 'DEFINITION_YAML' });
});

const bombs: Readonly<Record<string, string>> = {
  'nested lists': '['.repeat(60_000),
  'nested maps': '{a: '.repeat(15_000),
  'nested entries': '- '.repeat(30_000),
  'nested keys': '? '.repeat(30_000),
  'many keys': Array.from({ length: 8_000 }, (_, i) => `k${i}: 1`).join('\n'),
  'many anchors': '&a '.repeat(20_000),
  'many tags': '!!x '.repeat(15_000),
  'many documents': '---\n'.repeat(15_000),
  'one long line of colons': 'a: '.repeat(20_000),
};
for (const [what, text] of Object.entries(bombs)) {
  test(`a file of ${what} is refused with a coded error`, () => {
    const outcome = attempt('t', text);
    assert.ok(outcome instanceof MillraceError);
    assert.match(outcome.code, /^DEFINITION_/);
    assert.ok(outcome.message.length < 2_000, `a message of ${outcome.message.length} characters`);
  });
}

const nasty = fc.constantFrom(
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '&a',
  '*a',
  '!!map',
  '<<',
  '? ',
  '|',
  '>',
  '%YAML 1.1',
  '\ufeff',
  '\0',
  '\ud800',
  '\r',
  '\t',
  '가',
);
const word = fc.oneof(
  nasty,
  fc.constantFrom('title', 'fields', 'time', 'id', 'type', 'drift', 'required', 'field', 'text', 'decimal(3,2)', 'true', '1', ''),
  fc.string(),
);
const mark = fc.constantFrom(': ', '\n', '\n  ', '\n    ', '- ', '{', '}', '[', ']', ', ', '"', "'", '#', ' ');
const soup = fc.array(fc.oneof(word, mark), { maxLength: 60 }).map((parts) => parts.join(''));

test('any text gives a checked topic or a coded error, and changes no prototype', () => {
  const before = prototypes();
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' }), fc.json()), (text) => {
      const outcome = attempt('t', text);
      if (outcome instanceof MillraceError) assert.match(outcome.code, /^DEFINITION_/);
      else checkTopic(outcome);
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(prototypes(), before);
  assert.equal(({} as Record<string, unknown>)['drift'], undefined);
});

const typeOf = fc.oneof(
  fc.constantFrom('text', 'integer', 'double', 'boolean', 'timestamp', 'date', 'json'),
  fc.integer({ min: 1, max: 38 }).chain((p) => fc.integer({ min: 0, max: p }).map((s) => `decimal(${p},${s})`)),
);
const fieldName = fc
  .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
  .filter((name) => [...name].length <= 63 && name.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]|^_|^data$/iu.test(name));
const definition = fc.record({
  title: fc.constantFrom('Orders', '주문', '2024', 'a: b # c', "it's", '"'),
  fields: fc.uniqueArray(fc.record({ name: fieldName, type: typeOf, required: fc.boolean() }, { noNullPrototype: true }), {
    maxLength: 20,
    selector: (f) => f.name.toLowerCase(),
  }),
  drift: fc.constantFrom('evolve', 'freeze', 'discard'),
});

test('a definition written as JSON, which is YAML, says what it said', () => {
  fc.assert(
    fc.property(definition, ({ title, fields, drift }) => {
      const written = JSON.stringify({
        title,
        drift,
        fields: Object.fromEntries(fields.map((f) => [f.name, { type: f.type, required: f.required }])),
      });
      const topic = parseTopic('t', written, 'x');
      const byName = (list: Topic['fields']) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
      assert.deepEqual(byName(topic.fields), byName(fields as Topic['fields']));
      assert.deepEqual([topic.title, topic.drift], [title, drift]);
    }),
  );
});

function checkTopic(topic: Topic): void {
  const lower = topic.fields.map((field) => field.name.toLowerCase());
  assert.equal(new Set(lower).size, lower.length);
  assert.ok(!lower.includes('data') && !lower.some((name) => name.startsWith('_') || name === ''));
  assert.ok(['evolve', 'freeze', 'discard'].includes(topic.drift));
  assert.ok(Number.isSafeInteger(topic.dedupeWindow) && topic.dedupeWindow >= 0);
}

function prototypes(): string[] {
  return [Object, Array, Map, String, Function].flatMap((kind) => Object.getOwnPropertyNames(kind.prototype));
}
