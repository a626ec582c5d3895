// Runs test files, two at a time, in the order in which they are named: node --test would sort them, and the longest would come last and alone.
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import reporter from './reporter.js';

const events = run({
  files: process.argv.slice(2),
  concurrency: Math.min(2, availableParallelism()),
  timeout: Number(process.env.MILLRACE_TEST_SECONDS) * 1000 - 5000,
  execArgv: ['--conditions=source', '--import=./scripts/watchdog.js', '--import=./test/seed.ts'],
});
events.on('test:fail', ({ todo }) => {
  if (todo === undefined) process.exitCode = 1;
});
events.compose(reporter).pipe(process.stdout);
