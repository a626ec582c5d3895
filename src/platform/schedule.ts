/**
 * When transfers run by themselves. A run that is due while the last one goes on is left out; one that failed is tried again only if its
 * error says that this may help, after 30 s, 1 min, 2 min … (at most an hour), and not beyond the next time that it is due. One that somebody
 * stopped waits for that time.
 *
 * A transfer that follows a log (`always`) begins at once, and again after 1 s, 2 s, 4 s … (at most five minutes) for as long as its error
 * may pass. One that was stopped, or has failed for good, waits for somebody, for a new definition, or for Millrace's next start.
 *
 * One whose folder is watched (`files`) begins when files have come, with those that no run has brought yet, and again after 30 s, 1 min,
 * 2 min … (at most five) for as long as its error may pass: it has no other time at which it is due. One that was stopped, or has failed for
 * good, waits until something changes in its folder.
 */
import { Cron } from 'croner';
import { asMillraceError, type Millis, type Transfer, type TransferSchedule } from '#core';
import type { RunReport } from '#transfer';
import type { Arrivals } from './watch/arrivals.ts';

export interface Alert {
  /** `different`: a run was whole, and what is here is not what the source has. */
  readonly event: 'failed' | 'different' | 'recovered';
  readonly transfer: string;
  readonly run: string;
  readonly at: string;
  readonly code: string | null;
  readonly message: string | null;
}

export interface Schedule {
  /** Begins what is due. Called every second or so; a time that passed while nobody called counts once. */
  tick(now: Millis): void;
  /** What has come to the folder of a transfer that is watched. */
  came(transfer: string, arrivals: Arrivals): void;
  /** When it begins a run by itself as far as that is known; null where it goes on, or waits for something else than the time. */
  next(transfer: string): Millis | null;
  /** Somebody has stopped the transfer: the run that is under way, if one is, and what was to be tried again. */
  halt(transfer: string, run: string | null): void;
  /** Takes note of how a run ended, whoever began it. */
  ended(report: RunReport, now: Millis): void;
}

export interface ScheduleInput {
  readonly transfers: () => readonly Transfer[];
  /** For those that name no zone. */
  readonly timeZone: () => string;
  /** Begins a run and gives its id; with `files`, one that looks at no others. Errors: TRANSFER_BUSY. */
  readonly start: (transfer: string, files?: readonly string[]) => string;
  /** Asks a run to end, which `ended` will tell. False when none runs. */
  readonly stop: (transfer: string) => boolean;
  readonly alert: (topic: string, alert: Alert) => void;
  readonly log: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

const FIRST_WAIT: Millis = 30_000;
const LONGEST_WAIT: Millis = 3_600_000;
const FIRST_BREAK: Millis = 1_000;
const LONGEST_BREAK: Millis = 300_000;
/** A run that has followed its source for so long is well again. */
const STEADY: Millis = 60_000;

interface Standing {
  readonly cron: Cron;
  /** What it was made from. */
  readonly spelled: string;
  next: Millis;
  retry: Millis | null;
  failures: number;
  /** What its topic heard last. */
  alarmed: Exclude<Alert['event'], 'recovered'> | null;
}

/** A transfer that follows a log. */
interface Follower {
  /** What it was begun from. */
  readonly spelled: string;
  /** When it is to begin; null while it runs, or is not to. */
  next: Millis | null;
  /** A run of the former definition is ending; its end begins the next. */
  awaits: boolean;
  run: string;
  began: Millis | null;
  failures: number;
  alarmed: boolean;
}

/** A transfer whose folder is watched. */
interface Watcher {
  readonly spelled: string;
  /** Files that have come and that no run has brought. */
  readonly waiting: Set<string>;
  /** Those of them that the run which goes on brings. */
  taken: readonly string[];
  run: string;
  /** Something changed since the last run began. */
  due: boolean;
  retry: Millis | null;
  failures: number;
  failed: boolean;
  alarmed: Standing['alarmed'];
}

export function openSchedule({ transfers, timeZone, start, stop, alert, log }: ScheduleInput): Schedule {
  const standings = new Map<string, Standing>();
  const followers = new Map<string, Follower>();
  const watchers = new Map<string, Watcher>();
  /** Runs that somebody stopped. */
  const halted = new Set<string>();

  function standingOf(transfer: Transfer, now: Millis): Standing | null {
    const { schedule, name } = transfer;
    if (schedule === undefined) {
      standings.delete(name);
      return null;
    }
    const zone = schedule.timeZone ?? timeZone();
    const spelled = `${schedule.cron} ${zone}`;
    const known = standings.get(name);
    if (known?.spelled === spelled) return known;
    const cron = new Cron(schedule.cron, { timezone: zone, mode: '5-part', paused: true });
    const made: Standing = { cron, spelled, next: after(cron, now), retry: null, failures: 0, alarmed: known?.alarmed ?? null };
    standings.set(name, made);
    return made;
  }

  /** The run's id; empty where it could not begin, null where another of the transfer goes on. */
  function begin(name: string, files?: readonly string[]): string | null {
    try {
      return start(name, files);
    } catch (thrown) {
      const { code, message } = asMillraceError(thrown);
      if (code === 'TRANSFER_BUSY') return null;
      log('error', 'transfer.not_begun', { transfer: name, code, message });
      return '';
    }
  }

  function tell(schedule: TransferSchedule, event: Alert['event'], { transfer, run, ended, error, tables = [] }: Told): void {
    if (schedule.alerts === null) return;
    const message = event === 'different' ? differences(tables) : (error?.message ?? null);
    alert(schedule.alerts, { event, transfer, run, at: ended, code: error?.code ?? null, message });
  }

  function follow(transfer: Transfer, now: Millis): void {
    const { name, schedule } = transfer;
    const spelled = JSON.stringify(transfer);
    let own = followers.get(name);
    if (own?.spelled !== spelled) {
      const awaits = own !== undefined && stop(name);
      own = { spelled, next: awaits ? null : now, awaits, run: '', began: null, failures: 0, alarmed: own?.alarmed ?? false };
      followers.set(name, own);
    }
    if (own.next !== null && now >= own.next) {
      const run = begin(name);
      // A comparison by itself, or a run by hand: when that is over it begins.
      own.next = run === null ? now + FIRST_BREAK : null;
      own.began = run === null ? null : now;
      own.run = run ?? '';
    } else if (own.began !== null && now - own.began >= STEADY) {
      own.failures = 0;
      if (own.alarmed) tell(schedule!, 'recovered', { transfer: name, run: own.run, ended: new Date(now).toISOString(), error: null });
      own.alarmed = false;
    }
  }

  function broke(own: Follower, schedule: TransferSchedule, report: RunReport, now: Millis): void {
    const steady = own.began !== null && now - own.began >= STEADY;
    own.began = null;
    if (own.awaits) {
      own.awaits = false;
      own.next = now;
      return;
    }
    // Somebody stopped it.
    if (report.error === null || halted.has(report.run)) return;
    own.failures = steady ? 1 : own.failures + 1;
    if (report.error.retryable) own.next = now + Math.min(LONGEST_BREAK, FIRST_BREAK * 2 ** (own.failures - 1));
    if (own.alarmed || (report.error.retryable && own.failures <= schedule.retries)) return;
    own.alarmed = true;
    tell(schedule, 'failed', report);
  }

  function watch(transfer: Transfer, now: Millis): void {
    const { name } = transfer;
    const spelled = JSON.stringify(transfer);
    let own = watchers.get(name);
    if (own?.spelled !== spelled) {
      const { failed = false, alarmed = null } = own ?? {};
      // The files of the folder are told anew.
      own = { spelled, waiting: new Set(), taken: [], run: '', due: false, retry: null, failures: 0, failed, alarmed };
      watchers.set(name, own);
    }
    if (own.retry === null ? !own.due : now < own.retry) return;
    const taken = [...own.waiting];
    const run = begin(name, taken);
    // A comparison or a run by hand: when that is over it begins.
    if (run === null) return;
    own.due = false;
    own.retry = run === '' ? now + FIRST_WAIT : null;
    if (run === '') return;
    own.run = run;
    own.taken = taken;
    own.waiting.clear();
  }

  function brought(own: Watcher, schedule: TransferSchedule, report: RunReport, now: Millis): void {
    own.failed = report.error !== null;
    if (report.run === own.run) {
      if (own.failed) for (const file of own.taken) own.waiting.add(file);
      own.taken = [];
    }
    if (halted.has(report.run)) return;
    if (report.error?.retryable === true) {
      own.retry = now + Math.min(LONGEST_BREAK, FIRST_WAIT * 2 ** own.failures++);
      if (own.failures <= schedule.retries) return;
    } else own.failures = 0;
    judge(own, schedule, report);
  }

  /** Tells the topic what it does not know yet. */
  function judge(own: Pick<Standing, 'alarmed'>, schedule: TransferSchedule, report: RunReport): void {
    const wrong = report.outcome === 'failed' ? 'failed' : report.tables.some(({ parity }) => parity?.equal === false) ? 'different' : null;
    if (wrong !== own.alarmed) tell(schedule, wrong ?? 'recovered', report);
    own.alarmed = wrong;
  }

  return {
    came(transfer, { files, problem }) {
      const own = watchers.get(transfer);
      if (own === undefined) return;
      for (const file of files) own.waiting.add(file);
      // What made the last run fail may be gone.
      if (files.length > 0 || problem !== null || own.failed) own.due = true;
    },
    next(transfer) {
      const standing = standings.get(transfer);
      const next = standing === undefined ? null : Math.min(standing.next, standing.retry ?? Number.POSITIVE_INFINITY);
      const known = next ?? followers.get(transfer)?.next ?? watchers.get(transfer)?.retry ?? null;
      return known === Number.POSITIVE_INFINITY ? null : known;
    },
    halt(transfer, run) {
      if (run !== null) halted.add(run);
      const standing = standings.get(transfer);
      if (standing !== undefined) standing.retry = null;
      const follower = followers.get(transfer);
      if (follower !== undefined) follower.next = null;
      const watcher = watchers.get(transfer);
      if (watcher !== undefined) Object.assign(watcher, { due: false, retry: null });
    },
    tick(now) {
      const all = transfers();
      for (const name of followers.keys()) {
        if (all.some((transfer) => transfer.name === name && transfer.schedule?.cron === 'always')) continue;
        stop(name);
        followers.delete(name);
      }
      for (const name of watchers.keys())
        if (!all.some((transfer) => transfer.name === name && transfer.schedule?.cron === 'files')) watchers.delete(name);
      for (const transfer of all) {
        const { cron } = transfer.schedule ?? {};
        if (cron === 'always' || cron === 'files') {
          standings.delete(transfer.name);
          if (cron === 'always') follow(transfer, now);
          else watch(transfer, now);
          continue;
        }
        const standing = standingOf(transfer, now);
        if (standing === null) continue;
        const due = now >= standing.next;
        if (due) {
          standing.next = after(standing.cron, now);
          standing.failures = 0;
        }
        if (!due && (standing.retry === null || now < standing.retry)) continue;
        standing.retry = null;
        if (begin(transfer.name) === null) log('info', 'transfer.left_out', { transfer: transfer.name });
      }
    },
    ended(report, now) {
      const schedule = transfers().find(({ name }) => name === report.transfer)?.schedule;
      const follower = followers.get(report.transfer);
      if (schedule !== undefined && follower !== undefined) {
        broke(follower, schedule, report, now);
        halted.delete(report.run);
        return;
      }
      const watcher = watchers.get(report.transfer);
      if (schedule !== undefined && watcher !== undefined) {
        brought(watcher, schedule, report, now);
        halted.delete(report.run);
        return;
      }
      const standing = standings.get(report.transfer);
      if (halted.delete(report.run) || schedule === undefined || standing === undefined) return;
      if (report.error?.retryable === true && standing.failures < schedule.retries) {
        standing.retry = now + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** standing.failures++);
        return;
      }
      judge(standing, schedule, report);
      if (standing.alarmed !== 'failed') standing.failures = 0;
    },
  };
}

type Told = Pick<RunReport, 'transfer' | 'run' | 'ended' | 'error'> & Partial<Pick<RunReport, 'tables'>>;

function differences(tables: RunReport['tables']): string {
  const each = tables.flatMap(({ source, parity }) =>
    parity?.equal === false ? [`${source} (${parity.source.rows} rows there, ${parity.warehouse.rows} here)`] : [],
  );
  return `Both sides differ: ${each.join(', ')}. "millrace transfer history" lists the keys.`;
}

function after(cron: Cron, now: Millis): Millis {
  return cron.nextRun(new Date(now))?.getTime() ?? Number.POSITIVE_INFINITY;
}
