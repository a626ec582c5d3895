/** Changes of MySQL and MariaDB: the binary log in row format, by file and position. */
import { randomInt } from 'node:crypto';
import type { Connection as MysqlConnection } from 'mysql2';
import { fail, MillraceError } from '#core';
import type { Cell, Feed, FeedEvent, Followed } from '../cdc/feed.ts';
import type { Connection, SourceTable } from '../source.ts';
import { ask, connect, worded } from '../sources/mysql-connection.ts';
import { bits, headerOf, isRows, queryOf, type RowsEvent, rotateOf, rowsOf, type TableMap, tableMapOf, withoutChecksum } from './events.ts';
import { type Reading, readingOf, ValueReader } from './values.ts';

export interface BinlogFeed {
  readonly options: Connection;
  /** The connection that reads the tables. */
  readonly client: MysqlConnection;
  readonly database: string;
}

const POSITION = /^(.+\.(\d{6,})):(\d+)$/;

export function binlogFeed({ options, client, database }: BinlogFeed): Feed {
  let stream: Dump | null = null;
  const refuse = (problem: string, cause?: unknown) => fail('TRANSFER_CHANGES', { source: 'mysql', problem }, cause);

  async function here(): Promise<string> {
    const denied = (thrown: unknown) => {
      if (thrown instanceof MillraceError && thrown.code === 'TRANSFER_DENIED')
        refuse('this user may not see where the log stands; grant REPLICATION CLIENT (MariaDB: BINLOG MONITOR)', thrown);
      throw thrown;
    };
    // MySQL 8.4 has the second name only.
    const rows = await ask(client, 'SHOW MASTER STATUS').catch((thrown: unknown) =>
      thrown instanceof MillraceError && thrown.code === 'TRANSFER_READ'
        ? ask(client, 'SHOW BINARY LOG STATUS').catch(denied)
        : denied(thrown),
    );
    const row = rows[0] ?? refuse('its binary log is off');
    return `${row['File']}:${row['Position']}`;
  }

  return {
    async prepare(tables, position) {
      const [set] = await ask(client, 'SELECT @@log_bin AS log, @@binlog_format AS form, @@binlog_row_image AS image');
      if (Number(set!['log']) !== 1) refuse('its binary log is off (log_bin)');
      if (set!['form'] !== 'ROW') refuse(`binlog_format is ${set!['form']}; it has to be ROW`);
      if (set!['image'] === 'MINIMAL' && tables.some(({ table, key }) => table.key.join() !== key.join()))
        refuse('binlog_row_image is MINIMAL, which logs former values of the primary key only; take it as the key, or set FULL');
      for (const { table } of tables) await readingsOf(client, database, table);
      if (position === null) return here();
      const logs = await ask(client, 'SHOW BINARY LOGS').catch(() => null);
      const file = POSITION.exec(position)![1];
      if (logs !== null && !logs.some((log) => log['Log_name'] === file))
        fail('TRANSFER_GAP', { source: 'mysql', position, problem: `the file ${file} was purged` });
      return position;
    },
    async freeze() {
      await ask(client, 'COMMIT');
      await ask(client, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      // Without MariaDB's own position of a snapshot the log's end is taken first: what comes in between is in the copy and comes again.
      const before = await here();
      await ask(client, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
      const status = await ask(client, `SHOW STATUS LIKE 'binlog_snapshot_%'`);
      const value = (name: string) => status.find((row) => String(row['Variable_name']).toLowerCase() === name)?.['Value'];
      const file = value('binlog_snapshot_file');
      return file ? `${file}:${value('binlog_snapshot_position')}` : before;
    },
    async thaw() {
      await ask(client, 'COMMIT');
    },
    async *changes(tables, from) {
      stream = await openDump({ options, client, database }, tables, from);
      yield* stream.events();
    },
    // The server keeps its log by its own rule (binlog_expire_logs_seconds) and needs no word of ours.
    confirm() {},
    compare(a, b) {
      const [, , fileA, atA] = POSITION.exec(a)!;
      const [, , fileB, atB] = POSITION.exec(b)!;
      return Number(fileA) - Number(fileB) || Number(atA) - Number(atB);
    },
    isPosition: (text) => POSITION.test(text),
    async close() {
      stream?.close();
    },
  };
}

/** How each column of the table is read from the log. Errors: TRANSFER_COLUMN. */
async function readingsOf(client: MysqlConnection, database: string, table: SourceTable): Promise<Reading[]> {
  const rows = await ask(
    client,
    `SELECT column_name AS c, character_set_name AS s FROM information_schema.columns
     WHERE table_schema = ${client.escape(database)} AND table_name = ${client.escape(table.name)} ORDER BY ordinal_position`,
  );
  return table.columns.map((column) => {
    const charset = rows.find((row) => row['c'] === column.name)?.['s'] ?? null;
    return readingOf(column, charset === null ? null : String(charset), table.name);
  });
}

interface Dump {
  events(): AsyncGenerator<readonly FeedEvent[]>;
  close(): void;
}

const QUEUE = 4 * 1024 * 1024;
const EOF = 0xfe;

/** What a command of the driver's queue is: it is asked once without a packet, then with each; true ends it. */
interface Command {
  execute(packet: Packet | undefined): boolean;
  onResult(error: unknown): void;
}
interface Queue {
  addCommand(command: Command): void;
  _resetSequenceId(): void;
  _bumpSequenceId(packets: number): void;
  write(bytes: Buffer): void;
}
interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
  isError(): boolean;
  asError(encoding: string): Error;
}

/** COM_BINLOG_DUMP with its packet header. The driver's own command can't write a file's name, and parses four kinds of events only. */
function dumpRequest(file: string, at: number, serverId: number): Buffer {
  const name = Buffer.from(file);
  const bytes = Buffer.alloc(15 + name.length);
  bytes.writeUIntLE(11 + name.length, 0, 3);
  bytes[4] = 0x12;
  bytes.writeUInt32LE(at, 5);
  bytes.writeUInt32LE(serverId, 11);
  name.copy(bytes, 15);
  return bytes;
}

async function openDump({ options, client, database }: BinlogFeed, tables: readonly Followed[], from: string): Promise<Dump> {
  const [, file, , at] = POSITION.exec(from)!;
  const connection = await connect(options);
  // Checksums are understood, MariaDB's events come as they are, and a sign of life when nothing happens.
  for (const setting of [
    '@master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum',
    '@mariadb_slave_capability = 4',
    '@master_heartbeat_period = 2000000000',
  ])
    await ask(connection, `SET ${setting}`);
  const reader = new LogReader(database, tables, (table) => readingsOf(client, database, table), file!);
  await reader.learn();
  let queued: Buffer[] = [];
  let size = 0;
  let failure: unknown = null;
  let wake = () => {};
  const broken = (error: unknown) => {
    failure ??= error ?? Object.assign(new Error('the connection was lost'), { code: 'PROTOCOL_CONNECTION_LOST' });
    wake();
  };
  const queue = connection as unknown as Queue;
  const request = dumpRequest(file!, Number(at), Number(options['server_id'] ?? randomInt(2 ** 30, 2 ** 31 - 1)));
  queue.addCommand({
    execute(packet) {
      if (packet === undefined) {
        queue._resetSequenceId();
        queue._bumpSequenceId(1);
        queue.write(request);
        return false;
      }
      if (packet.isError()) {
        broken(packet.asError('utf8'));
        return true;
      }
      if (packet.buffer[packet.offset] === EOF) {
        broken(null);
        return true;
      }
      // The first byte says that it is an event.
      const event = Buffer.from(packet.buffer.subarray(packet.offset + 1, packet.end));
      queued.push(event);
      size += event.length;
      if (size > QUEUE) connection.pause();
      wake();
      return false;
    },
    onResult: broken,
  });
  connection.on('error', broken);
  connection.on('end', () => broken(null));

  async function* events(): AsyncGenerator<readonly FeedEvent[]> {
    for (;;) {
      const some = queued;
      queued = [];
      size = 0;
      connection.resume();
      let out: FeedEvent[] = [];
      for (const event of some) {
        const shaped = reader.take(event, out);
        if (!shaped) continue;
        yield out;
        out = [];
        await reader.learn();
      }
      if (out.length > 0) yield out;
      if (queued.length > 0) continue;
      if (failure !== null) throw lost(failure, from);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  }

  return {
    events,
    close() {
      failure ??= new Error('closed');
      // The driver's own end waits for the other side, which notices with its next event.
      (connection as unknown as { stream: { destroy(): void } }).stream.destroy();
    },
  };
}

/** 1236: the file is gone, or has no event at that place. */
function lost(thrown: unknown, position: string): MillraceError {
  const { errno, message } = thrown as { errno?: number; message?: string };
  if (errno === 1236) return new MillraceError('TRANSFER_GAP', { source: 'mysql', position, problem: message ?? '' }, thrown);
  const own = worded(thrown, 'the binary log');
  return own.code === 'TRANSFER_DENIED'
    ? new MillraceError('TRANSFER_CHANGES', { source: 'mysql', problem: 'this user may not read the log; grant REPLICATION SLAVE' }, thrown)
    : own;
}

const FORMAT = { query: 2, rotate: 4, xid: 16, tableMap: 19, heartbeat: 27, gtid: [33, 34, 162], queryCompressed: 165, payload: 40 };

interface Mapped {
  readonly map: TableMap;
  readonly table: number;
  /** For each column of the log its place in the followed table; -1 where it has none. */
  readonly places: readonly number[];
}

/**
 * Events of the log as events of the feed. A transaction is contiguous:
 *
 *   gtid or BEGIN ──► table maps, rows … ──► xid or COMMIT        a statement of its own (DDL) is one as well
 */
class LogReader {
  readonly #database: string;
  readonly #tables: readonly Followed[];
  readonly #learn: (table: SourceTable) => Promise<Reading[]>;
  readonly #maps = new Map<number, Mapped | null>();
  #readings: Reading[][] = [];
  #file: string;
  /** Where the event before ended. */
  #end = 0;
  #within = false;

  constructor(database: string, tables: readonly Followed[], learn: (table: SourceTable) => Promise<Reading[]>, file: string) {
    this.#database = database;
    this.#tables = tables;
    this.#learn = learn;
    this.#file = file;
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
    const { type, time, end } = headerOf(event);
    if (type === FORMAT.rotate) {
      const { file, position } = rotateOf(event);
      this.#file = file;
      this.#end = position;
      return false;
    }
    const began = this.#end;
    if (end > 0) this.#end = end;
    if (type === FORMAT.heartbeat) {
      if (!this.#within && end > 0) out.push({ kind: 'idle', position: this.#at(end) });
      return false;
    }
    if (FORMAT.gtid.includes(type)) this.#begin(began, out);
    else if (type === FORMAT.query || type === FORMAT.queryCompressed)
      return this.#statement(queryOf(event, type === FORMAT.queryCompressed), { began, time }, out);
    else if (type === FORMAT.xid) this.#commit(time, out);
    else if (type === FORMAT.tableMap) this.#map(tableMapOf(event));
    else if (isRows(type)) this.#rows(rowsOf(type, event), out);
    else if (type === FORMAT.payload)
      fail('TRANSFER_CHANGES', { source: 'mysql', problem: 'binlog_transaction_compression is on; it has to be off' });
    return false;
  }

  #at(position: number): string {
    return `${this.#file}:${position}`;
  }

  #begin(began: number, out: FeedEvent[]): void {
    if (this.#within) return;
    this.#within = true;
    out.push({ kind: 'begin', position: this.#at(began) });
  }

  #commit(time: number, out: FeedEvent[]): void {
    this.#within = false;
    this.#maps.clear();
    out.push({ kind: 'commit', position: this.#at(this.#end), at: time * 1000 });
  }

  #statement(
    { database, sql }: { database: string; sql: string },
    { began, time }: { began: number; time: number },
    out: FeedEvent[],
  ): boolean {
    const said = withoutComments(sql);
    this.#begin(began, out);
    if (/^(BEGIN|START TRANSACTION|SAVEPOINT|XA START)\b/i.test(said)) return false;
    if (/^(COMMIT|ROLLBACK)\b/i.test(said)) {
      this.#commit(time, out);
      return false;
    }
    const table = this.#named(said, database);
    if (table >= 0 && /^(INSERT|UPDATE|DELETE|REPLACE|LOAD)\b/i.test(said))
      fail('TRANSFER_CHANGES', { source: 'mysql', problem: 'a session wrote statements to the log instead of rows (binlog_format)' });
    if (table >= 0 && /^TRUNCATE\b/i.test(said)) out.push({ kind: 'truncate', table });
    this.#commit(time, out);
    if (table < 0 || !/^(ALTER|RENAME|CREATE)\b/i.test(said)) return false;
    out.push({ kind: 'shape', table });
    return true;
  }

  /** The followed table that a statement is about. */
  #named(sql: string, database: string): number {
    const name =
      /^(?:TRUNCATE|ALTER|RENAME|CREATE|INSERT|UPDATE|DELETE|REPLACE|LOAD)\s+[^`"\w]*((?:(?:TABLE|IGNORE|INTO|FROM|ONLINE|OR|REPLACE|IF|NOT|EXISTS|LOW_PRIORITY)\s+)*)((?:`(?:[^`]|``)+`|[\w$\u0080-\uffff]+)(?:\s*\.\s*(?:`(?:[^`]|``)+`|[\w$\u0080-\uffff]+))?)/i.exec(
        sql,
      )?.[2];
    if (name === undefined) return -1;
    const parts = [...name.matchAll(/`((?:[^`]|``)+)`|([\w$\u0080-\uffff]+)/g)].map(
      ([, quoted, plain]) => quoted?.replaceAll('``', '`') ?? plain!,
    );
    const [schema, table] = parts.length === 2 ? parts : [database, parts[0]];
    return schema === this.#database ? this.#tables.findIndex((each) => each.table.name === table) : -1;
  }

  #map(map: TableMap): void {
    const table = map.database === this.#database ? this.#tables.findIndex(({ table: own }) => own.name === map.table) : -1;
    if (table < 0) {
      this.#maps.set(map.id, null);
      return;
    }
    const { columns, name } = this.#tables[table]!.table;
    if (map.names === null && map.columns.length !== columns.length)
      fail('TRANSFER_DRIFT', {
        table: name,
        problem: `the log has ${map.columns.length} columns where the table has ${columns.length} now; set binlog_row_metadata=FULL, or begin the table anew`,
      });
    const places = map.columns.map((_, k) => (map.names === null ? k : columns.findIndex((column) => column.name === map.names![k])));
    this.#maps.set(map.id, { map, table, places });
  }

  #rows(event: RowsEvent, out: FeedEvent[]): void {
    const mapped = this.#maps.get(event.table);
    if (mapped === undefined || mapped === null) return;
    const { table } = mapped;
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

/** A column that the table no longer has: its bytes are passed over. */
const UNKNOWN: Reading = {
  column: { name: '', sourceType: '', type: 'BLOB', cursor: null, long: true, note: null },
  unsigned: false,
  members: [],
  decoder: null,
  padded: null,
};

function withoutComments(sql: string): string {
  return sql.replace(/^(\s|\/\*[\s\S]*?\*\/|--[^\n]*\n|#[^\n]*\n)+/, '');
}
