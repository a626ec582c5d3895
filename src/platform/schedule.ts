/**
 * When transfers run by themselves. A run that is due while the last one goes on is left out; one that failed is tried again only if its
 * error says that this may help, after 30 s, 1 min, 2 min … (at most an hour), and not beyond the next time that it is due.
 */
import { Cron } from 'croner';
import { asMillraceError, type Millis, type Transfer } from '#core';
import type { RunReport } from '#transfer';

export interface Alert {
  readonly event: 'failed' | 'recovered';
  readonly transfer: string;
  readonly run: string;
  readonly at: string;
  readonly code: string | null;
  readonly message: string | null;
}

export interface Schedule {
  /** Begins what is due. Called every second or so; a time that passed while nobody called counts once. */
  tick(now: Millis): void;
  /** Takes note of how a run ended, whoever began it. */
  ended(report: RunReport, now: Millis): void;
}

export interface ScheduleInput {
  readonly transfers: () => readonly Transfer[];
  /** For those that name no zone. */
  readonly timeZone: () => string;
  readonly start: (transfer: string) => void;
  readonly alert: (topic: string, alert: Alert) => void;
  readonly log: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

const FIRST_WAIT: Millis = 30_000;
const LONGEST_WAIT: Millis = 3_600_000;

interface Standing {
  readonly cron: Cron;
  /** What it was made from. */
  readonly spelled: string;
  next: Millis;
  retry: Millis | null;
  failures: number;
  alarmed: boolean;
}

export function openSchedule({ transfers, timeZone, start, alert, log }: ScheduleInput): Schedule {
  const standings = new Map<string, Standing>();

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
    const made: Standing = { cron, spelled, next: after(cron, now), retry: null, failures: 0, alarmed: known?.alarmed ?? false };
    standings.set(name, made);
    return made;
  }

  function begin(name: string): void {
    try {
      start(name);
    } catch (thrown) {
      const { code, message } = asMillraceError(thrown);
      log(code === 'TRANSFER_BUSY' ? 'info' : 'error', 'transfer.not_begun', { transfer: name, code, message });
    }
  }

  return {
    tick(now) {
      for (const transfer of transfers()) {
        const standing = standingOf(transfer, now);
        if (standing === null) continue;
        const due = now >= standing.next;
        if (due) {
          standing.next = after(standing.cron, now);
          standing.failures = 0;
        }
        if (!due && (standing.retry === null || now < standing.retry)) continue;
        standing.retry = null;
        begin(transfer.name);
      }
    },
    ended(report, now) {
      const schedule = transfers().find(({ name }) => name === report.transfer)?.schedule;
      const standing = standings.get(report.transfer);
      if (schedule === undefined || standing === undefined) return;
      if (report.error?.retryable === true && standing.failures < schedule.retries) {
        standing.retry = now + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** standing.failures++);
        return;
      }
      const failed = report.outcome === 'failed';
      if (failed !== standing.alarmed && schedule.alerts !== null)
        alert(schedule.alerts, {
          event: failed ? 'failed' : 'recovered',
          transfer: report.transfer,
          run: report.run,
          at: report.ended,
          code: report.error?.code ?? null,
          message: report.error?.message ?? null,
        });
      standing.alarmed = failed;
      if (!failed) standing.failures = 0;
    },
  };
}

function after(cron: Cron, now: Millis): Millis {
  return cron.nextRun(new Date(now))?.getTime() ?? Number.POSITIVE_INFINITY;
}
