// npm run check [-- --long] [-- --only NAME]: everything that must hold. Its last line is "N passed, N failed" (", N skipped").
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { home } from '../bin/node24.js';
import { ensureConsole } from './console.js';
import { ensureInstalled, isInstalled, run, runNode24 } from './install.js';

/** Debian packages that tests need: {name, program, reason, folder?}. A test whose program is absent skips itself with a reason, and is counted. */
const debianPackages = [
  { name: 'chromium', program: 'chromium', reason: 'a real browser walks through the console (test/web)' },
  {
    name: 'postgresql',
    program: 'postgres',
    folder: '/usr/lib/postgresql',
    reason: 'tables and changes are brought in from a real server (test/transfer); Debian keeps its programs in a folder for each version',
  },
  { name: 'mariadb-server', program: 'mariadbd', reason: 'tables are brought in from a real server (test/transfer)' },
];

const options = readOptions(process.argv.slice(2));
const temporary = mkdtempSync(join(tmpdir(), 'millrace-check-'));

const steps = [
  { name: 'types', run: types },
  { name: 'format', run: () => program('node_modules/@biomejs/biome/bin/biome', 'ci', ...(process.stdout.isTTY ? [] : ['--colors=off'])) },
  { name: 'architecture', run: () => tests(['test/architecture.test.ts']) },
  { name: 'tests', run: () => tests(testFiles()) },
  { name: 'package', run: packed },
];

const sum = { passed: 0, failed: 0, skipped: 0 };
// However it ends: by what a step throws, or by an installation or a console that failed, which end the process.
process.on('exit', (code) => {
  rmSync(temporary, { recursive: true, force: true });
  if (code !== 0 && sum.failed === 0) sum.failed = 1;
  process.stdout.write(`\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}\n`);
});
await ensureInstalled();
await ensureDebianPackages();
await ensureConsole();
for (const step of steps.filter(isWanted)) {
  process.stdout.write(`\n── ${step.name}\n`);
  const started = Date.now();
  const counts = await step.run();
  for (const key of Object.keys(sum)) sum[key] += counts[key];
  process.stdout.write(`── ${step.name}: ${counts.failed === 0 ? 'ok' : 'FAILED'}, ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;

function readOptions(words) {
  const only = words.indexOf('--only');
  return { long: words.includes('--long'), only: only < 0 ? null : (words[only + 1] ?? '') };
}

/** `--only` names a step, or a part of a test file's path. */
function isWanted({ name }) {
  if (options.only === null || options.only === name) return true;
  return name === 'tests' && !steps.some((step) => step.name === options.only);
}

function testFiles() {
  return readdirSync(join(home, 'test'), { recursive: true })
    .map((name) => `test/${name.split(sep).join('/')}`)
    .filter((path) => path.endsWith('.test.ts') && path !== 'test/architecture.test.ts')
    .filter((path) => options.long || !path.startsWith('test/long/'))
    .filter((path) => options.only === null || options.only === 'tests' || path.includes(options.only))
    .sort((a, b) => Number(takesLong(b)) - Number(takesLong(a)) || (a < b ? -1 : 1));
}

/** These come first, so that at the end no long one is left to run alone. */
function takesLong(path) {
  return path.startsWith('test/web/') || path.startsWith('test/long/') || path.includes('crash');
}

/** The program's and the tests', then the console's, which is compiled for browsers. */
async function types() {
  const all = [];
  for (const project of ['.', 'web']) all.push(await program('node_modules/typescript/bin/tsc', '-p', project));
  return { passed: all.filter(({ failed }) => failed === 0).length, failed: all.filter(({ failed }) => failed > 0).length, skipped: 0 };
}

async function program(path, ...args) {
  const { code } = await runNode24([path, ...args]);
  return outcome(code === 0);
}

function outcome(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

async function tests(files) {
  if (files.length === 0) {
    process.stdout.write('no test file has that name\n');
    return outcome(false);
  }
  const countsFile = join(temporary, `counts-${files.length}.json`);
  const seconds = options.long ? 3600 : 180;
  const { code } = await runNode24(['scripts/tests.js', ...files], {
    env: {
      ...process.env,
      MILLRACE_COUNTS: countsFile,
      MILLRACE_TEST_SECONDS: String(seconds),
      // Every test file, and every program that one starts, strips and compiles the same few hundred modules: half of what it takes to begin.
      NODE_COMPILE_CACHE: join(temporary, 'compiled'),
      ...(options.long && { MILLRACE_LONG: '1' }),
    },
  });
  if (!existsSync(countsFile)) return outcome(false);
  const { tests: all, passed, skipped, todo } = JSON.parse(readFileSync(countsFile, 'utf8'));
  const failed = all - passed - skipped - todo;
  // The runner can fail where no test did (a file that can't be loaded is a test of its own, but not every defect is).
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped: skipped + todo };
}

/** On the path, or in a folder of its versions. */
function isPresent({ program: name, folder }) {
  if (folder === undefined) return isInstalled(name);
  return existsSync(folder) && readdirSync(folder).some((version) => existsSync(join(folder, version, 'bin', name)));
}

async function ensureDebianPackages() {
  const missing = debianPackages.filter((each) => !isPresent(each));
  if (missing.length === 0) return;
  for (const { name, reason } of missing) process.stdout.write(`Debian package ${name}: ${reason}\n`);
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    process.stdout.write('Not root on Debian: these are not installed, and the tests that need them are skipped.\n');
    return;
  }
  const names = missing.map(({ name }) => name);
  const { code } = await run(
    'sh',
    ['-c', `apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${names.join(' ')}`],
    {
      stdio: ['ignore', 2, 2],
    },
  );
  if (code !== 0) process.stdout.write('They could not be installed; the tests that need them are skipped.\n');
}

/** The tarball as a user has it: installed in an empty folder, started, and one record sent and found. */
async function packed() {
  const folder = join(temporary, 'app');
  mkdirSync(folder);
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  // npm installs no package's scripts that this does not allow; "node" gets its program by one.
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }));
  try {
    await must('npm', ['pack', '--silent', '--pack-destination', temporary]);
    const tarball = join(temporary, `${manifest.name}-${manifest.version}.tgz`);
    await must('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball, `node@${manifest.devDependencies.node}`], {
      cwd: folder,
    });
    await startPacked(folder);
    await assigned(folder);
    return outcome(true);
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    return outcome(false);
  }
}

/** The library of experiments is one file, gives docs/answers.md's example, and is found by its name. */
async function assigned(folder) {
  const library = readFileSync(join(folder, 'node_modules', 'millrace', 'dist', 'assignment.js'), 'utf8');
  if (/^import /m.test(library)) throw new Error('dist/assignment.js needs other files');
  const script = "import { bucket } from 'millrace/assignment'; process.stdout.write(String(bucket('checkout', 'u1')))";
  const said = await must(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
  if (said.trim() !== '0.31689777825177057') throw new Error(`millrace/assignment says ${said}`);
}

async function startPacked(folder) {
  const file = join(folder, 'node_modules', 'millrace', 'bin', 'millrace.js');
  const millrace = (args, input) => must(process.execPath, [file, ...args], { cwd: folder, input });
  await millrace(['init', 'shop']);
  await millrace(['topic', 'add', 'events', '--workspace', 'shop']);
  const server = spawn(process.execPath, [file, 'up', '--workspace', 'shop', '--port', '0'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (said += chunk));
  const ended = new Promise((resolve) => server.on('exit', (code, signal) => resolve(code ?? signal)));
  try {
    await until(() => said.includes('is ready at') || server.exitCode !== null, 30);
    if (!said.includes('is ready at')) throw new Error(`"millrace up" did not become ready:\n${said}`);
    await millrace(['send', 'events', '--workspace', 'shop'], '{"event_id":"a1","amount":9007199254740993}\n');
    await until(async () => {
      const { code, output } = await run(
        process.execPath,
        [file, 'sql', '--workspace', 'shop', '--format', 'ndjson', 'SELECT count(*) AS n, any_value(data) AS data FROM raw.events'],
        { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
      );
      said = output;
      return code === 0 && output.includes('"n":1') && output.includes('9007199254740993');
    }, 20);
    await millrace(['stop', '--workspace', 'shop']);
    const code = await ended;
    if (code !== 0) throw new Error(`"millrace up" ended with ${code}:\n${said}`);
    process.stdout.write('installed, started, one record sent, found in SQL, stopped\n');
  } catch (error) {
    server.kill('SIGKILL');
    throw new Error(`${error.message}\n${said}`);
  }
}

/** Runs a program that has to succeed; its output is in the error if it doesn't. */
async function must(name, args, { input, ...rest } = {}) {
  const { code, output } = await run(name, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], input, ...rest });
  if (code !== 0) throw new Error(`${[name, ...args].join(' ')}\nended with ${code}:\n${output}`);
  return output;
}

async function until(holds, seconds) {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s`);
    await sleep(200);
  }
}
