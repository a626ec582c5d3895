import { setTimeout as sleep } from 'node:timers/promises';
import { clientFor, workspaceOption } from '../client.ts';
import type { Command } from '../command.ts';
import { findRunning, isAlive } from '../running.ts';

/**
 * A server that does much takes a second or two. At most it waits 1 s for bodies on their way, a segment's packing, 3 s for transfers and
 * 10 s for the warehouse, before it ends them; beyond all of these something is wrong that a person must see.
 */
const patience = 20_000;

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
