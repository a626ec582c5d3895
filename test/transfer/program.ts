import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, clientFor } from '../../src/cli/client.ts';
import { findRunning } from '../../src/cli/running.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** A Millrace of its own, whose processes can be killed one by one. */
export interface Program {
  readonly client: Client;
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

export async function startProgram(workspace: string, env: Record<string, string>): Promise<Program> {
  const program = spawn(process.execPath, ['--conditions=source', MAIN, 'up', '--workspace', workspace, '--port', '0'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  program.stderr!.on('data', (chunk) => {
    said = (said + chunk).slice(-4_000);
  });
  const ended = new Promise<void>((resolve) => program.once('exit', () => resolve()));
  const begun = await Promise.race([
    new Promise<true>((resolve) => program.stdout!.once('data', () => resolve(true))),
    ended.then(() => sleep(100)).then(() => false),
  ]);
  assert.ok(begun, `it ended as it began: ${said}`);
  program.stdout!.resume();
  const client = clientFor(findRunning(workspace));
  for (let tries = 0; ; tries++) {
    const ready = await client.open('GET', '/ready');
    ready.resume();
    if (ready.statusCode === 200) break;
    assert.ok(tries < 300, `the warehouse did not become ready: ${said}`);
    await sleep(100);
  }
  return { client, process: program, ended };
}

/** The front's child that runs this file. */
export function childOf(parent: number, file: string): number | null {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== parent) continue;
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(file)) return Number(name);
    } catch {
      // It ended between two looks.
    }
  }
  return null;
}
