/** Events of the log as events of the feed, and where in the log they stand. */
import { fail, MillraceError } from '#core';
import type { Cell, FeedEvent, Followed } from '../cdc/feed.ts';
import { tooLong } from '../database.ts';
import { LONGEST_ROW } from '../rows.ts';
import type { SourceTable } from '../source.ts';
import { bits, headerOf, isRows, queryOf, type RowsEvent, rotateOf, rowsOf, type TableMap, tableMapOf, withoutChecksum } from './events.ts';
import { type Gtid, gtidOf, gtidsBefore, plus } from './gtid.ts';
import { isEarlier, type Place, positionOf, type Spot } from './place.ts';
import { type Effect, type Name, saidBy } from './statement.ts';
import { type Reading, ValueReader } from './values.ts';

export const FORMAT = { query: 2, rotate: 4, xid: 16, tableMap: 19, heartbeat: 27, xaPrepare: 38, queryCompressed: 165, payload: 40 };

interface Mapped {
  readonly map: TableMap;
  readonly table: number;
  /** For each column of the log its place in the followed table; -1 where it has none. */
  readonly places: readonly number[];
  /** Why its rows can't be read. */
  readonly drift: MillraceError | null;
}

/** A table that has these columns. */
export interface Learnt {
  /** How they are read. */
  readonly readings: readonly Reading[];
  /** Where the log ended just afterwards. */
  readonly until: Spot;
}

interface Known {
  readonly table: SourceTable;
  readonly readings: readonly Reading[];
  /** As in `Learnt`; null where they are those of the log here, too. */
  until: Spot | null;
  /** Are they known to be others here? */
  altered: boolean;
}

/** A part of the log that is to be looked through for statements that alter tables. */
export interface Ahead {
  readonly from: Spot;
  readonly until: Spot;
}

export interface Followable {
  readonly database: string;
  readonly tables: readonly Followed[];
  /** Null where the table has other columns by now. */
  readonly learn: (table: SourceTable) => Promise<Learnt | null>;
  /** Where the log is taken up. */
  readonly from: Place;
  /** Does the server take names of tables without regard to case? */
  readonly foldsCase: boolean;
}

/**
 * Events of the log as events of the feed. A transaction is contiguous:
 *
 *   gtid or BEGIN ──► table maps, rows … ──► xid or COMMIT        a statement of its own (DDL) is one as well
 *
 * Where a table map has no names its columns are those of the table at that moment, which the catalog can't be asked for: it says what
 * they are now. They are the same if no statement alters the table between that place and the log's end of now, so the first such map is
 * taken once that part of the log was looked through (`ahead`, `look`).
 */
export class LogReader {
  readonly #database: string;
  readonly #tables: readonly Followed[];
  readonly #learn: Followable['learn'];
  readonly #maps = new Map<number, Mapped | null>();
  readonly #foldsCase: boolean;
  #known: Known[] = [];
  readonly #server: string | null;
  #file: string;
  /** Where the event before ended. */
  #end = 0;
  #within = false;
  /** All transactions up to here; null where they are not known by name. */
  #gtids: string | null;
  /** The one that is being read. */
  #gtid: Gtid | null = null;

  constructor({ database, tables, learn, from, foldsCase }: Followable) {
    this.#foldsCase = foldsCase;
    this.#database = database;
    this.#tables = tables;
    this.#learn = learn;
    this.#server = from.server;
    this.#file = from.file;
    this.#gtids = from.gtids;
  }

  /** How the tables are read that are new to it; gives those that have other columns by now, which the caller has to put in. */
  async learn(): Promise<number[]> {
    this.#maps.clear();
    const altered: number[] = [];
    for (const [k, { table }] of this.#tables.entries()) {
      if (this.#known[k]?.table === table) continue;
      const learnt = await this.#learn(table);
      if (learnt === null) altered.push(k);
      this.#known[k] = { table, readings: learnt?.readings ?? [], until: learnt?.until ?? null, altered: false };
    }
    return altered;
  }

  /** What to look through before this event can be taken; null if nothing. */
  ahead(received: Buffer): Ahead | null {
    const from = { file: this.#file, offset: this.#end };
    for (const known of this.#known)
      if (known.until !== null && !isEarlier(from, known.until)) {
        known.until = null;
        known.altered = false;
      }
    const unsure = (known: Known): known is Known & { until: Spot } => known.until !== null && !known.altered;
    if (received[4] !== FORMAT.tableMap || !this.#known.some(unsure)) return null;
    const map = tableMapOf(withoutChecksum(received));
    if (map.names !== null || !this.#named(map).some((table) => unsure(this.#known[table]!))) return null;
    const ends = this.#known.filter(unsure).map(({ until }) => until);
    return { from, until: ends.reduce((last, end) => (isEarlier(last, end) ? end : last)) };
  }

  /** Looks through the log's events from there on. Cost: that part of the log is sent twice. */
  async look(ahead: Ahead, bunches: AsyncIterable<readonly Buffer[]>): Promise<void> {
    const found = await this.alteredIn(ahead, bunches);
    for (const [k, known] of this.#known.entries()) {
      if (known.until === null || known.altered) continue;
      if (found.has(k)) known.altered = true;
      else known.until = null;
    }
  }

  /** The tables that a statement alters in that part of the log. */
  async alteredIn({ from, until }: Ahead, bunches: AsyncIterable<readonly Buffer[]>): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    let { file } = from;
    for await (const bunch of bunches)
      for (const received of bunch) {
        const { type, end } = headerOf(received);
        let offset = end;
        if (type === FORMAT.rotate) ({ file, position: offset } = rotateOf(withoutChecksum(received)));
        if (type === FORMAT.query || type === FORMAT.queryCompressed) {
          const { database, sql } = queryOf(withoutChecksum(received), type === FORMAT.queryCompressed);
          for (const { does, name } of saidBy(sql, database).effects) if (ALTERS.has(does)) for (const k of this.#named(name)) found.add(k);
        }
        // Some stand in no file.
        if (offset > 0 && !isEarlier({ file, offset }, until)) return found;
      }
    return found;
  }

  /** True when the last event asks for a table's new columns: nothing may be decoded before they are known. */
  take(received: Buffer, out: FeedEvent[]): boolean {
    const event = withoutChecksum(received);
    const { type, time, size, end } = headerOf(event);
    if (type === FORMAT.rotate) {
      const { file, position } = rotateOf(event);
      this.#file = file;
      this.#end = position;
      return false;
    }
    // Where transactions are left out, since they were taken on another server, the event before ended elsewhere.
    const began = end > 0 ? end - size : this.#end;
    if (end > 0) this.#end = end;
    if (type === FORMAT.heartbeat) {
      if (!this.#within && end > 0) out.push({ kind: 'idle', position: this.#at(end, this.#gtids) });
      return false;
    }
    // Only where they are not known: by name the log is taken up in the midst of a file.
    this.#gtids ??= gtidsBefore(type, event);
    const gtid = gtidOf(type, event);
    if (gtid !== null) {
      // Whatever ended the one before, it is whole.
      if (this.#within) this.#commit(time, out, began);
      this.#gtid = gtid;
      this.#begin(began, out);
    } else if (type === FORMAT.query || type === FORMAT.queryCompressed)
      return this.#statement(queryOf(event, type === FORMAT.queryCompressed), { began, time }, out);
    else if (type === FORMAT.xid || type === FORMAT.xaPrepare) this.#commit(time, out);
    else if (type === FORMAT.tableMap) this.#map(tableMapOf(event));
    else if (isRows(type)) this.#rows(rowsOf(type, event), out);
    else if (type === FORMAT.payload)
      fail('TRANSFER_CHANGES', { source: 'mysql', problem: 'binlog_transaction_compression is on; it has to be off' });
    return false;
  }

  #at(offset: number, gtids: string | null): string {
    return positionOf({ file: this.#file, offset, server: this.#server, gtids });
  }

  #begin(began: number, out: FeedEvent[]): void {
    if (this.#within) return;
    this.#within = true;
    out.push({ kind: 'begin', position: this.#at(began, this.#gtid?.name ?? null) });
  }

  #commit(time: number, out: FeedEvent[], end = this.#end): void {
    this.#within = false;
    this.#maps.clear();
    // After one without a name the set says no longer where this is.
    if (this.#gtids !== null) this.#gtids = this.#gtid?.name ? plus(this.#gtids, this.#gtid.name) : null;
    this.#gtid = null;
    out.push({ kind: 'commit', position: this.#at(end, this.#gtids), at: time * 1000 });
  }

  #statement(
    { database, sql }: { database: string; sql: string },
    { began, time }: { began: number; time: number },
    out: FeedEvent[],
  ): boolean {
    const { kind, effects, opens } = saidBy(sql, database);
    this.#begin(began, out);
    if (kind === 'begins') return false;
    if (kind === 'ends') {
      this.#commit(time, out);
      return false;
    }
    const shapes: FeedEvent[] = [];
    for (const { does, name } of effects)
      for (const table of this.#named(name)) {
        if (does === 'writes')
          fail('TRANSFER_CHANGES', { source: 'mysql', problem: 'a session wrote statements to the log instead of rows (binlog_format)' });
        if (does === 'shapes' || does === 'keys') shapes.push({ kind: 'shape', table });
        else out.push({ kind: EVENTS[does], table });
      }
    // The rows of CREATE TABLE … SELECT come behind it, in the same transaction.
    if (this.#gtid?.standalone ?? !opens) this.#commit(time, out);
    out.push(...shapes);
    return shapes.length > 0 || effects.some(({ does, name }) => does === 'replaces' && this.#named(name).length > 0);
  }

  /** The followed tables of that name. */
  #named({ database, table }: Name): number[] {
    if (this.#fold(database) !== this.#fold(this.#database)) return [];
    return this.#tables.flatMap(({ table: own }, k) => (table === null || this.#fold(own.name) === this.#fold(table) ? [k] : []));
  }

  /** Some servers take names of tables without regard to case. */
  #fold(name: string): string {
    return this.#foldsCase ? name.toLowerCase() : name;
  }

  #map(map: TableMap): void {
    const [table] = this.#named(map);
    if (table === undefined) {
      this.#maps.set(map.id, null);
      return;
    }
    const { columns, name } = this.#tables[table]!.table;
    const altered =
      map.columns.length !== columns.length
        ? `the log has ${map.columns.length} columns where the table has ${columns.length} now`
        : this.#known[table]!.altered && 'it was altered after these rows were written, whose columns the log does not name';
    const problem = `${altered}; set binlog_row_metadata=FULL, or begin the table anew`;
    const drift = map.names === null && altered !== false ? new MillraceError('TRANSFER_DRIFT', { table: name, problem }) : null;
    const places = map.columns.map((_, k) => (map.names === null ? k : columns.findIndex((column) => column.name === map.names![k])));
    this.#maps.set(map.id, { map, table, places, drift });
  }

  #rows(event: RowsEvent, out: FeedEvent[]): void {
    const mapped = this.#maps.get(event.table);
    if (mapped === undefined || mapped === null) return;
    const { table, drift } = mapped;
    if (drift !== null) {
      out.push({ kind: 'unread', table, error: drift });
      return;
    }
    const reader = new ValueReader(event.rows, 0);
    while (reader.at < event.rows.length) {
      let from = reader.at;
      const former = this.#row(reader, event.present, mapped, event.op === 'insert' ? null : undefined);
      if (event.op === 'delete') {
        out.push({ kind: 'delete', table, cells: former });
        continue;
      }
      let cells = former;
      if (event.op === 'update') {
        from = reader.at;
        cells = this.#row(reader, event.presentAfter, mapped, undefined);
        // Of a minimal image the key stands only before.
        for (const [k, cell] of cells.entries()) if (cell === undefined && this.#isKey(table, k)) cells[k] = former[k];
      }
      if (reader.at - from > LONGEST_ROW) out.push({ kind: 'unread', table, error: tooLong(mapped.map.table) });
      else out.push({ kind: 'upsert', table, cells, before: event.op === 'update' ? former : null });
    }
  }

  #isKey(table: number, place: number): boolean {
    const { table: own, key } = this.#tables[table]!;
    return key.includes(own.columns[place]!.name);
  }

  #row(reader: ValueReader, present: readonly boolean[], { map, table, places }: Mapped, absent: null | undefined): Cell[] {
    const { readings } = this.#known[table]!;
    const count = present.filter(Boolean).length;
    const nulls = bits(reader.bytes((count + 7) >> 3), count);
    const cells: Cell[] = new Array(readings.length).fill(absent);
    let bit = 0;
    for (const [k, column] of map.columns.entries()) {
      if (!present[k]) continue;
      const place = places[k]!;
      const isNull = nulls[bit++]!;
      const value = isNull ? null : reader.value(column, readings[place] ?? UNKNOWN);
      if (place >= 0) cells[place] = value;
    }
    return cells;
  }
}

/** After it a table's columns may be others. */
const ALTERS: ReadonlySet<Effect['does']> = new Set(['shapes', 'drops', 'replaces']);
const EVENTS = { empties: 'truncate', drops: 'gone', replaces: 'replaced' } as const;

/** A column that the table no longer has: its bytes are passed over. */
const UNKNOWN: Reading = {
  column: { name: '', sourceType: '', type: 'BLOB', cursor: null, long: true, note: null },
  unsigned: false,
  members: [],
  decoder: null,
  padded: null,
};
