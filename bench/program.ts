/** Builds this checkout's JavaScript into a folder of its own and runs it, so that a bench measures what users install. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const checkout = fileURLToPath(new URL('..', import.meta.url));

// A bench that is told to end still removes its folders and ends its processes, which happens at 'exit'.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A folder under the system's temporary one that is gone when this process ends. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  process.once('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The program as `npm pack` would ship it; its home folder. Takes some seconds. */
export function buildProgram(): string {
  const home = tempFolder();
  for (const name of ['bin', 'scripts', 'src', 'web', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']) {
    cpSync(join(checkout, name), join(home, name), { recursive: true });
  }
  symlinkSync(join(checkout, 'node_modules'), join(home, 'node_modules'));
  execFileSync(process.execPath, [join(home, 'scripts', 'build.js')], { stdio: ['ignore', 'ignore', 'pipe'] });
  // Without its source the launcher takes it for an installed program.
  rmSync(join(home, 'src'), { recursive: true });
  return home;
}

export interface Running {
  readonly pid: number;
  readonly address: string;
  readonly token: string;
}

export interface Program {
  /** The process that was started: the front itself, or the launcher in front of it. */
  readonly child: ChildProcess;
  /** Lines of its structured log so far. */
  readonly lines: readonly string[];
  /** Performance time (ms) at which it was started. */
  readonly began: number;
  readonly ended: Promise<void>;
  /** SIGTERM, and its end. */
  stop(): Promise<void>;
}

export interface Starting {
  readonly home: string;
  readonly workspace: string;
  /** Node's own arguments, as --cpu-prof. */
  readonly nodeArguments?: readonly string[];
  /** 0 or absent takes a free one. */
  readonly port?: number;
  /** Starts bin/millrace.js with this Node, as a user's shell does, in place of the entry itself. */
  readonly launcher?: string;
  /** Beside this process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts `millrace up`; `listening` resolves with its address, or rejects with its output when it ends before. */
export function launchProgram(starting: Starting): Program & { readonly listening: Promise<Running> } {
  const { home, workspace, launcher } = starting;
  const runningFile = join(workspace, '.millrace', 'running.json');
  rmSync(runningFile, { force: true });
  const entry = launcher === undefined ? join(home, 'dist', 'cli', 'main.js') : join(home, 'bin', 'millrace.js');
  const up = ['up', '--workspace', workspace, '--port', String(starting.port ?? 0)];
  const began = performance.now();
  const child = spawn(launcher ?? process.execPath, [...(starting.nodeArguments ?? []), entry, ...up], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...starting.env },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const lines: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', (line) => lines.push(line));
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      process.off('exit', kill);
      resolve();
    });
  });
  const listen = async (): Promise<Running> => {
    for (;;) {
      const running = readRunning(runningFile);
      if (running !== null) return running;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`millrace ended with ${child.exitCode ?? child.signalCode} before it listened:\n${lines.join('\n')}`);
      }
      await sleep(2);
    }
  };
  const listening = listen();
  // Whoever awaits it gets the rejection; a program that is killed while it starts has nobody waiting.
  listening.catch(() => {});
  return {
    child,
    lines,
    began,
    ended,
    listening,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Starts `millrace up` and waits until it listens. */
export async function startProgram(starting: Starting): Promise<Program & { readonly running: Running }> {
  const program = launchProgram(starting);
  return { ...program, running: await program.listening };
}

function readRunning(path: string): Running | null {
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Running;
  } catch (cause) {
    if (cause instanceof SyntaxError || (cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
}

/** The program's answer, its body read. Rejects when there is none. */
export function ask(
  to: Pick<Running, 'address' | 'token'>,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string; retryAfter: boolean }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${to.address}${path}`,
      { method, headers: { authorization: `Bearer ${to.token}`, 'content-type': 'application/json' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.once('end', () => resolve({ status: answer.statusCode!, text, retryAfter: answer.headers['retry-after'] !== undefined }));
        answer.once('error', reject);
      },
    );
    asked.once('error', reject);
    asked.end(body);
  });
}

export async function query(to: Running, sql: string): Promise<unknown[][]> {
  const { status, text } = await ask(to, 'POST', '/v1/query', JSON.stringify({ sql }));
  if (status !== 200) throw new Error(`${sql}\n${text}`);
  return (JSON.parse(text) as { rows: unknown[][] }).rows;
}

/** Waits until questions are answered. */
export async function untilReady(running: Running, patience = 60_000): Promise<void> {
  const deadline = performance.now() + patience;
  for (;;) {
    const answer = await ask(running, 'GET', '/ready').catch(() => null);
    if (answer?.status === 200) return;
    if (performance.now() > deadline) throw new Error(`not ready after ${patience} ms: ${answer?.text ?? 'no answer'}`);
    await sleep(3);
  }
}

/** Waits until every durable record is in the warehouse. */
export async function untilDelivered(running: Running, patience = 120_000): Promise<void> {
  const deadline = performance.now() + patience;
  for (;;) {
    const { text } = await ask(running, 'GET', '/v1/status');
    const { topics } = JSON.parse(text) as { topics: { name: string; durable: number; delivered: number }[] };
    if (topics.every(({ durable, delivered }) => delivered >= durable)) return;
    if (performance.now() > deadline) throw new Error(`not delivered after ${patience} ms: ${text}`);
    await sleep(50);
  }
}

/** The process and all that descend from it, parents first. Linux. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const each of tree) tree.push(...(readProc(`/proc/${each}/task/${each}/children`)?.match(/\d+/g) ?? []).map(Number));
  return tree;
}

/** Resident bytes of a process now; 0 when it is gone. */
export function residentBytes(pid: number): number {
  const status = readProc(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(status ?? '')?.[1] ?? 0) * 1024;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw cause;
  }
}

/** A new workspace with these topics' definitions, below `folder`. */
export function newWorkspace(home: string, topics: Readonly<Record<string, string>>, settings = '', folder = tempFolder()): string {
  const workspace = join(folder, 'workspace');
  execFileSync(process.execPath, [join(home, 'dist', 'cli', 'main.js'), 'init', workspace, '--name', 'bench', '--time-zone', 'UTC']);
  writeTopics(workspace, topics);
  if (settings !== '') appendFileSync(join(workspace, 'millrace.yaml'), settings);
  return workspace;
}

function writeTopics(workspace: string, topics: Readonly<Record<string, string>>): void {
  for (const [name, definition] of Object.entries(topics)) writeFileSync(join(workspace, 'topics', `${name}.yaml`), definition);
}
