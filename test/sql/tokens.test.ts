import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { tokens } from '#sql';
import { openDuckdb } from './duckdb.ts';

let duckdb: Awaited<ReturnType<typeof openDuckdb>>;
before(async () => {
  duckdb = await openDuckdb();
});
after(() => duckdb.close());

const kinds = (sql: string): string[] =>
  tokens(sql)
    .filter(({ kind }) => kind !== 'space')
    .map(({ kind, text }) => `${kind} ${text}`);

test('the tokens of any text, one after another, are the text', () => {
  const soup = fc.array(
    fc.oneof(
      fc.constantFrom("'", '"', '$', '$$', '$a$', '--', '/*', '*/', '\n', 'e', 'E', 'U&', '\\', '1.', '.5', '?', ':', ':='),
      fc.string({ unit: 'binary' }),
    ),
  );
  fc.assert(
    fc.property(soup, (parts) => {
      const text = parts.join('');
      const found = tokens(text);
      assert.equal(found.map((token) => token.text).join(''), text);
      let end = 0;
      for (const token of found) {
        assert.equal(token.start, end);
        assert.equal(token.text, text.slice(token.start, token.end));
        assert.ok(token.end > token.start);
        end = token.end;
      }
    }),
    { numRuns: 1000 },
  );
});

test('quotes, comments, numbers, parameters and operators are told apart', () => {
  assert.deepEqual(kinds(`SELECT 'it''s', E'a\\'b', $$x;$$, $t$ $$ $t$ -- c`), [
    'word SELECT',
    "string 'it''s'",
    'punctuation ,',
    "string E'a\\'b'",
    'punctuation ,',
    'string $$x;$$',
    'punctuation ,',
    'string $t$ $$ $t$',
    'comment -- c',
  ]);
  assert.deepEqual(kinds('a/* /* x */ y */b"c""d"'), ['word a', 'comment /* /* x */ y */', 'word b', 'quoted "c""d"']);
  assert.deepEqual(kinds('1_000.5e-3 .5 1. $1 $name ? a$b'), [
    'number 1_000.5e-3',
    'number .5',
    'number 1.',
    'parameter $1',
    'parameter $name',
    'parameter ?',
    'word a$b',
  ]);
  assert.deepEqual(kinds('a=-1 b->>c d::e f:=g x@-y 3*--z'), [
    'word a',
    'operator =',
    'operator -',
    'number 1',
    'word b',
    'operator ->>',
    'word c',
    'word d',
    'punctuation ::',
    'word e',
    'word f',
    'punctuation :=',
    'word g',
    'word x',
    'operator @-',
    'word y',
    'number 3',
    'operator *',
    'comment --z',
  ]);
  assert.deepEqual(kinds("SELECT 'open"), ['word SELECT', "invalid 'open"]);
  assert.deepEqual(kinds('SELECT /* /* */ 1'), ['word SELECT', 'invalid /* /* */ 1']);
});

test('whatever a literal holds, it is one token, as it is one value to DuckDB', async () => {
  const inner = fc
    .array(fc.constantFrom("'", '"', '$', '$$', '--', '/*', '*/', '\n', ';', '\\', 'x', '(', ' ', 'é'), { maxLength: 8 })
    .map((p) => p.join(''));
  const literal = fc.oneof(
    inner.map((s) => [`'${s.replaceAll("'", "''")}'`, s] as const),
    inner.map((s) => [`E'${s.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`, s] as const),
    inner.filter((s) => !s.includes('$')).map((s) => [`$$${s}$$`, s] as const),
    inner.filter((s) => !s.includes('$q$') && !s.endsWith('$')).map((s) => [`$q$${s}$q$`, s] as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(literal, { minLength: 1, maxLength: 4 }), async (literals) => {
      const sql = `SELECT ${literals.map(([text]) => text).join(' , ')}`;
      assert.deepEqual(
        tokens(sql)
          .filter(({ kind }) => kind === 'string')
          .map(({ text }) => text),
        literals.map(([text]) => text),
      );
      const reader = await duckdb.connection.runAndReadAll(sql);
      assert.deepEqual(
        reader.getRows()[0],
        literals.map(([, value]) => value),
      );
    }),
    { numRuns: 200 },
  );
});

// Every space and format character; of the others one in 97.
test('what separates words for DuckDB separates them here, and nothing else beyond ASCII does', async () => {
  for (let code = 0x80; code <= 0xffff; code++) {
    const char = String.fromCharCode(code);
    if (!/[\s\p{Z}\p{Cf}]/u.test(char) && (code % 97 > 0 || !char.isWellFormed())) continue;
    const answer = JSON.parse(await duckdb.serialize(`SELECT${char}1`)) as { error: boolean };
    assert.equal(tokens(`SELECT${char}1`).length === 3, !answer.error, `U+${code.toString(16)}`);
  }
});
