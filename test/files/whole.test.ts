import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { codeOf, removeFile, replaceFile, stateFrom } from '#files';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-files-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('a file is replaced as a whole, with its rights, and its state is the one that it has in its place', (t) => {
  const path = join(folder(t), 'new', 'a.txt');
  const first = replaceFile(path, 'one', 0o600);
  assert.equal(stateFrom(statSync(path, { bigint: true })), first);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = replaceFile(path, '둘');
  assert.notEqual(second, first);
  assert.equal(stateFrom(statSync(path, { bigint: true })), second);
  assert.equal(readFileSync(path, 'utf8'), '둘');
  assert.deepEqual(readdirSync(join(path, '..')), ['a.txt']);
});

test('a replacement that fails leaves what was there, nothing beside it, and says the system’s code', (t) => {
  const path = folder(t);
  mkdirSync(join(path, 'taken'));
  writeFileSync(join(path, 'taken', 'inside'), 'x');
  assert.throws(
    () => replaceFile(join(path, 'taken'), 'text'),
    (error) => ['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(codeOf(error)),
  );
  assert.deepEqual([readdirSync(path), readdirSync(join(path, 'taken'))], [['taken'], ['inside']]);
});

test('a removed file is gone, and one that was never there is no error', (t) => {
  const path = join(folder(t), 'a.txt');
  replaceFile(path, 'x');
  removeFile(path);
  removeFile(path);
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('a defect has no code and is thrown on', () => {
  assert.throws(() => codeOf(new TypeError('a defect')), { message: 'a defect' });
});
