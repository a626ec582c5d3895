import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import { DuckDBInstance, listValue } from '@duckdb/node-api';
import fc from 'fast-check';
import { Kind, keysOf, newScan, type Scan, scanObject } from '../../src/collect/scan.ts';
import { jsonText, numberText, objectText, stringText } from './json.ts';

const DEPTH = 64;
const none = keysOf([]);

function scanned(bytes: Buffer, names: readonly string[] = [], depth = DEPTH): Scan {
  const scan = newScan();
  scanObject(scan, bytes, 0, bytes.length, names.length === 0 ? none : keysOf(names), depth);
  // What follows the object is the caller's to judge; here the object has to be the whole.
  if (scan.code === '' && /[^ \t\r\n]/.test(bytes.subarray(scan.end).toString())) scan.code = 'BODY_JSON';
  return scan;
}

const codeOf = (text: string, depth = DEPTH) => scanned(Buffer.from(text), [], depth).code;

/** JSON.parse's word on the bytes: the value, or undefined. */
function parsed(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** Does the value have what JSON.parse lets pass and the warehouse does not? */
function hasLoneSurrogateOrNul(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed() || value.includes('\0');
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => hasLoneSurrogateOrNul(key) || hasLoneSurrogateOrNul(item));
}

describe('the scanner', () => {
  test('takes every object in every spelling that RFC 8259 allows', () => {
    fc.assert(
      fc.property(objectText(jsonText()), (text) => {
        JSON.parse(text);
        const bytes = Buffer.from(text);
        const scan = scanned(bytes);
        assert.equal(scan.code, '', `${scan.problem} at ${scan.errorAt}`);
        assert.equal(scan.breaks, /[\n\r\t]/.test(text));
      }),
      { numRuns: 1500 },
    );
  });

  test('finds the value of every known field where JSON.parse finds it, and says what kind it is', () => {
    fc.assert(
      fc.property(objectText(jsonText(2)), (text) => {
        const value = JSON.parse(text) as Record<string, unknown>;
        const names = Object.keys(value);
        const bytes = Buffer.from(text);
        const scan = scanned(bytes, [...names, 'never there']);
        assert.equal(scan.unknown, false);
        for (const [place, name] of names.entries()) {
          const span = bytes.toString('utf8', scan.from[place], scan.to[place]);
          const kind = scan.kind[place]!;
          const isText = kind === Kind.string || kind === Kind.escaped;
          assert.deepEqual(JSON.parse(isText ? `"${span}"` : span), value[name]);
          assert.equal(isText, typeof value[name] === 'string');
          assert.equal(kind === Kind.escaped, isText && span.includes('\\'));
          assert.equal(kind === Kind.integer || kind === Kind.fraction, typeof value[name] === 'number');
          if (typeof value[name] === 'number') assert.equal(kind === Kind.fraction, /[.eE]/.test(span));
          assert.equal(kind === Kind.null, value[name] === null);
          assert.equal(kind === Kind.array, Array.isArray(value[name]));
        }
        assert.equal(scan.kind[names.length], Kind.absent);
      }),
      { numRuns: 800 },
    );
  });

  test('marks as long every number with a fraction whose digits a double does not keep, nested ones too', () => {
    fc.assert(
      fc.property(numberText, fc.boolean(), (number, nested) => {
        const bytes = Buffer.from(nested ? `{"n":[{"x":${number}}]}` : `{"n":${number}}`);
        const mark = scanned(bytes, ['n']).long[0] === 1;
        // Significant digits as text against what a double gives back.
        const significant = (text: string) => /^-?([\d.]*)/.exec(text)![1]!.replace('.', '').replace(/^0+/, '').replace(/0+$/, '');
        const kept = significant(number) === significant(Number(number).toExponential()) || Number(number) === 0;
        if (/[.eE]/.test(number) && Number.isFinite(Number(number)) && !kept) assert.equal(mark, true, number);
        if (!/[.eE]/.test(number)) assert.equal(mark, false, number);
      }),
      { numRuns: 1500 },
    );
  });

  test('judges damaged bytes as JSON.parse does, and refuses beyond it only for the documented reasons', () => {
    const damage = fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom('set', 'drop', 'insert'),
        fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Buffer.from('{}[]",:\\/u0dbe-+.\n'), 0)),
      ),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    let refused = 0;
    fc.assert(
      fc.property(objectText(jsonText(2)), damage, (text, changes) => {
        const list = [...Buffer.from(text)];
        for (const [at, how, byte] of changes) {
          const k = at % (list.length + 1);
          if (how === 'set' && k < list.length) list[k] = byte;
          else if (how === 'drop') list.splice(k, 1);
          else list.splice(k, 0, byte);
        }
        const bytes = Buffer.from(list);
        const value = parsed(bytes);
        const { code } = scanned(bytes);
        if (code !== '') refused++;
        if (value === undefined) return assert.ok(code !== '' || !isUtf8(bytes), `taken: ${bytes}`);
        const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
        if (code === 'RECORD_NOT_OBJECT') return assert.ok(!isObject || /^\s/.test(bytes.toString()), `${bytes}`);
        if (code === 'RECORD_DUPLICATE_KEY') return assert.ok(countKeys(bytes.toString()) > countOwn(value), `${bytes}`);
        if (code === 'RECORD_SURROGATE' || code === 'RECORD_NUL')
          return assert.ok(hasLoneSurrogateOrNul(value) || countKeys(bytes.toString()) > countOwn(value), `${bytes}`);
        assert.equal(code, '', `refused: ${bytes}`);
        assert.equal(hasLoneSurrogateOrNul(value), false, `taken: ${bytes}`);
        assert.equal(countKeys(bytes.toString()), countOwn(value), `a key stands twice: ${bytes}`);
      }),
      { numRuns: 4000 },
    );
    assert.ok(refused > 500, `only ${refused} were damaged enough`);
  });

  test('takes nothing that the warehouse can not read', async () => {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    const taken: string[] = [];
    const collect = (text: string) => {
      if (codeOf(text) === '') taken.push(text);
    };
    fc.assert(fc.property(objectText(jsonText()), collect), { numRuns: 600 });
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => collect(`{"a":${JSON.stringify(text)}}`)),
      { numRuns: 300 },
    );
    const reader = await connection.runAndReadAll(
      'SELECT count(*) FILTER (json_valid(j)) AS valid, count(json_keys(j)) AS keys, count(*) AS n FROM (SELECT unnest($1::VARCHAR[]) AS j)',
      [listValue(taken)],
    );
    const [row] = reader.getRowObjectsJson();
    connection.closeSync();
    instance.closeSync();
    assert.deepEqual(row, { valid: String(taken.length), keys: String(taken.length), n: String(taken.length) });
    assert.ok(taken.length > 600);
  });

  for (const [what, text] of [
    ['plain', '{"a":1,"b":2,"a":3}'],
    ['spelled with an escape', '{"a":1,"\\u0061":2}'],
    ['spelled with an escape first', '{"\\u0061":1,"a":2}'],
    ['in a nested object', '{"o":{"k":1,"k":2}}'],
    ['in an object of an array', '{"o":[1,{"k":1,"k":2}]}'],
    ['after a nested object that has it too', '{"k":{"k":1},"x":{"k":1},"k":2}'],
    ['in Korean', '{"한":1,"\\ud55c":2}'],
    ['beyond the 48th', `{${Array.from({ length: 60 }, (_, k) => `"k${k}":1`).join()},"k3":2}`],
    ['beyond the 48th, spelled with an escape', `{${Array.from({ length: 60 }, (_, k) => `"k${k}":1`).join()},"\\u006b59":2}`],
    ['nested beyond the 48th', `{"o":{${Array.from({ length: 60 }, (_, k) => `"k${k}":1`).join()},"k59":2}}`],
    ['__proto__', '{"__proto__":1,"__proto__":2}'],
  ] as const) {
    test(`refuses a key that stands twice: ${what}`, () => {
      assert.equal(codeOf(text), 'RECORD_DUPLICATE_KEY');
    });
  }

  test('refuses a known key that stands twice, in either spelling', () => {
    for (const text of ['{"id":1,"id":2}', '{"id":1,"x":0,"\\u0069d":2}', '{"\\u0069d":1,"id":2}']) {
      assert.equal(scanned(Buffer.from(text), ['id', 'x']).code, 'RECORD_DUPLICATE_KEY', text);
    }
  });

  test('takes the same key in different objects, siblings after large ones too', () => {
    const large = `{${Array.from({ length: 100 }, (_, k) => `"k${k}":1`).join()}}`;
    assert.equal(codeOf(`{"a":${large},"b":${large},"c":{"k1":1},"k1":{"a":1}}`), '');
  });

  test('takes time in proportion to the keys of an object, and of its nested objects', () => {
    const cost = (keys: number) => {
      const bytes = Buffer.from(`{"o":{${Array.from({ length: keys }, (_, k) => `"key${k}":1`).join()}}}`);
      const before = process.cpuUsage();
      assert.equal(scanned(bytes).code, '');
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    cost(20_000);
    const small = cost(20_000);
    const large = cost(100_000);
    // Quadratic time would be 25 times as much (and a hundred times that without the set).
    assert.ok(large < 15 * Math.max(small, 3000), `${large} µs of CPU against ${small} µs`);
  });

  test('counts depth from the record, and refuses the first level beyond the limit however deep the rest is', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
    assert.equal(codeOf(nested(DEPTH)), '');
    assert.equal(codeOf(nested(DEPTH + 1)), 'RECORD_TOO_DEEP');
    assert.equal(codeOf(`{"a":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`), 'RECORD_TOO_DEEP');
    assert.equal(codeOf('['.repeat(10_000)), 'RECORD_NOT_OBJECT');
  });

  for (const [text, code] of [
    ['{"a":"\\ud800"}', 'RECORD_SURROGATE'],
    ['{"a":"\\udc00"}', 'RECORD_SURROGATE'],
    ['{"a":"\\ud800\\ud800"}', 'RECORD_SURROGATE'],
    ['{"a":"\\ud83dx"}', 'RECORD_SURROGATE'],
    ['{"\\udfff":1}', 'RECORD_SURROGATE'],
    ['{"a":"\\u0000"}', 'RECORD_NUL'],
    ['{"a":"\0"}', 'RECORD_JSON'],
    ['{"a":"\t"}', 'RECORD_JSON'],
    ['{"a":1,}', 'RECORD_JSON'],
    ['{"a":01}', 'RECORD_JSON'],
    ['{"a":+1}', 'RECORD_JSON'],
    ['{"a":.5}', 'RECORD_JSON'],
    ['{"a":5.}', 'RECORD_JSON'],
    ['{"a":1e}', 'RECORD_JSON'],
    ['{"a":NaN}', 'RECORD_JSON'],
    ['{"a":-Infinity}', 'RECORD_JSON'],
    ["{'a':1}", 'RECORD_JSON'],
    ['{a:1}', 'RECORD_JSON'],
    ['{"a":tru}', 'RECORD_JSON'],
    ['{"a":1 /* no */}', 'RECORD_JSON'],
    ['{"a":"\\x41"}', 'RECORD_JSON'],
    ['{"a":"\\u12"}', 'RECORD_JSON'],
    ['{"a"', 'RECORD_JSON'],
    ['{', 'RECORD_JSON'],
    ['', 'RECORD_NOT_OBJECT'],
    ['[1]', 'RECORD_NOT_OBJECT'],
    ['"a"', 'RECORD_NOT_OBJECT'],
    ['null', 'RECORD_NOT_OBJECT'],
  ] as const) {
    test(`answers ${JSON.stringify(text)} with ${code}`, () => assert.equal(codeOf(text), code));
  }

  test('reads no byte behind the end that it is given', () => {
    fc.assert(
      fc.property(fc.oneof(stringText, numberText, jsonText(1)), fc.nat(), (value, cut) => {
        const whole = Buffer.from(`{"key":${value}}`);
        const end = cut % whole.length;
        const scan = newScan();
        scanObject(scan, whole, 0, end, none, DEPTH);
        assert.notEqual(scan.code, '', `${whole.subarray(0, end)}`);
      }),
      { numRuns: 1000 },
    );
  });
});

/** Keys that stand in the text: strings that a colon follows, found by a reviver-free walk of its tokens. */
function countKeys(text: string): number {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:)?/gs)].filter((match) => match[1] !== undefined).length;
}

function countOwn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items = Object.values(value);
  return (Array.isArray(value) ? 0 : items.length) + items.reduce<number>((sum, item) => sum + countOwn(item), 0);
}
