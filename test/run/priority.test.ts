import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { standBack } from '#run';

test('long work stands back further than the event loop that hands it out', {
  skip: process.platform !== 'linux' && 'threads have priorities of their own on Linux only',
}, async (t) => {
  const script = `require('node:fs').stat('.', () => console.log('ready')); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'], env: { UV_THREADPOOL_SIZE: '3' } });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  const pid = child.pid!;
  standBack(pid, { loop: 1, pool: 7 });
  assert.equal(getPriority(pid), 1);
  // proc_pid_stat(5): the 17th field after the name is nice.
  const nice = (id: string) => {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  };
  const counts = new Map<number, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) counts.set(nice(id), (counts.get(nice(id)) ?? 0) + 1);
  assert.equal(counts.get(7), 3, 'the three threads of its pool');
  assert.equal(counts.get(1), 1, 'its loop');
});

test('a process that ended meanwhile does no harm to who wanted to set it back', {
  skip: process.platform !== 'linux' && 'Linux only',
}, async () => {
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
  await once(child, 'exit');
  assert.doesNotThrow(() => standBack(child.pid!, { loop: 1, pool: 7 }));
});
