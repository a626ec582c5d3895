import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MillraceError } from '#core';
import { parseBytes, residentBytes, residentTreeBytes } from '#run';

const skip = existsSync('/proc/self/statm') ? false : 'no /proc on this system';

describe('memory', () => {
  test('the resident size is what Node itself measures', { skip }, () => {
    const ours = residentBytes(process.pid)!;
    const nodes = process.memoryUsage.rss();
    assert.ok(Math.abs(ours - nodes) / nodes < 0.1, `${ours} against ${nodes}`);
  });

  test('a tree counts children and grandchildren', { skip }, async () => {
    const hold =
      'const held = Buffer.alloc(60e6, 1); process.stdout.write("x"); process.stdin.resume(); process.stdin.on("end", () => process.exit(held.length * 0));';
    const middle = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(hold)}], {stdio: 'inherit'}); process.stdin.resume();`;
    const child = spawn(process.execPath, ['-e', middle], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const alone = residentBytes(child.pid!)!;
      const tree = residentTreeBytes(child.pid!)!;
      assert.ok(tree - alone > 60e6, `the tree has ${tree}, its root alone ${alone}`);
      assert.ok(residentTreeBytes(process.pid)! > tree);
    } finally {
      child.stdin.end();
      await once(child, 'exit');
    }
  });

  test('a process that is gone, or a system without /proc, has no size', () => {
    assert.equal(residentBytes(2 ** 22 + 1), null);
    assert.equal(residentTreeBytes(process.pid, '/nowhere'), null);
  });

  test('a command name with parentheses and spaces does not hide the parent', (t) => {
    const proc = mkdtempSync(join(tmpdir(), 'millrace-proc-'));
    t.after(() => rmSync(proc, { recursive: true, force: true }));
    const kernel = {
      '10/statm': '9 5 1',
      '10/stat': '10 (a) S 1 0',
      '11/statm': '9 7 1',
      '11/stat': '11 (b) S (3 x) S 10 0',
      'self/x': '',
    };
    for (const [path, text] of Object.entries(kernel)) {
      mkdirSync(join(proc, path, '..'), { recursive: true });
      writeFileSync(join(proc, path), text);
    }
    assert.equal(residentTreeBytes(10, proc)! / residentBytes(10, proc)!, 12 / 5);
  });

  test('sizes are read as people write them', () => {
    assert.equal(parseBytes('1GB'), 1e9);
    assert.equal(parseBytes('512 MB'), 512e6);
    assert.equal(parseBytes('1.5GiB'), 1.5 * 2 ** 30);
    assert.equal(parseBytes('64k'), 64_000);
    assert.equal(parseBytes('1000'), 1000);
    for (const text of ['', 'GB', '-1GB', '1XB', '1 2GB']) {
      assert.throws(
        () => parseBytes(text),
        (error) => error instanceof MillraceError && error.code === 'OPTION_VALUE',
        text,
      );
    }
  });
});
