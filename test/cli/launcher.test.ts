import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/', import.meta.url));

/** Makes the process look like Node 20 to the launcher, whatever this test runs on. */
const pretendOld = `data:text/javascript,${encodeURIComponent("Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } });")}`;

/** bin/ in a folder of its own, with an entry that the test writes. */
function checkout(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bin-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(bin, join(folder, 'bin'), { recursive: true });
  for (const [path, content] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { mode: 0o755 });
  }
  return folder;
}

async function launch(folder: string, nodeArguments: string[], words: string[]) {
  const child = spawn(process.execPath, [...nodeArguments, join(folder, 'bin', 'millrace.js'), ...words], {
    cwd: folder,
    env: { ...process.env, UV_THREADPOOL_SIZE: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { stdout, stderr, code };
}

const tell =
  'console.log(JSON.stringify({ conditions: process.execArgv, words: process.argv.slice(2), packed: import.meta.url.includes("/dist/") })); process.exitCode = 3;';

describe('bin/millrace.js', { timeout: 60_000 }, () => {
  test('runs the source of a checkout with the condition that it needs, and hands on words and exit code', async (t) => {
    const folder = checkout(t, { 'src/cli/main.ts': tell, 'dist/cli/main.js': 'throw 1' });
    const { stdout, code } = await launch(folder, [], ['sql', 'SELECT 1']);
    assert.deepEqual(JSON.parse(stdout), { conditions: ['--conditions=source'], words: ['sql', 'SELECT 1'], packed: false });
    assert.equal(code, 3);
  });

  test('runs the packed program in its own process when its Node is new enough', async (t) => {
    const folder = checkout(t, { 'dist/cli/main.js': tell });
    const { stdout, code } = await launch(folder, [], ['up']);
    assert.deepEqual(JSON.parse(stdout), { conditions: [], words: ['up'], packed: true });
    assert.equal(code, 3);
  });

  test('gives the program as many threads for files, in its own process and in another', async (t) => {
    // Of libuv's pool, which begins with the first call that needs it.
    const counts = `const { lstat } = await import('node:fs/promises'); await lstat('/');
      const { readdirSync, readFileSync } = await import('node:fs');
      const names = readdirSync('/proc/self/task').map((id) => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim());
      console.log(names.filter((name) => name === 'libuv-worker').length);`;
    for (const path of ['src/cli/main.ts', 'dist/cli/main.js']) {
      assert.equal((await launch(checkout(t, { [path]: counts }), [], ['up'])).stdout, '8\n', path);
    }
  });

  test('finds the Node of the npm package beside it when its own is too old', async (t) => {
    const folder = checkout(t, {
      'dist/cli/main.js': tell,
      'node_modules/node/package.json': '{"name":"node"}',
      'node_modules/node/bin/node': `#!/bin/sh\nif [ "$1" = --version ]; then echo v24.1.0; else exec '${process.execPath}' "$@"; fi\n`,
    });
    const { stdout, code } = await launch(folder, ['--import', pretendOld], ['up']);
    assert.equal(JSON.parse(stdout).packed, true);
    assert.equal(code, 3);
  });

  test('says what is wrong and what to type when there is none, or one that does not run', async (t) => {
    const without = await launch(checkout(t, { 'dist/cli/main.js': tell }), ['--import', pretendOld], []);
    assert.deepEqual({ stdout: without.stdout, code: without.code }, { stdout: '', code: 1 });
    assert.match(without.stderr, /needs Node 24 or newer; this is Node 20\.0\.0/);
    assert.match(without.stderr, /npm install node@24/);
    const broken = checkout(t, {
      'src/cli/main.ts': tell,
      'node_modules/node/package.json': '{}',
      'node_modules/node/bin/node': 'no program',
    });
    const { stderr, code } = await launch(broken, ['--import', pretendOld], []);
    assert.equal(code, 1);
    assert.match(stderr, /Type one of these and start Millrace again:\n {2}npm install\n/);
  });

  test('passes signals on and ends as its child does', async (t) => {
    const folder = checkout(t, {
      'src/cli/main.ts': `process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); console.log('up');`,
    });
    const child = spawn(process.execPath, [join(folder, 'bin', 'millrace.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [9, null]);
  });

  test('leaves nothing running when it is killed outright', async (t) => {
    const server = createServer(() => {});
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const env = { ...process.env, MILLRACE_ADDRESS: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const child = spawn(process.execPath, [join(bin, 'millrace.js'), 'sql', 'SELECT 1'], { env, stdio: 'ignore' });
    const [request] = await once(server, 'request');
    child.kill('SIGKILL');
    await once(request.socket, 'close');
  });
});
