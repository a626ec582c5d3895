import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Millis, MillraceError } from '#core';

/** Why a child ended. `asked` says that it was told to: by `stop` or `restart`. */
export type ExitReason =
  | { readonly kind: 'exited'; readonly code: number; readonly asked: boolean }
  | { readonly kind: 'killed'; readonly signal: NodeJS.Signals; readonly asked: boolean }
  | { readonly kind: 'not_started'; readonly problem: string; readonly asked: boolean };

export interface SuperviseOptions {
  /** The child's file as `new URL('./name.ts', import.meta.url)`: that form is what the build turns into `.js`. */
  readonly script: URL;
  /** Asked for at each start. */
  readonly args?: () => readonly string[];
  /** For Node itself, beside this process's own. */
  readonly nodeArguments?: readonly string[];
  /** Added to this process's environment; undefined removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A child that has not said that it is ready by then is killed and started again (default 60 s). */
  readonly readyWithin?: Millis;
  /** Each start that became ready, with what the child said of itself. */
  readonly onReady?: (details: unknown, pid: number) => void;
  readonly onMessage?: (message: unknown) => void;
  readonly onExit?: (reason: ExitReason) => void;
}

export interface Supervised {
  /** The running child's id; null between two lives. */
  readonly pid: number | null;
  /** How often it was started again. */
  readonly restarts: number;
  /** What the running child said when it became ready; waits over restarts. Errors: STOPPING once `stop` was called. */
  ready(): Promise<unknown>;
  /** False when there is no child to take it. */
  send(message: object): boolean;
  /** Kills the running child with SIGKILL; it starts again without back-off. */
  restart(): void;
  /** SIGTERM, then SIGKILL after that long; resolves when the child is gone. No further start. */
  stop(within: Millis): Promise<void>;
}

const firstDelay = 100;
const longestDelay = 5_000;
/** A child that stayed ready this long has recovered: the next failure begins with the short delay again. */
const calm = 10_000;

/**
 * Forks a child and keeps it alive: after an end that nobody asked for it starts again, after 0.1 s, doubling up to 5 s.
 * The child says `process.send({ready: details})` when it can serve. Node's own arguments (`--conditions=source`) go along.
 *
 *   starting ──ready──► ready ──exit──► waiting ──delay──► starting
 *       └──exit or too late──────────────►┘         stop() ends it from any state
 *
 * The child must end itself when its channel closes (`process.on('disconnect')`): a parent killed by SIGKILL can't tell it.
 */
export function supervise(options: SuperviseOptions): Supervised {
  const { readyWithin = 60_000 } = options;
  const script = fileURLToPath(options.script);
  let child: ChildProcess | null = null;
  let restarts = 0;
  let delay = firstDelay;
  let timer: NodeJS.Timeout | undefined;
  let stopping: Promise<void> | null = null;
  let asked = false;
  let readiness = newReadiness();

  function start(): void {
    asked = false;
    const own = fork(script, [...(options.args?.() ?? [])], {
      env: withChanges(options.env),
      execArgv: [...process.execArgv, ...(options.nodeArguments ?? [])],
      serialization: 'advanced',
    });
    child = own;
    let readyAt: number | null = null;
    let ended = false;
    const late = setTimeout(() => own.kill('SIGKILL'), readyWithin);

    own.on('message', (message) => {
      if (readyAt !== null || !isReady(message)) return options.onMessage?.(message);
      readyAt = performance.now();
      clearTimeout(late);
      readiness.resolve(message.ready);
      options.onReady?.(message.ready, own.pid!);
    });
    const end = (reason: ExitReason) => {
      if (ended) return;
      ended = true;
      clearTimeout(late);
      if (child === own) child = null;
      if (readyAt !== null && !stopping) readiness = newReadiness();
      options.onExit?.(reason);
      if (stopping) return;
      if (reason.asked || (readyAt !== null && performance.now() - readyAt > calm)) delay = firstDelay;
      timer = setTimeout(again, reason.asked ? 0 : delay);
      delay = Math.min(delay * 2, longestDelay);
    };
    own.once('error', (error) => {
      if (own.pid === undefined) end({ kind: 'not_started', problem: error.message, asked });
    });
    own.once('exit', (code, signal) => {
      end(signal === null ? { kind: 'exited', code: code ?? 0, asked } : { kind: 'killed', signal, asked });
    });
  }

  function again(): void {
    restarts += 1;
    start();
  }

  async function end(within: Millis): Promise<void> {
    clearTimeout(timer);
    readiness.reject();
    const last = child;
    if (last?.pid === undefined) return;
    asked = true;
    const gone = new Promise<void>((resolve) => last.once('exit', () => resolve()));
    last.kill('SIGTERM');
    const deadline = setTimeout(() => last.kill('SIGKILL'), within);
    await gone;
    clearTimeout(deadline);
  }

  start();
  return {
    get pid() {
      return child?.pid ?? null;
    },
    get restarts() {
      return restarts;
    },
    ready: () => readiness.promise,
    send: (message) => child?.connected === true && child.send(message),
    restart() {
      asked = child !== null;
      child?.kill('SIGKILL');
    },
    stop(within) {
      stopping ??= end(within);
      return stopping;
    },
  };
}

function isReady(message: unknown): message is { ready: unknown } {
  return typeof message === 'object' && message !== null && 'ready' in message;
}

function withChanges(changes: SuperviseOptions['env'] = {}): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries({ ...process.env, ...changes }).filter(([, value]) => value !== undefined));
}

function newReadiness(): { promise: Promise<unknown>; resolve: (details: unknown) => void; reject: () => void } {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  // Whoever awaits it gets the rejection; that nobody does is no defect.
  promise.catch(() => {});
  return {
    promise,
    resolve,
    reject: () => reject(new MillraceError('STOPPING')),
  };
}
