import { setTimeout as sleep } from 'node:timers/promises';
import { clientFor, workspaceOption } from '../client.ts';
import type { Command } from '../command.ts';
import { findRunning, isAlive } from '../running.ts';

/** The server's own deadline is 5 s; beyond twice that something is wrong that a person must see. */
const patience = 10_000;

export const stop: Command = {
  name: 'stop',
  summary: 'Stops the Millrace that runs on a workspace, and waits until it has.',
  options: [workspaceOption],
  async run({ options }, io) {
    const running = findRunning(String(options['workspace']));
    const { pid, address } = running;
    // The file of a Millrace that was killed may name a process that is someone else's by now: only one that answers is told to end.
    (await clientFor(running).open('GET', '/health')).resume();
    process.kill(pid, 'SIGTERM');
    const until = performance.now() + patience;
    while (isAlive(pid)) {
      if (performance.now() > until) {
        io.stderr.write(`Process ${pid} has been told to stop ${patience / 1000} s ago and still runs.\n`);
        return 1;
      }
      await sleep(50);
    }
    io.stdout.write(`Millrace at ${address} has stopped.\n`);
    return 0;
  },
};
