import { readFileSync } from 'node:fs';
import { runCli } from './run.ts';

// bin/millrace.js keeps this channel open as long as it lives: if it is killed outright, nobody else would tell us.
if (process.env['MILLRACE_LAUNCHED'] && process.channel) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}
delete process.env['MILLRACE_LAUNCHED'];

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
const words = process.argv.slice(2);
// A server keeps in memory what it has once loaded: it loads its own command only.
const known = words[0] === 'up' ? [(await import('./commands/up.ts')).up] : (await import('./commands/index.ts')).commands;

// A reader that has seen enough (`| head`) closes the pipe: that is an end, not a failure; but records and files are brought in to the last.
const goesOn = known.find(({ name }) => name === words[0])?.goesOn === true;
let unwritten = false;
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE' && !goesOn) process.exit(0);
  if (code === 'EPIPE' || unwritten) return;
  unwritten = true;
  // What is printed last fails when all else is over.
  process.exitCode = 1;
  process.stderr.write(`The output can’t be written: ${message}\n`);
  if (!goesOn) process.exit(1);
});
// Nor is there anything to be done where nobody reads the notes.
process.stderr.on('error', () => {});
const exitCode = await runCli(words, process, version, known);
if (!unwritten) process.exitCode = exitCode;
