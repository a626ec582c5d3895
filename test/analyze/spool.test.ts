import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newSpools } from '../../src/analyze/spool.ts';
import { queryError } from '../../src/analyze/words.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-spool-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('a spooled result', () => {
  test('comes back whole, small or large, with its size in bytes, and leaves no file', async (t) => {
    const path = folder(t);
    for (const [piece, times] of [
      ['밀레🍚', 1],
      ['밀레🍚', 0],
      ['한글과 English, '.repeat(1000), 400],
    ] as const) {
      const spool = newSpools(path).begin();
      for (let k = 0; k < times; k++) {
        spool.text.write(piece);
        spool.settle();
      }
      const { bytes, body } = spool.stream();
      assert.equal(await text(body), piece.repeat(times));
      assert.equal(bytes, Buffer.byteLength(piece) * times);
      assert.deepEqual(readdirSync(path), []);
    }
  });

  test('leaves no file either when it is dropped, or when its reader goes away', async (t) => {
    const path = folder(t);
    const dropped = newSpools(path).begin();
    dropped.text.write('x'.repeat(3_000_000));
    dropped.settle();
    assert.equal(readdirSync(path).length, 1);
    dropped.drop();
    assert.deepEqual(readdirSync(path), []);
    const left = newSpools(path).begin();
    left.text.write('x'.repeat(3_000_000));
    left.stream().body.destroy();
    assert.deepEqual(readdirSync(path), []);
  });

  test('and all others together take no more of the disk than they may, until they are read, left or dropped', async (t) => {
    const path = folder(t);
    const spools = newSpools(path, 4_000_000);
    const large = () => {
      const spool = spools.begin();
      spool.text.write('x'.repeat(3_000_000));
      return spool;
    };
    const refused = { code: 'QUERY_ROOM' };
    const read = large().stream().body;
    const second = large();
    assert.throws(() => second.settle(), refused);
    // What stays in memory needs no room.
    const small = spools.begin();
    small.text.write('y');
    assert.equal(await text(small.stream().body), 'y');
    assert.equal((await text(read)).length, 3_000_000);
    second.settle();
    assert.throws(() => large().stream(), refused);
    second.drop();
    const closed = new Promise((resolve) => large().stream().body.once('close', resolve).destroy());
    await closed;
    large().stream();
  });

  test('of the engine’s own files counts while it grows, and whoever writes it hears when there is no more room', async (t) => {
    const path = folder(t);
    const spools = newSpools(path, 4_000_000);
    const full: string[] = [];
    const files = spools.files(({ code }) => full.push(code));
    const [first, second] = [join(path, 'a'), join(path, 'b')];
    files.follow(first);
    writeFileSync(first, Buffer.alloc(3_000_000));
    await sleep(100);
    const other = spools.begin();
    other.text.write('x'.repeat(2_000_000));
    assert.throws(() => other.settle(), { code: 'QUERY_ROOM' });
    assert.deepEqual(full, []);
    files.follow(second);
    writeFileSync(second, Buffer.alloc(2_000_000));
    await sleep(100);
    assert.deepEqual(full, ['QUERY_ROOM'], 'told once');
    writeFileSync(second, 'short');
    const { bytes, body } = files.stream(second);
    assert.deepEqual(readdirSync(path), []);
    other.settle();
    assert.equal(bytes, 5);
    assert.equal(await text(body), 'short');
    other.drop();

    const dropped = spools.files(() => {});
    dropped.follow(first);
    writeFileSync(first, Buffer.alloc(3_000_000));
    await sleep(100);
    dropped.drop();
    assert.deepEqual(readdirSync(path), []);
    const after = spools.begin();
    after.text.write('x'.repeat(3_900_000));
    after.settle();
  });
});

describe('the engine’s errors in the catalogue’s words', () => {
  const caret = (line: number, shown: string, column: number) =>
    `LINE ${line}: ${shown}\n${' '.repeat(`LINE ${line}: `.length + column - 1)}^`;

  test('have the place in the text that was sent', () => {
    const sql = 'SELECT a,\n  b\nFROM t';
    const error = queryError(new Error(`Binder Error: Referenced column "b" not found\n\n${caret(2, '  b', 3)}`), sql);
    assert.deepEqual([error.code, error.params['line'], error.params['column'], error.params['position']], ['SQL_FAILED', 2, 3, 12]);
    assert.equal(sql[error.params['position'] as number], 'b');
  });

  test('also where the engine cuts a long line', () => {
    const sql = `SELECT ${'x + '.repeat(60)}wrong FROM t`;
    const at = sql.indexOf('wrong');
    const shown = `...${sql.slice(at - 20, at + 10)}...`;
    const error = queryError(new Error(`Binder Error: no such column\n\n${caret(1, shown, 24)}`), sql);
    assert.equal(error.params['position'], at);
  });

  test('tell syntax, memory and parameters apart, and keep what helps', () => {
    assert.equal(queryError(new Error('Parser Error: syntax error at or near "x"'), 'x').code, 'SQL_SYNTAX');
    assert.equal(queryError(new Error('Out of Memory Error: failed to allocate'), 'x').code, 'QUERY_MEMORY');
    assert.equal(queryError(new Error('FATAL Error: Failed: database has been invalidated'), 'x').code, 'STORE_UNAVAILABLE');
    assert.equal(queryError(new Error('Invalid Input Error: FATAL Error: said a user'), 'x').code, 'SQL_FAILED');
    assert.equal(
      queryError(new Error('Invalid Input Error: Values were not provided for the following prepared statement parameters: 2'), 'x').code,
      'SQL_PARAMETERS',
    );
    // A name or a text that has the word in it says nothing of parameters.
    const column = queryError(
      new Error(
        `Binder Error: Referenced column "parameter" not found in FROM clause!\nCandidate bindings: "parameters"\n\n${caret(1, 'SELECT parameter FROM t', 8)}`,
      ),
      'SELECT parameter FROM t',
    );
    assert.deepEqual([column.code, column.params['position']], ['SQL_FAILED', 7]);
    assert.match(String(column.params['problem']), /Candidate bindings: "parameters"/);
    assert.equal(queryError(new Error('Invalid Input Error: a parameter, said a user'), 'x').code, 'SQL_FAILED');
    const hint = queryError(new Error('Catalog Error: Table with name ordres does not exist!\nDid you mean "orders"?'), 'x');
    assert.match(String(hint.params['problem']), /Did you mean "orders"\?/);
  });
});
