import type { Millis, Role } from '#core';
import type { Store, Transaction } from '#store';
import type { JobState } from './query.ts';

const EVERY: Millis = 500;
/** Rows that wait while the warehouse can't write: beyond it the oldest go, and a row `dropped` says how many. */
const WAITING = 10_000;
const KEPT = 'INTERVAL 30 DAY';
/** Rows in one statement: each statement is a way through the write lane, which deliveries wait for. */
const AT_ONCE = 200;
/** Before this process's own rows: a question that began and has no end went with an earlier process. */
const LOST = `INSERT INTO millrace.query_log
  SELECT now(), job, 'lost', who, role, began, epoch_ms(now()) - epoch_ms(began), 0, 'STORE_UNAVAILABLE', $1, sql
  FROM millrace.query_log b WHERE event = 'began'
    AND NOT EXISTS (FROM millrace.query_log e WHERE e.job = b.job AND e.began = b.began AND e.event <> 'began')`;
const EXPIRE_EVERY: Millis = 3_600_000;

/**
 * Who asked what, and how it ended, in `millrace.query_log`: one row for each end (`done`, `failed`, `cancelled`, and for what the
 * program stopped its `code` and `reason`). A question that runs longer than half a second has a row `began` too, so that one which
 * went with the process (memory, a crash) is known after the restart: it gets the row `lost`. Rows are appended only: an updated row
 * would block checkpoints while any older reader is open.
 */
export interface QueryLog {
  began(state: JobState, role: Role): void;
  ended(state: JobState, role: Role): void;
  /** It is asked again by itself, under its own name: no end, and none that is lost. */
  again(state: JobState, role: Role): void;
  close(): Promise<void>;
}

interface Entry {
  readonly state: JobState;
  readonly role: Role;
}

/** `lost` is the reason of those that went with the process before. */
export function openQueryLog(
  store: Pick<Store, 'write'>,
  onProblem: (problem: unknown) => void,
  lost = 'the process ended while it ran',
): QueryLog {
  /** Running, without a row yet. */
  const fresh = new Map<string, Entry>();
  let rows: unknown[][] = [];
  let dropped = 0;
  let expired = 0;
  let busy: Promise<void> | null = null;
  let first = true;
  /** A failure that lasts is told once. */
  let failing = false;

  function add(event: string, { state, role }: Entry): void {
    const { id, who, started, elapsed_ms, rows: count, error, sql } = state;
    rows.push([
      new Date().toISOString(),
      id,
      event,
      who,
      role,
      started,
      elapsed_ms,
      count,
      error?.code ?? null,
      error?.message ?? null,
      sql,
    ]);
    if (rows.length <= WAITING) return;
    rows.shift();
    dropped++;
  }

  async function flush(): Promise<void> {
    for (const entry of fresh.values()) add('began', entry);
    fresh.clear();
    const expire = performance.now() - expired > EXPIRE_EVERY || expired === 0;
    if (rows.length === 0 && !first) return;
    const writing = rows;
    rows = [];
    try {
      await store.write(async (tx) => {
        if (first) await tx.run(LOST, [lost]);
        const all = dropped > 0 ? [...writing, droppedRow(dropped)] : writing;
        for (let k = 0; k < all.length; k += AT_ONCE) await insert(tx, all.slice(k, k + AT_ONCE));
        if (expire) await tx.run(`DELETE FROM millrace.query_log WHERE logged < now() - ${KEPT}`);
      });
      first = false;
      failing = false;
      dropped = 0;
      if (expire) expired = performance.now();
    } catch (thrown) {
      if (!failing) onProblem(thrown);
      failing = true;
      // They wait for the next time.
      rows = [...writing, ...rows].slice(-WAITING);
    }
  }

  function run(): Promise<void> {
    busy ??= flush().finally(() => {
      busy = null;
    });
    return busy;
  }

  const timer = setInterval(run, EVERY).unref();
  return {
    began: (state, role) => void fresh.set(state.id, { state, role }),
    ended(state, role) {
      fresh.delete(state.id);
      add(state.error === null ? 'done' : state.state === 'cancelled' ? 'cancelled' : 'failed', { state, role });
    },
    again(state, role) {
      // Without a row of its beginning there is nothing to take back.
      if (!fresh.delete(state.id)) add('again', { state, role });
    },
    async close() {
      clearInterval(timer);
      await busy;
      await run();
    },
  };
}

async function insert(tx: Transaction, rows: readonly unknown[][]): Promise<void> {
  const values = rows.map((row, k) => `(${row.map((_, column) => `$${k * row.length + column + 1}`).join(', ')})`);
  await tx.run(
    `INSERT INTO millrace.query_log SELECT logged::TIMESTAMPTZ, job, event, who, role, began::TIMESTAMPTZ, elapsed::DOUBLE::BIGINT, rows::DOUBLE::BIGINT, code, reason, sql
     FROM (VALUES ${values.join(', ')}) t(logged, job, event, who, role, began, elapsed, rows, code, reason, sql)`,
    rows.flat(),
  );
}

function droppedRow(count: number): unknown[] {
  const now = new Date().toISOString();
  return [now, '', 'dropped', 'millrace', 'admin', now, 0, 0, null, `${count} rows of this log, while the warehouse could not write`, ''];
}
