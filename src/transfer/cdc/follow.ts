/**
 * A run that stays: tables that the warehouse does not have are copied whole as of one moment, then the source's log is followed from
 * there. Changes are gathered while the warehouse writes the ones before; each write has the source's position in its own transaction.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError, type Bytes, fail, type Millis, MillraceError, type Transfer } from '#core';
import type { TransferTarget } from '#store';
import { compare } from '../parity.ts';
import { emptyReport, type TableReport } from '../report.ts';
import { writeSlice } from '../rows.ts';
import type { PlannedTable, Running } from '../run.ts';
import type { Opened, SourceColumn, SourceTable } from '../source.ts';
import type { Feed, FeedEvent, Followed } from './feed.ts';
import { Pending } from './pending.ts';

/** A write begins at most so often, and as soon as so much waits; beyond the last the source is made to wait. */
const TICK: Millis = 100;
const MOST: Bytes = 16 * 1024 * 1024;
/** So long a table may be away that is made again. */
const AWAY: Millis = 5_000;
/** So often a source whose log grows by other tables hears that it may drop it. */
const IDLE: Millis = 10_000;

const CALLED = Symbol('called');

/** The number of the write that says where the stream begins. */
const FIRST = 1;

/**
 * Both sides at one moment, while they go on: the source is read as of a position, and the warehouse once it has all changes up to there
 * and none beyond. Changes wait from then until the comparison is done.
 */
interface Meeting {
  /** Null until the source is read as of it. */
  position: string | null;
  readonly done: PromiseWithResolvers<TableReport[]>;
}

/** One table that is followed, on both sides. */
export interface Stream {
  readonly followed: Followed;
  readonly report: TableReport;
  plan: PlannedTable;
  target: TransferTarget;
  /** Those that the warehouse takes. */
  columns: readonly SourceColumn[];
  pending: Pending;
  /** The position of its whole copy: what was committed before is in it. Null where the stream was there already. */
  since: string | null;
}

export interface Following {
  readonly transfer: Transfer;
  readonly plans: readonly PlannedTable[];
  readonly reports: readonly TableReport[];
  readonly running: Running;
  /** Copies one table into its hidden place, as a full run does. */
  readonly copy: (of: Pick<Stream, 'plan' | 'target' | 'columns'>, report: TableReport) => Promise<void>;
  readonly targetOf: (plan: PlannedTable) => TransferTarget;
  /** What the source says of the table now. */
  readonly plan: (source: string) => Promise<PlannedTable>;
}

/** Ends when it is told to. Errors: TRANSFER_CHANGES, TRANSFER_GAP, TRANSFER_READ, TRANSFER_CONNECT and those of the warehouse. */
export async function follow(following: Following): Promise<void> {
  const { transfer, plans, running } = following;
  const feed = feedOf(running.source, transfer);
  try {
    const { position, tables } = await running.warehouse.stream({ transfer: transfer.name, run: running.run });
    const known = plans.map(({ definition: { source, target } }) => {
      const cursor = tables.find((each) => each.source === source && each.target === target)?.position ?? null;
      return cursor !== null && feed.isPosition(cursor) ? cursor : null;
    });
    // Where no table goes on from before, it does not matter where the stream stood.
    const stood = known.every((since) => since === null) || position === null || !feed.isPosition(position) ? null : position;
    const followed = plans.map((plan, k) => ({ table: asDefined(plan), key: plan.key, known: known[k] !== null }));
    const from = await feed.prepare(followed, stood);
    // Before any copy is whole: one without a position of the stream would go on from the log's end of that later moment, over a gap.
    if (stood === null)
      await running.warehouse.changes({ transfer: transfer.name, run: running.run, number: FIRST, position: from, changes: [] });
    const streams = await bringIn(following, feed, followed, known);
    for (const { plan, report } of streams) report.notes.push(...((await feed.untold?.(plan.table)) ?? []));
    for (const stream of streams) if (stream.since !== null && stood !== null && feed.isBefore(stream.since, stood)) stream.since = null;
    await new Follower(following, feed, streams).run(from);
  } finally {
    await feed.close();
  }
}

function feedOf(source: Opened, transfer: Transfer): Feed {
  const feed = source.feed?.(transfer.name);
  return feed ?? fail('TRANSFER_CHANGES', { source: transfer.source, problem: 'it has no log of changes; use another mode' });
}

/** Whole copies of the tables that have no position yet; the others go on where they are. */
async function bringIn(
  following: Following,
  feed: Feed,
  followed: readonly Followed[],
  known: readonly (string | null)[],
): Promise<Stream[]> {
  const { plans, reports, running, targetOf } = following;
  const streams = plans.map((plan, k): Stream => {
    const target = targetOf(plan);
    return {
      followed: followed[k]!,
      report: reports[k]!,
      plan,
      target,
      columns: plan.columns,
      pending: pendingOf(plan),
      since: known[k]!,
    };
  });
  const fresh = streams.filter(({ since }) => since === null);
  if (fresh.length > 0) {
    const position = await feed.freeze();
    for (const stream of fresh) await bringWhole(following, stream, position);
    await feed.thaw();
  }
  for (const stream of streams) {
    stream.report.cursor = stream.since;
    if (!fresh.includes(stream)) await reshape(stream, running);
  }
  return streams;
}

/** A whole copy as of the position, at which the source is read. */
async function bringWhole({ running, copy }: Following, stream: Stream, position: string): Promise<void> {
  const { plan, target, report } = stream;
  const began = performance.now();
  const opened = await running.warehouse.open(target);
  stream.columns = plan.columns.filter(({ name }) => opened.columns.includes(name));
  await copy(stream, report);
  await running.warehouse.close(target, position);
  stream.since = position;
  const span = { cursor: null, after: null, upTo: null };
  report.parity = await compare({
    plan: { ...plan, columns: stream.columns },
    span,
    run: running.run,
    source: running.source,
    warehouse: running.warehouse,
  });
  report.seconds = (performance.now() - began) / 1000;
}

/** Brings the warehouse's table to the source's columns, as far as its drift policy says. */
async function reshape(stream: Stream, running: Running): Promise<void> {
  const { columns, notes, replayed } = await running.warehouse.reshape(stream.target);
  stream.columns = stream.plan.columns.filter(({ name }) => columns.includes(name));
  stream.report.notes.push(...notes, ...(replayed > 0 ? [`${replayed} rows that were held fit now`] : []));
  stream.report.rows += replayed;
}

/** The definition's types are those of the cells, by the log as by a copy. */
function asDefined({ table, columns }: PlannedTable): SourceTable {
  return { ...table, columns };
}

function pendingOf({ table, key }: PlannedTable): Pending {
  return new Pending(key.map((name) => table.columns.findIndex((column) => column.name === name)));
}

class Follower {
  readonly #following: Following;
  readonly #feed: Feed;
  readonly #streams: readonly Stream[];
  #number = FIRST;
  /** The end of the last whole transaction that was taken in, and what the warehouse has. */
  #position = '';
  #written = '';
  #within = false;
  /** Where the transaction that is being taken in begins. */
  #begin = '';
  #writing: Promise<void> | null = null;
  #failure: unknown = null;
  #lastWrite = 0;
  #timer: NodeJS.Timeout | null = null;
  #changes = 0;
  #bytes = 0;

  constructor(following: Following, feed: Feed, streams: readonly Stream[]) {
    this.#following = following;
    this.#feed = feed;
    this.#streams = streams;
  }

  async run(from: string): Promise<void> {
    const { running } = this.#following;
    this.#position = from;
    this.#written = from;
    const events = this.#feed
      .changes(
        this.#streams.map(({ followed }) => followed),
        from,
      )
      [Symbol.asyncIterator]();
    const stopped = new Promise<null>((resolve) => running.signal.addEventListener('abort', () => resolve(null), { once: true }));
    const broken = Promise.withResolvers<null>();
    this.#broken = () => broken.resolve(null);
    this.#stopped = stopped;
    this.#tell();
    running.onFollowing?.(() => this.#compare());
    let coming: Promise<IteratorResult<readonly FeedEvent[]>> | null = null;
    try {
      while (!running.signal.aborted) {
        coming ??= events.next();
        const next = await Promise.race([coming, stopped, broken.promise, this.#called.promise]);
        if (this.#failure !== null) throw this.#failure;
        if (next === CALLED) this.#called = Promise.withResolvers();
        else {
          coming = null;
          if (next === null || next.done === true) break;
          for (const event of next.value) await this.#take(event);
        }
        if (!this.#within) await this.#meet(this.#position);
        await this.#offer();
      }
      // What is whole is written; the rest comes again.
      await this.#settle();
      if (!this.#within && this.#position !== this.#written) await this.#write();
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer);
      await this.#writing?.catch(() => {});
      this.#over = true;
      this.#meeting?.done.reject(this.#ended());
      this.#meeting = null;
      events.return?.().catch(() => {});
    }
    await running.warehouse.pause({ transfer: this.#following.transfer.name, run: running.run });
  }

  #broken = () => {};
  #stopped: Promise<null> = Promise.resolve(null);
  #called = Promise.withResolvers<typeof CALLED>();
  #meeting: Meeting | null = null;
  #over = false;

  /** Each table's report with its parity. Errors: TRANSFER_BUSY, TRANSFER_ENDED, TRANSFER_READ, TRANSFER_CONNECT. */
  async #compare(): Promise<TableReport[]> {
    if (this.#over) throw this.#ended();
    if (this.#meeting !== null) fail('TRANSFER_BUSY', { transfer: this.#following.transfer.name });
    this.#meeting = { position: null, done: Promise.withResolvers() };
    const { promise } = this.#meeting.done;
    this.#called.resolve(CALLED);
    return promise;
  }

  /** Between two transactions: everything before `position` was taken in, and nothing beyond. */
  async #meet(position: string): Promise<void> {
    const meeting = this.#meeting;
    if (meeting === null) return;
    try {
      // Nothing is taken in meanwhile: it might be beyond what the source is read as of.
      meeting.position ??= await this.#unlessStopped(this.#feed.freeze());
    } catch (thrown) {
      this.#meeting = null;
      meeting.done.reject(thrown);
      return;
    }
    if (this.#feed.isBefore(position, meeting.position)) return;
    await this.#settle();
    if (this.#streams.some(({ pending }) => !pending.empty)) await this.#write();
    if (this.#failure !== null) throw this.#failure;
    this.#meeting = null;
    await this.#unlessStopped(this.#parities()).then(meeting.done.resolve, meeting.done.reject);
    // The reading that goes on ends with the connection.
    if (!this.#following.running.signal.aborted) await this.#feed.thaw();
  }

  async #parities(): Promise<TableReport[]> {
    const { run, source, warehouse } = this.#following.running;
    const span = { cursor: null, after: null, upTo: null };
    const reports: TableReport[] = [];
    for (const { plan, columns } of this.#streams) {
      const parity = await compare({ plan: { ...plan, columns }, span, run, source, warehouse });
      reports.push({ ...emptyReport(plan.definition), parity });
    }
    return reports;
  }

  async #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const done = await Promise.race([work, this.#stopped]);
    if (done === null) throw this.#ended();
    return done;
  }

  #ended(): MillraceError {
    return new MillraceError('TRANSFER_ENDED', { transfer: this.#following.transfer.name, problem: 'its run ended' });
  }

  async #take(event: FeedEvent): Promise<void> {
    switch (event.kind) {
      case 'begin':
        await this.#meet(event.position);
        this.#begin = event.position;
        this.#within = true;
        return;
      case 'commit':
        this.#position = event.position;
        this.#within = false;
        return;
      case 'idle':
        this.#position = event.position;
        return;
      case 'shape':
        return this.#reshape(this.#streams[event.table]!);
      default: {
        const stream = this.#streams[event.table]!;
        if (stream.since !== null && this.#feed.isBefore(this.#begin, stream.since)) return;
        if (event.kind === 'unread') throw event.error;
        if (event.kind === 'replaced') return this.#copyAnew(stream);
        stream.report.read++;
        if (event.kind === 'upsert') stream.pending.upsert(event.cells, event.before);
        else if (event.kind === 'delete') stream.pending.delete(event.cells);
        else {
          if (event.kind === 'gone') await this.#planNow(stream);
          stream.pending.truncate();
        }
        if (this.#waiting() >= MOST) {
          await this.#settle();
          await this.#write();
        }
      }
    }
  }

  #waiting(): Bytes {
    let size = 0;
    for (const { pending } of this.#streams) size += pending.size;
    return size;
  }

  /** Writes if it is time to; never waits. */
  async #offer(): Promise<void> {
    if (this.#writing !== null || this.#timer !== null || this.#within) return;
    const pending = this.#streams.some((stream) => !stream.pending.empty);
    if (!pending && this.#position === this.#written) return;
    const wait = this.#lastWrite + (pending ? TICK : IDLE) - performance.now();
    if (wait <= 0) {
      void this.#write();
      return;
    }
    // An idle position is no reason to be woken: keepalives come by themselves.
    if (!pending) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#offer();
    }, wait);
  }

  async #settle(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#writing !== null) await this.#writing;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Everything that waits goes to the warehouse in one write. A transaction that is not whole yet does not move the position. */
  #write(): Promise<void> {
    this.#lastWrite = performance.now();
    const position = this.#position;
    this.#writing = this.#writeAll(position)
      .then(() => {
        this.#written = position;
        this.#feed.confirm(position);
        this.#writing = null;
        void this.#offer();
      })
      .catch((thrown: unknown) => {
        this.#failure = asMillraceError(thrown);
        this.#writing = null;
        this.#broken();
      });
    return this.#writing;
  }

  async #writeAll(position: string): Promise<void> {
    const { transfer, running } = this.#following;
    const number = ++this.#number;
    const touched = this.#streams.filter(({ pending }) => !pending.empty);
    const changes = touched.map((stream, k) => {
      const { bytes, count, truncate, moved, undecoded } = stream.pending.take();
      const file = join(running.folder, `c${number}-${k}.csv`);
      writeSlice(file, bytes);
      stream.report.bytes += bytes.length;
      this.#changes += count;
      this.#bytes += bytes.length;
      // The file has all of the table's cells; those that the warehouse leaves out by its policy are read over.
      const columns = stream.plan.columns.map(({ name, type }) => ({ name, type }));
      const taken = stream.columns.map(({ name }) => name);
      return { target: { ...stream.target, columns }, taken, file, rows: count, bytes: bytes.length, truncate, moved, undecoded };
    });
    try {
      const applied = await running.warehouse.changes({ transfer: transfer.name, run: running.run, number, position, changes });
      for (const [k, { rows, replaced, quarantined }] of applied.entries()) {
        const { report } = touched[k]!;
        report.rows += rows;
        report.replaced += replaced;
        report.quarantined += quarantined;
        report.cursor = position;
      }
    } finally {
      for (const { file } of changes) rmSync(file, { force: true });
    }
    this.#tell();
  }

  #tell(): void {
    const { running } = this.#following;
    running.onProgress({ table: null, rows: this.#changes, bytes: this.#bytes, total: null, waited: { source: 0, warehouse: 0 } });
  }

  async #reshape(stream: Stream): Promise<void> {
    await this.#settle();
    // What came before has the former columns.
    if (!stream.pending.empty) await this.#write();
    if (this.#failure !== null) throw this.#failure;
    this.#become(stream, await this.#following.plan(stream.plan.definition.source));
    await reshape(stream, this.#following.running);
  }

  /** Another table has the name. Until its copy is whole no write moves the position: a run that is cut off sees this again. */
  async #copyAnew(stream: Stream): Promise<void> {
    await this.#settle();
    this.#become(stream, await this.#planNow(stream));
    const position = await this.#unlessStopped(this.#feed.freeze());
    await bringWhole(this.#following, stream, position);
    await this.#feed.thaw();
    // What a comparison was to read is no longer held.
    if (this.#meeting !== null) this.#meeting.position = null;
    stream.report.notes.push('its rows were replaced by a statement on the whole table: it was copied anew');
  }

  #become(stream: Stream, plan: PlannedTable): void {
    stream.plan = plan;
    stream.target = this.#following.targetOf(plan);
    stream.followed.table = asDefined(plan);
    stream.followed.key = plan.key;
    stream.pending = pendingOf(plan);
  }

  /** A table that is dropped or renamed to be made anew is away for a moment. Errors: TRANSFER_TABLE. */
  async #planNow(stream: Stream): Promise<PlannedTable> {
    const until = performance.now() + AWAY;
    for (;;) {
      try {
        return await this.#following.plan(stream.plan.definition.source);
      } catch (thrown) {
        if (asMillraceError(thrown).code !== 'TRANSFER_TABLE' || performance.now() > until) throw thrown;
      }
      await this.#unlessStopped(sleep(TICK));
    }
  }
}
