/** Events of the log as events of the feed, and where in the log they stand. */
import { fail, MillraceError } from '#core';
import type { Cell, FeedEvent, Followed } from '../cdc/feed.ts';
import type { SourceTable } from '../source.ts';
import { bits, headerOf, isRows, queryOf, type RowsEvent, rotateOf, rowsOf, type TableMap, tableMapOf, withoutChecksum } from './events.ts';
import { type Gtid, gtidOf, gtidsBefore, plus } from './gtid.ts';
import { type Place, positionOf } from './place.ts';
import { type Name, saidBy } from './statement.ts';
import { type Reading, ValueReader } from './values.ts';

const FORMAT = { query: 2, rotate: 4, xid: 16, tableMap: 19, heartbeat: 27, xaPrepare: 38, queryCompressed: 165, payload: 40 };

interface Mapped {
  readonly map: TableMap;
  readonly table: number;
  /** For each column of the log its place in the followed table; -1 where it has none. */
  readonly places: readonly number[];
  /** Why its rows can't be read. */
  readonly drift: MillraceError | null;
}

export interface Followable {
  readonly database: string;
  readonly tables: readonly Followed[];
  /** How the columns of a table are read. */
  readonly learn: (table: SourceTable) => Promise<Reading[]>;
  /** Where the log is taken up. */
  readonly from: Place;
  /** Does the server take names of tables without regard to case? */
  readonly foldsCase: boolean;
}

/**
 * Events of the log as events of the feed. A transaction is contiguous:
 *
 *   gtid or BEGIN ──► table maps, rows … ──► xid or COMMIT        a statement of its own (DDL) is one as well
 */
export class LogReader {
  readonly #database: string;
  readonly #tables: readonly Followed[];
  readonly #learn: (table: SourceTable) => Promise<Reading[]>;
  readonly #maps = new Map<number, Mapped | null>();
  readonly #foldsCase: boolean;
  #readings: Reading[][] = [];
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

  /** The tables as they are now. */
  async learn(): Promise<void> {
    this.#readings = [];
    for (const { table } of this.#tables) this.#readings.push(await this.#learn(table));
    this.#maps.clear();
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
        if (does === 'shapes') shapes.push({ kind: 'shape', table });
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
    const problem = `the log has ${map.columns.length} columns where the table has ${columns.length} now; set binlog_row_metadata=FULL, or begin the table anew`;
    const differs = map.names === null && map.columns.length !== columns.length;
    const drift = differs ? new MillraceError('TRANSFER_DRIFT', { table: name, problem }) : null;
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
      const cells = this.#row(reader, event.present, mapped, event.op === 'insert' ? null : undefined);
      if (event.op === 'delete') out.push({ kind: 'delete', table, cells });
      else if (event.op === 'insert') out.push({ kind: 'upsert', table, cells, before: null });
      else {
        const after = this.#row(reader, event.presentAfter, mapped, undefined);
        // Of a minimal image the key stands only before.
        for (const [k, cell] of after.entries()) if (cell === undefined && this.#isKey(table, k)) after[k] = cells[k];
        out.push({ kind: 'upsert', table, cells: after, before: cells });
      }
    }
  }

  #isKey(table: number, place: number): boolean {
    const { table: own, key } = this.#tables[table]!;
    return key.includes(own.columns[place]!.name);
  }

  #row(reader: ValueReader, present: readonly boolean[], { map, table, places }: Mapped, absent: null | undefined): Cell[] {
    const readings = this.#readings[table]!;
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

const EVENTS = { empties: 'truncate', drops: 'gone', replaces: 'replaced' } as const;

/** A column that the table no longer has: its bytes are passed over. */
const UNKNOWN: Reading = {
  column: { name: '', sourceType: '', type: 'BLOB', cursor: null, long: true, note: null },
  unsigned: false,
  members: [],
  decoder: null,
  padded: null,
};
