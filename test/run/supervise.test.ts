import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MillraceError } from '#core';
import { type ExitReason, type Supervised, supervise } from '#run';

const folder = mkdtempSync(join(tmpdir(), 'millrace-supervise-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A child as TypeScript, since that is what the checkout runs. */
function script(name: string, text: string): URL {
  const path = join(folder, `${name}.ts`);
  writeFileSync(path, `process.on('disconnect', () => process.exit(0));\n${text}`);
  return pathToFileURL(path);
}

const serve = `process.send!({ ready: { execArgv: process.execArgv, word: process.env['WORD'] } });
process.on('message', (m: { do: string }) => { if (m.do === 'crash') process.exit(7); else process.send!({ echo: m }); });`;

/** Waits for what the child's events bring; the test's own time limit is the only clock. */
function recorder<T>() {
  const seen: T[] = [];
  let wake = () => {};
  return {
    seen,
    add: (value: T) => {
      seen.push(value);
      wake();
    },
    async first(count: number): Promise<T[]> {
      while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return seen.slice(0, count);
    },
  };
}

async function using(child: Supervised, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } finally {
    await child.stop(5_000);
  }
}

describe('supervise', { timeout: 60_000 }, () => {
  test('a child says when it is ready, gets environment and Node arguments, and takes messages', async () => {
    const messages = recorder<unknown>();
    const child = supervise({ script: script('echo', serve), env: { WORD: '물레방아' }, onMessage: messages.add });
    await using(child, async () => {
      const details = (await child.ready()) as { execArgv: string[]; word: string };
      assert.equal(details.word, '물레방아');
      assert.deepEqual(details.execArgv, process.execArgv);
      assert.ok(child.send({ do: 'echo' }));
      assert.deepEqual(await messages.first(1), [{ echo: { do: 'echo' } }]);
    });
    assert.equal(child.pid, null);
    assert.equal(child.send({ do: 'echo' }), false);
  });

  test('a child that crashes or is killed starts again, and says why it ended', async () => {
    const exits = recorder<ExitReason>();
    const starts = recorder<number>();
    const child = supervise({ script: script('crash', serve), onExit: exits.add, onReady: (_details, pid) => starts.add(pid) });
    await using(child, async () => {
      await starts.first(1);
      child.send({ do: 'crash' });
      const [, second] = await starts.first(2);
      process.kill(second!, 'SIGKILL');
      await starts.first(3);
      assert.equal(new Set(starts.seen).size, 3);
      assert.equal(child.restarts, 2);
      assert.deepEqual(exits.seen, [
        { kind: 'exited', code: 7, asked: false },
        { kind: 'killed', signal: 'SIGKILL', asked: false },
      ]);
    });
  });

  test('ready waits over a restart', async () => {
    const exits = recorder<ExitReason>();
    const marker = join(folder, 'second-time');
    const text = `import { existsSync, writeFileSync } from 'node:fs';
if (existsSync(${JSON.stringify(marker)})) process.send!({ ready: 'at last' });
else { writeFileSync(${JSON.stringify(marker)}, ''); process.exit(3); }`;
    const child = supervise({ script: script('late', text), onExit: exits.add });
    await using(child, async () => {
      assert.equal(await child.ready(), 'at last');
      assert.deepEqual(exits.seen, [{ kind: 'exited', code: 3, asked: false }]);
    });
  });

  test('a child that never becomes ready is killed and tried again', async () => {
    const exits = recorder<ExitReason>();
    const child = supervise({ script: script('mute', 'setInterval(() => {}, 1000);'), readyWithin: 300, onExit: exits.add });
    await using(child, async () => {
      assert.deepEqual(await exits.first(2), Array(2).fill({ kind: 'killed', signal: 'SIGKILL', asked: false }));
    });
  });

  test('restart replaces the running child', async () => {
    const exits = recorder<ExitReason>();
    const starts = recorder<number>();
    const child = supervise({ script: script('again', serve), onExit: exits.add, onReady: (_details, pid) => starts.add(pid) });
    await using(child, async () => {
      await starts.first(1);
      child.restart();
      const [first, second] = await starts.first(2);
      assert.notEqual(first, second);
      assert.deepEqual(exits.seen, [{ kind: 'killed', signal: 'SIGKILL', asked: true }]);
    });
  });

  test('stop ends a child that ignores SIGTERM, once, and nothing starts after it', async () => {
    const exits = recorder<ExitReason>();
    const text = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.send!({ ready: true });`;
    const child = supervise({ script: script('stubborn', text), onExit: exits.add });
    await child.ready();
    await Promise.all([child.stop(200), child.stop(200)]);
    assert.deepEqual(exits.seen, [{ kind: 'killed', signal: 'SIGKILL', asked: true }]);
    assert.equal(child.restarts, 0);
    assert.equal(child.pid, null);
  });

  test('who waits for a child that is stopped before it is ready gets STOPPING', async () => {
    const child = supervise({ script: script('never', 'setInterval(() => {}, 1000);') });
    const waiting = child.ready();
    await child.stop(5_000);
    await assert.rejects(waiting, (error) => error instanceof MillraceError && error.code === 'STOPPING');
  });
});
