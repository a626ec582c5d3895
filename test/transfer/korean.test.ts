/** Text that is valid CP949: is it Korean, or Latin-1 that happens to be valid? */

import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { detectEncoding } from '../../src/transfer/csv/encoding.ts';
import { readText, withoutData } from '../learn/data.ts';

async function found(text: Uint8Array, piece = text.length): Promise<string> {
  async function* pieces() {
    for (let at = 0; at < text.length; at += piece) yield Buffer.from(text.subarray(at, at + piece));
  }
  return detectEncoding(pieces());
}

/** The 2,350 syllables of KS X 1001 as bytes: leads B0 to C8, every trail from A1. */
const usual = fc.tuple(fc.integer({ min: 0xb0, max: 0xc8 }), fc.integer({ min: 0xa1, max: 0xfe })).map((pair) => Buffer.from(pair));
/** 똠 펲 뷁 햏 믜 숖, by Python's codec. */
const rare = fc.constantFrom('8c63', 'bc84', '94ee', 'c164', '92de', '99f6').map((hex) => Buffer.from(hex, 'hex'));
const joined = (parts: readonly Uint8Array[], by: string) =>
  Buffer.concat(parts.flatMap((part, k) => (k === 0 ? [part] : [Buffer.from(by), part])));

const syllable = fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: rare });
const hangul = fc.array(syllable, { minLength: 2, maxLength: 6 }).map((all) => Buffer.concat(all));
const plain = fc.constantFrom('A', 'LG', '3', '12,5', 'x-y', '(kg)').map((text) => Buffer.from(text));
const korean = fc
  .tuple(
    fc.tuple(usual, usual, usual),
    fc.array(fc.oneof({ weight: 4, arbitrary: hangul }, plain, rare), { maxLength: 30 }),
    fc.integer({ min: 1, max: 99 }),
  )
  .map(([first, rest, piece]) => ({ text: joined([Buffer.from('name'), Buffer.concat(first), ...rest], ',\n'), piece }))
  // Short texts may be both.
  .filter(({ text }) => !isUtf8(text));

/** windows-1252 as bytes: ’ is 92, “ is 93. */
const latin = fc
  .array(
    fc.constantFrom(
      'Temp (°C)',
      'it\x92s',
      '\x93Hello',
      'm²',
      '30 µm',
      'AÇÃO',
      'OPÇÕES',
      '1ºC',
      '§a',
      'Größe',
      'créée',
      'caf\xe9',
      'x',
      '7.5',
      'a °F',
    ),
    {
      minLength: 1,
      maxLength: 30,
    },
  )
  .filter((words) => words.some((word) => /[^ -~]/.test(word)))
  .chain((words) =>
    fc.record({ text: fc.constant(Buffer.from(`name,${words.join(',\n')}\n`, 'latin1')), piece: fc.integer({ min: 1, max: 99 }) }),
  );

describe('by evidence', () => {
  test('Korean is Korean, with syllables that KS X 1001 lacks among the others, however the bytes come in', () =>
    fc.assert(fc.asyncProperty(korean, async ({ text, piece }) => assert.equal(await found(text, piece), 'euc-kr'))));

  test('Latin-1 is Latin-1, also where every byte of it would be CP949', () =>
    fc.assert(fc.asyncProperty(latin, async ({ text, piece }) => assert.equal(await found(text, piece), 'windows-1252'))));

  test('each of 6,000 real questions is Korean as a file of its own', { skip: withoutData }, async () => {
    // The bytes of each syllable as the web's decoder knows them; questions with others are left out.
    const bytes = new Map<string, Buffer>();
    const decoder = new TextDecoder('euc-kr');
    for (let lead = 0xb0; lead <= 0xc8; lead++)
      for (let trail = 0xa1; trail <= 0xfe; trail++) bytes.set(decoder.decode(Uint8Array.of(lead, trail)), Buffer.of(lead, trail));
    const questions = readText('korean-3i4k-intent/fci_test.txt.gz')
      .split(/\r?\n/)
      .map((line) => [...(line.split('\t')[1] ?? '')].map((each) => (each < '\u0080' ? Buffer.from(each) : bytes.get(each))))
      .filter((parts) => parts.every((part) => part !== undefined))
      .map((parts) => Buffer.concat(parts as Buffer[]))
      // A syllable or two may be valid UTF-8 as well.
      .filter((text) => !isUtf8(text));
    assert.ok(questions.length > 6000);
    const wrong: string[] = [];
    for (const text of questions)
      if ((await found(joined([Buffer.from('text'), text], '\n'))) !== 'euc-kr') wrong.push(text.toString('hex'));
    assert.deepEqual(wrong, []);
  });

  test('each of these alone decides its file', async () => {
    const cases: [string, string][] = [
      ['Temp (°C),n\n1,2\n', 'windows-1252'],
      ['name\nit\x92s\n', 'windows-1252'],
      ['name\nINFORMA\xc7\xd5ES\n', 'windows-1252'],
      // 온도(℃), 값 and 똠방각하
      ['\xbf\xc2\xb5\xb5(\xa1\xc9)\n1\n', 'euc-kr'],
      ['\xb0\xaa,n\n1,2\n', 'euc-kr'],
      ['name\n\x8cc\xb9\xe6\xb0\xa2\xc7\xcf\n', 'euc-kr'],
    ];
    for (const [text, encoding] of cases) assert.equal(await found(Buffer.from(text, 'latin1')), encoding, text);
  });
});
