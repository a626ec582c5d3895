import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Held {
  readonly rows: number;
  readonly ids: number;
  readonly next: number;
}

/** Kills a warehouse that delivers and checkpoints all the time, again and again, after `moments` ms each; after every start all that was delivered is there once. */
export async function killsAmongCheckpoints(dataPath: string, moments: readonly number[]): Promise<number> {
  let delivered = 0;
  for (const moment of [...moments, 0]) {
    const child = fork(fileURLToPath(new URL('./checkpoint-child.ts', import.meta.url)), [dataPath], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [held] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [Held];
    assert.equal(typeof held, 'object', said);
    assert.equal(held.rows, held.ids, 'nothing stands there twice');
    assert.equal(held.rows, held.next, 'nothing is missing in between');
    assert.ok(held.next >= delivered, `${delivered} were delivered, ${held.next} are there`);
    child.on('message', (message: { delivered: number }) => {
      delivered = message.delivered;
    });
    const ended = once(child, 'exit');
    await Promise.race([new Promise((resolve) => setTimeout(resolve, moment)), ended]);
    assert.equal(child.exitCode, null, said);
    child.kill('SIGKILL');
    await ended;
  }
  return delivered;
}
