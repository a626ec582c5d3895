import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs test files as scripts/check.js does, with time limits of seconds. */
function runTests(t: TestContext, files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tests-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const paths = Object.entries(files).map(([name, body]) => {
    writeFileSync(join(folder, name), `import { test } from 'node:test'; import assert from 'node:assert/strict';\n${body}`);
    // As check names them: from the working directory.
    return relative(root, join(folder, name));
  });
  const { NODE_TEST_CONTEXT: _ours, ...env } = process.env;
  const counts = join(folder, 'counts.json');
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      '--import=./scripts/watchdog.js',
      '--test',
      '--test-timeout=500',
      '--test-reporter=./scripts/reporter.js',
      '--test-reporter-destination=stdout',
      ...paths,
    ],
    { cwd: root, encoding: 'utf8', env: { ...env, MILLRACE_COUNTS: counts, MILLRACE_TEST_SECONDS: '2' } },
  );
  return { stdout, status, counts: JSON.parse(readFileSync(counts, 'utf8')) as Record<string, number> };
}

describe('what check prints of the tests', { timeout: 60_000 }, () => {
  test('counts what passed, failed, was skipped and is to do, and explains a failure by its difference', (t) => {
    const { stdout, status, counts } = runTests(t, {
      'a.test.ts': `test('good', () => {}); test('bad', () => assert.deepEqual([1], [2])); test('no data', { skip: 'none' }, () => {});`,
      'b.test.ts': `test('later', { todo: true }, () => { throw new Error('not yet'); }); test('good too', () => {});`,
    });
    assert.equal(status, 1);
    assert.deepEqual([counts['passed'], counts['failed'], counts['skipped'], counts['todo']], [2, 1, 1, 1]);
    assert.match(stdout, /✗ bad\n.*a\.test\.ts:2\n[\s\S]*\+ {3}1\n *- {3}2/);
    assert.match(stdout, /✓ .*b\.test\.ts {2}1 passed/);
    assert.doesNotMatch(stdout, /✗ later/);
  });

  test('a file that can not be loaded or ends badly is a failure, with what it wrote', (t) => {
    const { stdout, counts } = runTests(t, {
      'a.test.ts': `import './nothing.ts';`,
      'b.test.ts': `test('good', () => {}); console.log('the reason'); process.exitCode = 5;`,
    });
    assert.deepEqual([counts['passed'], counts['failed']], [1, 2]);
    assert.match(stdout, /a\.test\.ts wrote:\n[\s\S]*Cannot find module/);
    assert.match(stdout, /b\.test\.ts wrote:\n *the reason\n *\(exit code 5/);
  });

  test('a file that does not end is ended, and says what keeps it', (t) => {
    const { stdout, status } = runTests(t, { 'a.test.ts': `test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));` });
    assert.equal(status, 1);
    assert.match(stdout, /✗ hangs[\s\S]*timed out/);
    assert.match(stdout, /Not ended after 2 s; open: .*Timeout/);
  });
});

describe('the report of a bench', () => {
  const figures = {
    rate: { value: 71_234.5, unit: 'records/s', title: 'durable single records' },
    ratio: { value: 0.65, title: 'of the bare server' },
  };
  const report = (words: string[], goals: unknown[]) => {
    const body = `import { report } from './bench/report.ts'; report({ bench: 'intake', figures: ${JSON.stringify(figures)}, goals: ${JSON.stringify(goals)} });`;
    return spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', body, '--', ...words], { cwd: root, encoding: 'utf8' });
  };

  test('says machine, figures and goals, and fails when one is not met or not measured', () => {
    const { stdout, status } = report(
      [],
      [
        { figure: 'rate', at: 'least', value: 50_000 },
        { figure: 'ratio', at: 'least', value: 0.7 },
      ],
    );
    assert.equal(status, 1);
    assert.match(stdout, /cores, \d+ GB memory; Node 24\.\d+\.\d+, DuckDB \d/);
    assert.match(stdout, /durable single records {2}71,235 records\/s {2}✓ ≥ 50000/);
    assert.match(stdout, /of the bare server +0\.65 {2}✗ NOT MET: ≥ 0\.7/);
    assert.equal(report([], [{ figure: 'absent', at: 'most', value: 1 }]).status, 1);
    assert.equal(report([], [{ figure: 'ratio', at: 'most', value: 1 }]).status, 0);
  });

  test('ends with one line of JSON on request, all else on stderr; a quick run is not judged', () => {
    const { stdout, stderr, status } = report(['--json', '--quick'], [{ figure: 'ratio', at: 'least', value: 0.7 }]);
    assert.equal(status, 0);
    const summary = JSON.parse(stdout) as { bench: string; figures: object; goals: object[]; met: boolean };
    assert.deepEqual([summary.bench, summary.figures, summary.met], ['intake', { rate: 71_234.5, ratio: 0.65 }, false]);
    assert.deepEqual(summary.goals, [{ figure: 'ratio', at: 'least', value: 0.7, met: false }]);
    assert.match(stderr, /bench intake/);
  });
});
