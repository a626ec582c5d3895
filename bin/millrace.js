#!/usr/bin/env node
// Plain JavaScript for any Node ≥ 18: finds Node ≥ 24 and hands over to src/cli/main.ts (in a checkout) or dist/cli/main.js (packed).
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { constants } = require('node:os');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { findNode, home, wanted } = require('./node24.js');

const source = join(home, 'src', 'cli', 'main.ts');
const inCheckout = existsSync(source);
const entry = inCheckout ? source : join(home, 'dist', 'cli', 'main.js');
// A checkout runs its source even where a dist/ is left over from packing: what runs is what one reads.
const nodeArguments = inCheckout ? ['--conditions=source'] : [];
// A server that takes records makes little garbage at a time; the 16 MB that Node keeps for it would stay resident, as would a share for
// each thread that V8 collects it with.
const smallHeap = process.argv[2] === 'up' ? ['--max-semi-space-size=1', '--v8-pool-size=1'] : [];

// Unpacking bodies and packing segments must not take all the threads that the log syncs in. libuv reads it when it first starts one.
process.env.UV_THREADPOOL_SIZE ??= '8';

const node = findNode();
if (node === null) {
  const install = inCheckout ? 'npm install' : 'npm install node@24    (with -g if Millrace was installed with -g)';
  process.stderr.write(
    `Millrace needs Node ${wanted} or newer; this is Node ${process.versions.node} (${process.execPath}), and no newer one is beside it.\n` +
      `Type one of these and start Millrace again:\n` +
      `  ${install}\n` +
      '  or install Node 24 from https://nodejs.org/en/download\n',
  );
  process.exit(1);
} else if (node === process.execPath && nodeArguments.every((argument) => process.execArgv.includes(argument))) {
  process.argv[1] = entry;
  void import(pathToFileURL(entry).href);
} else {
  handOver(node);
}

/**
 * Runs the entry in a child that ends as one would expect of a single process: signals go to it, its end is ours, and if we are
 * killed outright the channel closes and the child stops by itself (see src/cli/main.ts).
 */
function handOver(path) {
  const child = spawn(path, [...smallHeap, ...nodeArguments, entry, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // glibc keeps freed memory in as many arenas as there are threads, and at the heap's end 128 kB: which it raises to twice the largest
    // piece ever freed, so that 7 MB stayed there after the recovery of a log, unless it is told.
    env: { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', ...process.env, MILLRACE_LAUNCHED: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`${path} can't be started: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}
