import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Runs the crash bench, with the machine's faults (`--faults`) as well where asked, and returns its figures; what it printed is the message when it promises more than it keeps. */
export async function figuresOfKills(kills: number, seed: number, ...more: readonly string[]): Promise<Record<string, number>> {
  const bench = fileURLToPath(new URL('../../bench/crash.ts', import.meta.url));
  const child = spawn(process.execPath, [
    '--conditions=source',
    bench,
    '--json',
    '--kills',
    String(kills),
    '--seed',
    String(seed),
    ...more,
  ]);
  let last = '';
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (last += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (shown += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0, shown);
  return (JSON.parse(last.trim().split('\n').at(-1)!) as { figures: Record<string, number> }).figures;
}

/** The guarantee: acknowledged ⇒ in the warehouse, exactly once, as it was sent; rejected ⇒ in quarantine. */
export function assertNothingLost(figures: Record<string, number>): void {
  assert.ok(
    figures['acknowledged']! > 0 && figures['rejected']! > 0 && figures['retries']! > 0,
    'the clients did not get to do what is tested',
  );
  assert.equal(figures['present'], figures['acknowledged']);
  for (const none of ['lost', 'doubled', 'altered', 'foreign', 'unquarantined', 'wrong']) assert.equal(figures[none], 0, none);
}
