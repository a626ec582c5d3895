// Plain JavaScript for any Node ≥ 20: this is what brings Node 24.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findNode, home, wanted } from '../bin/node24.js';

/** Installs what package-lock.json names and is not here, saying so on stderr. Ends the process when npm can't. The lock is never changed. */
export async function ensureInstalled() {
  const lock = JSON.parse(readFileSync(join(home, 'package-lock.json'), 'utf8'));
  const needed = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.optional);
  const present = () => needed.filter(([path, entry]) => installedVersion(path) === entry.version).length;
  if (present() === needed.length && findNode() !== null) return;

  process.stderr.write(`Installing ${needed.length} npm packages; the first time they are fetched (about 150 MB) …\n`);
  const npm = spawn('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  let said = '';
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk) => (said += chunk));
  const ticker = showProgress(() => `npm packages ${present()} of ${needed.length}`);
  const code = await new Promise((resolve) => {
    npm.on('error', (error) => resolve(error.message));
    npm.on('exit', resolve);
  });
  ticker.end();
  if (code === 0 && findNode() !== null) return;
  process.stderr.write(`${said}\n"npm install" failed (${code}).\n`);
  if (code === 0)
    process.stderr.write(
      `No Node ${wanted} came with it: the package "node" was not allowed to run its install script, or has none for this machine.\n`,
    );
  process.exit(1);
}

/** Runs Node ≥ 24 with the repository as working directory; stdio as given. Resolves with the exit code. */
export function runNode24(args, options = {}) {
  return run(findNode(), args, options);
}

/** Runs a program to its end; signals that we get meanwhile go to it. Resolves with {code, output}: output is what was captured. */
export function run(program, args, { stdio = 'inherit', input, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: home, stdio, ...options });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, forward);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    if (input !== undefined) child.stdin.end(input);
    const end = (code) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, forward);
      resolve({ code, output });
    };
    child.on('error', (error) => {
      output += error.message;
      end(1);
    });
    child.on('close', (code) => end(code ?? 1));
  });
}

export function isInstalled(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

function installedVersion(path) {
  try {
    return JSON.parse(readFileSync(join(home, path, 'package.json'), 'utf8')).version;
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}

function showProgress(text) {
  const live = process.stderr.isTTY === true;
  const started = Date.now();
  const draw = () =>
    process.stderr.write(`${live ? '\r\x1b[2K' : ''}${text()}, ${Math.round((Date.now() - started) / 1000)} s${live ? '' : '\n'}`);
  const timer = setInterval(draw, live ? 500 : 5000);
  return {
    end() {
      clearInterval(timer);
      draw();
      if (live) process.stderr.write('\n');
    },
  };
}
