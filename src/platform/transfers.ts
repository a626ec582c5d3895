import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asMillraceError, type ErrorBody, errorFromBody, fail, type Millis, MillraceError, type Transfer, watchedFolder } from '#core';
import { codeOf, replaceFile } from '#files';
import type { TransferState } from '#store';
import type { Progress, Rules, RunReport } from '#transfer';
import { openDefinitions, parseTransfer } from '#workspace';
import { type Alert, openSchedule } from './schedule.ts';
import type { Comparison, TransferJob, TransferMessage } from './transfer.ts';
import type { WarehouseClient } from './warehouse-client.ts';
import { openWatch, type Watched } from './watch/watch.ts';

/** The newest run of a transfer in this process. */
export interface TransferRun {
  readonly run: string;
  readonly kind: 'run' | 'verify';
  readonly state: 'running' | 'done' | 'failed';
  readonly progress: Progress | null;
  readonly report: RunReport | null;
}

/** The workspace's transfers and their runs, each in a child process of its own. */
export interface Transfers {
  /** Definitions by name, and what is wrong with the other files. */
  list(): { transfers: Transfer[]; problems: ErrorBody[] };
  /** Errors: TRANSFER_UNKNOWN, DEFINITION_*. */
  get(name: string): Transfer;
  /**
   * Writes a first definition. A password goes into the file `secretFile(name)`, which only this user can read, for the definition to
   * name. Errors: TRANSFER_EXISTS, DEFINITION_*.
   */
  create(name: string, text: string, password: string | null): Transfer;
  last(name: string): TransferRun | null;
  /** When it begins a run by itself, as far as that is a matter of time. */
  next(name: string): Millis | null;
  /** The newest comparison that was made beside a run that follows its source's log. */
  comparison(name: string): TransferRun | null;
  /** Begins a run and gives its id. Errors: TRANSFER_UNKNOWN, TRANSFER_BUSY, DEFINITION_*. */
  start(name: string, kind: 'run' | 'verify'): string;
  /** The same for a transfer that no file defines; `ended` never rejects. */
  begin(transfer: Transfer, kind: 'run' | 'verify', folder?: string): { run: string; ended: Promise<RunReport> };
  /** A run that is under way, or the newest of its transfer. */
  run(id: string): TransferRun | null;
  /** Asks the running child to end between two slices, and what waits to be tried again to wait no longer. False when none runs. */
  cancel(name: string): boolean;
  /** A look at the source that writes nothing. */
  ask(job: Extract<TransferJob, { kind: 'guess' | 'preview' | 'plan' | 'look' }>): Promise<unknown>;
  /** The processes that run now. */
  pids(): readonly number[];
  /** Runs are told to end between two writes, and killed after that long: the next one goes on from what is written. */
  stop(within: Millis): Promise<void>;
}

export interface TransfersInput {
  readonly workspace: string;
  readonly dataPath: string;
  readonly socket: string;
  readonly warehouse: WarehouseClient;
  /** What definitions may reach, now. */
  readonly rules: () => Rules;
  readonly timeZone: () => string;
  /** Tells a topic of a failure or recovery. */
  readonly alert: (topic: string, alert: Alert) => void;
  readonly log: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

const TICK: Millis = 1000;

export function openTransfers({ workspace, dataPath, socket, warehouse, rules, timeZone, alert, log }: TransfersInput): Transfers {
  const files = openDefinitions(workspace, 'transfers', '.yaml', () => {});
  removeLeftovers(join(dataPath, 'tmp'));
  const definitions = new Map<string, { readonly text: string; readonly transfer: Transfer }>();
  const runs = new Map<string, TransferRun>();
  const comparisons = new Map<string, TransferRun>();
  const children = new Map<string, Child>();
  /** Looks at sources, which are no runs, too. */
  const processes = new Set<ChildProcess>();

  /** The ids of all runs of this process. */
  const begun = new Set<string>();
  let stopped = false;

  const folderFor = (id: string) => join(dataPath, 'tmp', `transfer-${id}`);

  function job(what: TransferJob, onProgress?: (progress: Progress) => void): Child {
    // Downloads and unpacked files lie there too: a child that is killed removes nothing itself.
    const own = 'slices' in what ? what.slices : folderFor(randomUUID());
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const child = forkJob(what, onProgress, { temporary: own, ...('slices' in what && { after: lostTold }) });
    processes.add(child.process);
    child.process.once('exit', () => {
      processes.delete(child.process);
      rm(own, { recursive: true, force: true }).catch((cause: unknown) => log('warn', 'transfer.leftovers', { message: String(cause) }));
    });
    return child;
  }

  /** The schedule looks every second: a file is parsed only when it has changed. */
  function parsed(name: string, text: string, file: string): Transfer {
    const known = definitions.get(name);
    if (known?.text === text) return known.transfer;
    const transfer = parseTransfer(name, text, file);
    definitions.set(name, { text, transfer });
    return transfer;
  }

  function list(): { transfers: Transfer[]; problems: ErrorBody[] } {
    const problems: ErrorBody[] = [];
    const transfers = files.list().flatMap(({ name, file, text }) => {
      try {
        return [parsed(name, text, file)];
      } catch (thrown) {
        problems.push(asMillraceError(thrown).body);
        return [];
      }
    });
    return { transfers, problems: [...problems, ...files.problems()] };
  }

  function get(name: string): Transfer {
    const found = files.list().find((each) => each.name === name) ?? fail('TRANSFER_UNKNOWN', { transfer: name.slice(0, 100) });
    return parsed(name, found.text, found.file);
  }

  function create(name: string, text: string, password: string | null): Transfer {
    if (files.list().some((each) => each.name === name)) fail('TRANSFER_EXISTS', { transfer: name });
    const transfer = parseTransfer(name, text, `transfers/${name}.yaml`);
    files.save(name, text);
    try {
      if (password !== null) keepSecret(join(workspace, secretFile(name)), password);
    } catch (thrown) {
      files.remove(name);
      fail('DEFINITION_WRITE', { file: secretFile(name), problem: codeOf(thrown) }, thrown);
    }
    return transfer;
  }

  /** Gives it as the warehouse has it. */
  async function keep(told: RunReport): Promise<RunReport> {
    try {
      return (await warehouse.json<{ report: RunReport }>('POST', '/transfer/report', told)).report;
    } catch (thrown) {
      log('warn', 'transfer.report', { message: String(thrown) });
      return told;
    }
  }

  /** Runs that were under way when Millrace was killed could tell of it to nobody. No job begins before: its run would stand in their place. */
  async function keepLost(): Promise<void> {
    let states: TransferState[];
    for (;;) {
      try {
        ({ states } = await warehouse.json<{ states: TransferState[] }>('GET', '/transfer/state'));
        break;
      } catch (thrown) {
        if (stopped || !asMillraceError(thrown).retryable) return;
        await sleep(500, undefined, { ref: false });
      }
    }
    const cut = states.filter(({ event, run }) => (event === 'open' || event === 'slice') && !begun.has(run));
    for (const [run, tables] of Map.groupBy(cut, (state) => state.run)) {
      const { transfer, at } = tables[0]!;
      // Those are undone at the start.
      if (transfer.startsWith('upload:')) continue;
      const ended = new MillraceError('TRANSFER_ENDED', { transfer, problem: 'Millrace ended before it did' });
      await keep({ ...failedReport(transfer, { run, kind: 'run' }, ended), began: at, ended: at });
    }
  }

  async function finished(name: string, run: TransferRun, child: Child): Promise<RunReport> {
    let report: RunReport;
    try {
      report = (await child.result) as RunReport;
    } catch (thrown) {
      report = failedReport(name, run, thrown);
      if (run.kind === 'run') report = await keep(report);
    }
    // A run tells of itself, in case that this process ends before it.
    if (run.kind === 'verify') await keep(report);
    children.delete(name);
    runs.set(name, { ...run, state: report.outcome, progress: runs.get(name)?.progress ?? null, report });
    log(report.outcome === 'done' ? 'info' : 'error', `transfer.${report.outcome}`, {
      transfer: name,
      run: run.run,
      rows: report.tables.reduce((sum, table) => sum + table.rows, 0),
      ...(report.error === null ? {} : { code: report.error.code, message: report.error.message }),
    });
    if (run.kind === 'run') schedule.ended(report, Date.now());
    return report;
  }

  function begin(
    transfer: Transfer,
    kind: 'run' | 'verify',
    folder = workspace,
    came?: readonly string[],
  ): { run: string; ended: Promise<RunReport> } {
    const { name } = transfer;
    const going = children.get(name);
    if (going !== undefined && kind === 'verify' && transfer.tables.some(({ mode }) => mode === 'cdc')) return compareBeside(name, going);
    if (going !== undefined) fail('TRANSFER_BUSY', { transfer: name });
    const run: TransferRun = { run: randomUUID(), kind, state: 'running', progress: null, report: null };
    runs.set(name, run);
    begun.add(run.run);
    const slices = folderFor(run.run);
    const own = { run: run.run, socket, slices, ...(came === undefined ? {} : { came }) };
    const child = job({ kind, folder, anywhere: false, rules: rules(), transfer, ...own }, (progress) =>
      runs.set(name, { ...run, progress }),
    );
    children.set(name, child);
    return { run: run.run, ended: finished(name, run, child) };
  }

  /** The run that follows goes on, and compares both sides itself: only it knows when they stand at the same position. */
  function compareBeside(name: string, child: Child): { run: string; ended: Promise<RunReport> } {
    if (comparisons.get(name)?.state === 'running') fail('TRANSFER_BUSY', { transfer: name });
    const run: TransferRun = { run: randomUUID(), kind: 'verify', state: 'running', progress: null, report: null };
    comparisons.set(name, run);
    const ended = child
      .compare(run.run)
      .catch((thrown: unknown) => failedReport(name, run, thrown))
      .then(async (report) => {
        await keep(report);
        comparisons.set(name, { ...run, state: report.outcome, report });
        log('info', `transfer.compared`, { transfer: name, run: run.run, outcome: report.outcome });
        return report;
      });
    return { run: run.run, ended };
  }

  function end(name: string): boolean {
    const child = children.get(name);
    child?.process.kill('SIGTERM');
    return child !== undefined;
  }

  function cancel(name: string): boolean {
    const running = end(name);
    schedule.halt(name, running ? (runs.get(name)?.run ?? null) : null);
    return running;
  }

  const schedule = openSchedule({
    transfers: () => list().transfers,
    timeZone,
    start: (name, files) => begin(get(name), 'run', workspace, files).run,
    stop: end,
    alert,
    log,
  });
  const watch = openWatch(workspace, ({ name, arrivals }) => schedule.came(name, arrivals));
  const ticking = setInterval(() => {
    schedule.tick(Date.now());
    watch.keep(list().transfers.flatMap(watchedOf));
  }, TICK).unref();

  const lostTold = keepLost();

  return {
    list,
    get,
    create,
    last: (name) => runs.get(name) ?? null,
    next: schedule.next,
    comparison: (name) => comparisons.get(name) ?? null,
    start: (name, kind) => begin(get(name), kind).run,
    begin,
    run: (id) => [...runs.values(), ...comparisons.values()].find(({ run }) => run === id) ?? null,
    cancel,
    ask: (asked) => job({ ...asked, rules: rules() }).result,
    pids: () => [...processes, watch].flatMap(({ pid }) => pid ?? []),
    async stop(within) {
      stopped = true;
      clearInterval(ticking);
      files.close();
      const watched = watch.stop();
      const all = [...children.values()];
      for (const { process: child } of all) child.kill('SIGTERM');
      const late = setTimeout(() => {
        for (const { process: child } of all) child.kill('SIGKILL');
      }, within);
      // Why each of them ended was logged by its run.
      await Promise.allSettled(all.map(({ result }) => result));
      clearTimeout(late);
      await watched;
    },
  };
}

function watchedOf(transfer: Transfer): Watched[] {
  const folder = watchedFolder(transfer);
  return folder === null ? [] : [{ name: transfer.name, definition: JSON.stringify(transfer), folder }];
}

/** Where a password stands that came with a definition, from the workspace. */
export const secretFile = (name: string): string => `secrets/${name}`;

/** For this user alone, and never in git. */
function keepSecret(path: string, secret: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  replaceFile(join(dirname(path), '.gitignore'), '*\n');
  replaceFile(path, secret, 0o600);
}

/** What runs that were killed had on the way: the warehouse has none of it, and the next run reads it again. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) if (name.startsWith('transfer-')) rmSync(join(folder, name), { recursive: true, force: true });
}

interface Child {
  readonly process: ChildProcess;
  readonly result: Promise<unknown>;
  /** Of a run that follows. Errors: TRANSFER_ENDED when the child is gone before it answered. */
  compare(run: string): Promise<RunReport>;
}

function failedReport(transfer: string, { run, kind }: Pick<TransferRun, 'run' | 'kind'>, thrown: unknown): RunReport {
  const now = new Date().toISOString();
  const own = kind === 'verify' ? { kind } : {};
  return { run, transfer, ...own, began: now, ended: now, outcome: 'failed', tables: [], error: asMillraceError(thrown).body };
}

/**
 * Runs one job in a child of its own, `after` something else, with `temporary` as its folder for what is on the way, if they are given. Errors:
 * the job's, TRANSFER_ENDED when the child is gone before it answered.
 */
function forkJob(
  job: TransferJob,
  onProgress: (progress: Progress) => void = () => {},
  { temporary, after = Promise.resolve() }: { temporary?: string; after?: Promise<void> } = {},
): Child {
  const child = fork(fileURLToPath(new URL('./transfer.ts', import.meta.url)), [], {
    serialization: 'advanced',
    env: { ...process.env, TZ: 'UTC', MALLOC_ARENA_MAX: '2', ...(temporary === undefined ? {} : { TMPDIR: temporary }) },
    // Buffers of rows live outside of the heap; what is inside is small.
    execArgv: [...process.execArgv, '--max-old-space-size=160', '--max-semi-space-size=2'],
  });
  const comparisons = new Map<string, PromiseWithResolvers<RunReport>>();
  const result = new Promise<unknown>((resolve, reject) => {
    child.on('message', (message: TransferMessage) => {
      if (message.kind === 'progress') onProgress(message.progress);
      else if (message.kind === 'compared') comparisons.get(message.report.run)?.resolve(message.report);
      else if (message.kind === 'done') resolve(message.result);
      else reject(errorFromBody(message.error));
    });
    child.once('error', (error) => reject(new MillraceError('TRANSFER_ENDED', { transfer: jobName(job), problem: error.message }, error)));
    child.once('exit', (code, signal) =>
      reject(new MillraceError('TRANSFER_ENDED', { transfer: jobName(job), problem: `its process ended (${signal ?? code})` })),
    );
  });
  // Whoever awaits it gets the rejection.
  result.catch(() => {});
  void after.then(() => child.connected && child.send(job));
  const compare = async (run: string): Promise<RunReport> => {
    const comparison = Promise.withResolvers<RunReport>();
    comparisons.set(run, comparison);
    child.send({ kind: 'compare', run } satisfies Comparison, (error) => error && comparison.reject(error));
    const gone = result.then(() => fail('TRANSFER_ENDED', { transfer: jobName(job), problem: 'its run ended' }));
    try {
      return await Promise.race([comparison.promise, gone]);
    } finally {
      comparisons.delete(run);
    }
  };
  return { process: child, result, compare };
}

function jobName(job: TransferJob): string {
  return 'transfer' in job ? job.transfer.name : job.kind;
}

/** Guesses and previews for a user at this machine, who may read any file that is theirs. Errors: those of the source. */
export function lookAtSource(job: Extract<TransferJob, { kind: 'guess' | 'preview' | 'plan' }>): Promise<unknown> {
  return forkJob(job).result;
}
