/**
 * The process that looks at the folders of transfers. It is one of its own, and small: a drive of the network that does not answer may hold
 * it up for ever, and then holds up nothing else. It ends when its parent is gone.
 */
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Millis } from '#core';
import { openArrivals } from './arrivals.ts';
import type { Arrived, Watched, Watching } from './watch.ts';

const EVERY: Millis = 2_000;
/** A folder of 100,000 files takes seconds to list: at most a tenth of the time goes into that. */
const SHARE = 0.1;

const folders = new Map<string, { readonly watched: Watched; isWatched: boolean }>();

process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole group; the front decides when this process ends.
process.on('SIGINT', () => {});
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
process.on('message', ({ workspace, watched }: Watching) => {
  for (const [name, folder] of folders) {
    if (watched.some((each) => each.name === name && each.definition === folder.watched.definition)) continue;
    folder.isWatched = false;
    folders.delete(name);
  }
  for (const each of watched) if (!folders.has(each.name)) void keepLooking(workspace, each);
});
process.send!({ ready: null });

async function keepLooking(workspace: string, watched: Watched): Promise<void> {
  const own = { watched, isWatched: true };
  folders.set(watched.name, own);
  const look = openArrivals(workspace, watched.folder);
  for (;;) {
    const began = performance.now();
    const arrivals = await look(Date.now());
    if (!own.isWatched) return;
    if (arrivals !== null) process.send!({ name: watched.name, arrivals } satisfies Arrived);
    await sleep(Math.max(EVERY, (performance.now() - began) / SHARE));
  }
}
