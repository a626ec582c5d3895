import { readFileSync } from 'node:fs';
import { runCli } from './run.ts';

// bin/millrace.js keeps this channel open as long as it lives: if it is killed outright, nobody else would tell us.
if (process.env['MILLRACE_LAUNCHED'] && process.channel) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}
delete process.env['MILLRACE_LAUNCHED'];

// A reader that has seen enough (`| head`) closes the pipe: that is an end, not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
const words = process.argv.slice(2);
// A server keeps in memory what it has once loaded: it loads its own command only.
const known = words[0] === 'up' ? [(await import('./commands/up.ts')).up] : (await import('./commands/index.ts')).commands;
process.exitCode = await runCli(words, process, version, known);
