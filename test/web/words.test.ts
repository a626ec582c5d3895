import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue, type ErrorEntry } from '#core';
import { charts } from '#visualize';
import { answers } from '../../src/analyze/answers/index.ts';
import { answersKo } from '../../web/words/answers-ko.ts';
import { phrased } from '../../web/words/book.ts';
import { en } from '../../web/words/en.ts';
import { errorsKo } from '../../web/words/errors-ko.ts';
import { factsKo, factValuesKo } from '../../web/words/facts-ko.ts';
import { ko } from '../../web/words/ko.ts';
import { optionNamesKo, optionsKo } from '../../web/words/options-ko.ts';
import { reasonsKo } from '../../web/words/reasons-ko.ts';
import { remediesKo } from '../../web/words/remedies-ko.ts';
import { reportKo } from '../../web/words/report-ko.ts';
import { root } from './server.ts';

const braces = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test('both languages have the same words with the same things to fill in, and none is empty', () => {
  assert.deepEqual(Object.keys(ko).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    const other = ko[key as keyof typeof ko];
    assert.ok(text.trim() !== '' && other.trim() !== '', key);
    assert.deepEqual(braces(other), braces(text), key);
  }
});

test('no word calls out', () => {
  for (const text of [...Object.values(en), ...Object.values(ko)]) assert.doesNotMatch(text, /[!！]/);
});

test('Korean is written in Korean, but for names and abbreviations', () => {
  const same = new Set(['CSV', 'SQL']);
  for (const [key, text] of Object.entries(ko)) assert.ok(/[가-힣]/.test(text) || same.has(text), `${key}: ${text}`);
});

test('every kind of chart has a name in both', () => {
  for (const { name } of charts) assert.ok(`chart_${name}` in en, name);
});

/** The console's own files, without the words themselves. */
function pages(): { name: string; text: string }[] {
  const folder = join(root, 'web');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !/^(dist|words[\\/](en|ko))/.test(name))
    .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

test('what went wrong is said in the reader’s language: no page shows the server’s own sentence', () => {
  const shown = pages().flatMap(({ name, text }) =>
    [...text.matchAll(/\b(?:body|error)[!?]*\.message\b/g)].map(([match]) => `${name}: ${match}`),
  );
  // An Error that is thrown has a message like any other.
  assert.deepEqual(shown, ['api.ts: body.message']);
});

test('every word is used', () => {
  const text = pages()
    .map((each) => each.text)
    .join('\n');
  // `origin_${…}` and the like use all words with that beginning.
  const begins = [...text.matchAll(/`([a-z_]+_)\$\{/g)].map((match) => match[1]!);
  const unused = Object.keys(en).filter((key) => !text.includes(`'${key}'`) && !begins.some((begin) => key.startsWith(begin)));
  assert.deepEqual(unused, []);
});

/** No route answers these: they end a command, a start, or one record (whose reason stands in quarantine as it was written). */
const elsewhere = /^(RECORD|SIMULATE|EXPORT|DEMO|WORKSPACE|PORT|HOST_UNSAFE|NOT_RUNNING|OPTION)(_|$)/;

test('every error that a route may answer has Korean words, with values that the error has', () => {
  for (const [code, { what }] of Object.entries(catalogue) as [string, ErrorEntry][]) {
    if (elsewhere.test(code)) continue;
    const words = errorsKo[code];
    assert.ok(/[가-힣]/.test(remediesKo[code] ?? ''), `${code} does not say in Korean what to do`);
    assert.ok(words !== undefined, `${code} has no Korean words`);
    // A definition's problem is all that there is to say, at its file and line.
    assert.ok(code === 'DEFINITION_INVALID' || /[가-힣]/.test(words), code);
    const asked = new Set<string>();
    const get = (_target: object, key: string | symbol) => {
      asked.add(String(key));
      return 'x';
    };
    const watched = new Proxy({}, { get });
    what(watched);
    const filled = [...words.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    for (const name of filled) assert.ok(asked.has(name), `${code}: {${name}} is no value of this error`);
  }
  for (const code of [...Object.keys(errorsKo), ...Object.keys(remediesKo)]) assert.ok(code in catalogue, `${code} is no error`);
});

test('every answer has a title and a summary in Korean, and nothing else has', () => {
  assert.deepEqual(Object.keys(answersKo).sort(), answers.map(({ name }) => name).sort());
  for (const { title, summary } of Object.values(answersKo)) assert.ok(/[가-힣]/.test(title) && /[가-힣]/.test(summary), title);
});

test('every option of an answer is called and described in Korean, and nothing else is', () => {
  for (const words of [optionsKo, optionNamesKo]) {
    const used = new Set<string>();
    for (const { name: answer, options } of answers) {
      for (const { name } of options) {
        const key = [`${answer}.${name}`, name].find((each) => each in words);
        assert.ok(key !== undefined && /[가-힣]/.test(words[key]!), `${answer}.${name}`);
        used.add(key);
      }
    }
    assert.deepEqual(
      Object.keys(words).filter((key) => !used.has(key)),
      [],
    );
  }
});

test('whatever a record is refused for is said in Korean', () => {
  for (const [code, { what }] of Object.entries(catalogue) as [string, ErrorEntry][]) {
    if (!code.startsWith('RECORD_')) continue;
    // Of the id one of the problems that it is refused for: others are said in English.
    const said = what(new Proxy({}, { get: (_all, key) => (code === 'RECORD_ID' && key === 'problem' ? 'is empty' : 'x') }));
    assert.match(phrased(said, reasonsKo), /[가-힣]/, said);
  }
  for (const [english, korean] of reasonsKo) assert.deepEqual(braces(korean), braces(english), english);
});

test('every sentence of a model’s report is said in Korean, and no phrase is left over', () => {
  const folder = join(root, 'src', 'learn');
  const source = ['auto/warnings.ts', 'auto/arrival.ts', 'auto/split.ts', 'auto/judge.ts', 'read.ts']
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  const filled = (text: string) => text.replace(/\$\{how\}/g, 'alike').replace(/\$\{[^}]*\}/g, 'x');
  const warnings = [...source.matchAll(/text:\s*(?:`([^`]+)`|'([^']+)')|const text =\s*(?:`([^`]+)`|'([^']+)');/g)]
    .map(([, ...found]) => filled(found.find((each) => each !== undefined)!))
    // Put together from parts, below.
    .filter((text) => !/^("x" is not learned from: x|x: it is not known|"x" alone x)/.test(text));
  const told = [...source.matchAll(/tell\(\w+, `([^`]+)`\)/g)].map(([, text]) => filled(text!));
  const splits = [...source.matchAll(/why: (?:`([^`]+)`|'([^']+)')/g)].map(([, a, b]) => filled((a ?? b)!));
  const whys = splits.filter((text) => /^(rows look|as asked|"x" repeats)/.test(text));
  // Of columns that are left out: those without a role in learning.
  const dropped = [...source.matchAll(/role: '(?:id|constant|empty)', why: '([^']+)'/g)].map(
    ([, why]) => `"x" is not learned from: ${why}.`,
  );
  for (const [, a, b] of source.matchAll(/why\.set\([^,]+, (?:`([^`]+)`|'([^']+)')\)/g))
    dropped.push(`"x" is not learned from: ${filled((a ?? b)!)}.`);
  const leaks = [...source.matchAll(/\? `(tells [^`]+)`|: `(tells [^`]+)`/g)].map(
    ([, a, b]) => `"x" alone ${filled((a ?? b)!)}. If it is only known after the answer, leave it out (ignore) and train again.`,
  );
  const late = ['holds times', 'was written'].map((what) => `"x" ${what} after "x" in x of its rows`);
  const lateText = [...late, '"x" is only filled where "x" is, which came too late'].map(
    (text) => `${text}: it is not known when the answer is needed. Leave it out (ignore) and train again.`,
  );
  const time =
    'neighbouring rows have similar answers (autocorrelation x) along "x", so a random split would let the model look into the future';
  const all = [...warnings, ...told, ...whys, ...dropped, ...leaks, ...lateText, time];
  assert.ok(all.length > 22, all.join('\n'));
  assert.deepEqual(
    all.filter((text) => phrased(text, reportKo) === text),
    [],
  );
  for (const [english, korean] of reportKo) {
    assert.deepEqual(braces(korean), braces(english), english);
    for (const word of english.replace(/\{\w+\}/g, ' ').match(/[\w’]{4,}/g) ?? [])
      assert.ok(source.includes(word), `no report says “${word}”: ${english}`);
  }
});

test('every fact of an answer’s evidence is said in Korean, and no phrase is left over', () => {
  const folder = join(root, 'src', 'analyze', 'answers');
  const source = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  // As they stand in the statements: SELECT 6, 'events of the step ' || …, and the reasons that a row is set aside for.
  const facts = [...source.matchAll(/SELECT \d(?: AS ord)?, '((?:[^'\\]|\\')+?)'( \|\|)?/g)].map(
    ([, text, more]) => `${text}${more ? 'x' : ''}`,
  );
  const reasons = [...source.matchAll(/THEN '(no [a-z]+|bot|staff)'|\baside\('([^']+)'/g)].map(
    (match) => `set aside: ${match[1] ?? match[2]}`,
  );
  const caveats = [...source.matchAll(/'(caveat: [^'$]+)'/g)].map(([, text]) => text!.replace(/ $/, ' x'));
  const all = [...facts, ...reasons, ...caveats]
    .map((text) => text.replace(/rows in the \$\{what\}/, 'rows in the period').replace(/\$\{[^}]*\}/g, 'x'))
    .filter((text) => !/^(x|x of the x|set aside: x|set aside: refunded more than its amount|caveat: |set aside: )$/.test(text));
  assert.ok(all.length > 60, `${all.length} facts`);
  assert.deepEqual(
    [...new Set(all)].filter((text) => phrased(text, factsKo) === text),
    [],
  );
  for (const [english, korean] of [...factsKo, ...factValuesKo]) {
    assert.deepEqual(braces(korean), braces(english), english);
    assert.ok(/[가-힣]/.test(korean) || english.startsWith('{width}'), english);
    // Its parts may come from several places of a statement.
    for (const word of english.replace(/\{\w+\}/g, ' ').match(/[\w’]{4,}/g) ?? [])
      assert.ok(source.includes(word), `no answer says “${word}”: ${english}`);
  }
});

test('a phrase fits as a whole, and what stands in it stays', () => {
  assert.equal(phrased('98.2 % (55 of 56)', factValuesKo), '98.2 % (56건 가운데 55건)');
  assert.equal(phrased('events of the step a {step} of (b)', factsKo), '단계 a {step} of (b)의 이벤트');
  assert.equal(phrased('events used today', factsKo), 'events used today');
});
