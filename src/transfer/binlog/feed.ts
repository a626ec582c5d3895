/** Changes of MySQL and MariaDB: the binary log in row format, by the names of transactions, else by file and offset on the same server. */
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Connection as MysqlConnection } from 'mysql2';
import { asMillraceError, fail, MillraceError } from '#core';
import type { Feed, FeedEvent, Followed } from '../cdc/feed.ts';
import { boundRows, tooLong } from '../database.ts';
import { LONGEST_ROW } from '../rows.ts';
import type { Connection, SourceTable } from '../source.ts';
import { ask, connect, id, worded } from '../sources/mysql-connection.ts';
import { encodeGtids, isWithin } from './gtid.ts';
import { isBefore, isEarlier, isPosition, type Place, placeOf, positionOf, type Spot } from './place.ts';
import { type Ahead, type Learnt, LogReader } from './reader.ts';
import { type Reading, readingOf } from './values.ts';

export interface BinlogFeed {
  readonly options: Connection;
  /** The connection that reads the tables. */
  readonly client: MysqlConnection;
  readonly database: string;
}

export function binlogFeed({ options, client, database }: BinlogFeed): Feed {
  const dumps = new Set<Dump>();
  let closed = false;
  /** Before it all that is given to the feed was asked of the catalog once more. */
  let checked: Spot | null = null;
  let followed: readonly Followed[] = [];
  const known = new WeakMap<SourceTable, Learnt>();
  const refuse = (problem: string, cause?: unknown) => fail('TRANSFER_CHANGES', { source: 'mysql', problem }, cause);

  async function end(): Promise<Spot & { readonly executed: unknown }> {
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
    return { file: String(row['File']), offset: Number(row['Position']), executed: row['Executed_Gtid_Set'] };
  }

  async function here(): Promise<string> {
    const { file, offset, executed } = await end();
    return placed(file, offset, executed);
  }

  /** `executed` is MySQL's word for what was committed, which it says with the end of its log alone. */
  async function placed(file: string, offset: number, executed: unknown): Promise<string> {
    const { kind, id: server, names } = await serverOf(client);
    if (kind === 'mariadb') return positionOf({ file, offset, server, gtids: await gtidsAt(client, file, offset) });
    return positionOf({ file, offset, server, gtids: names ? String(executed).replace(/\s/g, '') : null });
  }

  /** Where a stream that stood there begins: by name, if transactions have names, else in that file, if this is the server that wrote it. */
  async function goesOn(position: string): Promise<string> {
    const server = await serverOf(client);
    const place = placeOf(position);
    const gap = (problem: string) => fail('TRANSFER_GAP', { source: 'mysql', position, problem });
    if (server.names && place.gtids) {
      await holds(client, server, place.gtids, gap);
      return position;
    }
    if (place.server !== null && place.server !== server.id)
      gap('this is another server, and no transactions are named by which it could be told where to begin (gtid_mode)');
    const logs = await ask(client, 'SHOW BINARY LOGS').catch(() => null);
    if (logs !== null && !logs.some((log) => log['Log_name'] === place.file)) gap(`the file ${place.file} was purged`);
    return positionOf({ ...place, server: server.id, gtids: null });
  }

  /** Is the table as it is given? Asked as early as it can be: what is altered later is told by the log behind that place. */
  async function learn(table: SourceTable): Promise<Learnt | null> {
    const before = known.get(table);
    if (before !== undefined) return before;
    const readings = await readingsOf(client, database, table);
    if (readings === null) return null;
    const learnt = { readings, until: await end() };
    known.set(table, learnt);
    return learnt;
  }

  /** A run may end while its stream begins. */
  async function dumped(place: Place, serverId: number): Promise<Dump> {
    const opened = await openDump(options, place, serverId);
    const dump = {
      ...opened,
      close() {
        dumps.delete(dump);
        opened.close();
      },
    };
    dumps.add(dump);
    if (closed) dump.close();
    return dump;
  }

  return {
    async prepare(tables, position) {
      const [set] = await ask(client, 'SELECT @@log_bin AS log, @@binlog_format AS form, @@binlog_row_image AS image');
      if (Number(set!['log']) !== 1) refuse('its binary log is off (log_bin)');
      if (set!['form'] !== 'ROW') refuse(`binlog_format is ${set!['form']}; it has to be ROW`);
      if (set!['image'] === 'MINIMAL' && tables.some(({ table, key }) => table.key.join() !== key.join()))
        refuse('binlog_row_image is MINIMAL, which logs former values of the primary key only; take it as the key, or set FULL');
      checked = await end();
      followed = tables;
      for (const { table } of tables) await learn(table);
      return position === null ? here() : goesOn(position);
    },
    async freeze() {
      await ask(client, 'COMMIT');
      for (const { table } of followed) await learn(table);
      await ask(client, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      // Without MariaDB's own position of a snapshot the log's end is taken first: what comes in between is in the copy and comes again.
      const before = await here();
      await ask(client, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
      const status = await ask(client, `SHOW STATUS LIKE 'binlog_snapshot_%'`);
      const value = (name: string) => status.find((row) => String(row['Variable_name']).toLowerCase() === name)?.['Value'];
      const file = value('binlog_snapshot_file');
      return file ? placed(String(file), Number(value('binlog_snapshot_position')), null) : before;
    },
    async thaw() {
      await ask(client, 'COMMIT');
    },
    async *changes(tables, from) {
      const place = placeOf(from);
      const { kind, id: server } = await serverOf(client);
      const [names] = await ask(client, 'SELECT @@lower_case_table_names AS folded');
      const gtids = place.gtids ?? (kind === 'mariadb' ? await gtidsAt(client, place.file, place.offset) : null);
      const reader = new LogReader({
        database,
        tables,
        learn,
        from: { ...place, server, gtids },
        foldsCase: Number(names!['folded']) !== 0,
      });
      yield* learnt(reader);
      // What was altered after that and before the copies.
      if (checked !== null && place.server === server && isEarlier(checked, place)) {
        const dump = await dumped({ ...checked, server, gtids: null }, ownId());
        const altered = await reader.alteredIn({ from: checked, until: place }, dump.bunches()).finally(() => dump.close());
        if (altered.size > 0) yield [...altered].map((table) => ({ kind: 'shape' as const, table }));
        yield* learnt(reader);
      }
      const dump = await dumped(place, Number(options['server_id'] ?? ownId()));
      for await (const bunch of dump.bunches())
        yield* eventsOf(reader, bunch, (ahead) => dumped({ ...ahead, server, gtids: null }, ownId()));
    },
    // The server keeps its log by its own rule (binlog_expire_logs_seconds) and needs no word of ours.
    confirm() {},
    untold: (table) => cascades(client, table),
    isBefore,
    isPosition,
    async close() {
      closed = true;
      for (const dump of dumps) dump.close();
    },
  };
}

const CASCADE = /^ *CONSTRAINT (`(?:[^`]|``)+`) FOREIGN KEY .*?( ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT).*?),?$/gm;

/** What InnoDB does by a foreign key, in a table whose rows refer to another one, it writes to no log. */
async function cascades(client: MysqlConnection, table: SourceTable): Promise<string[]> {
  const [made] = await ask(client, `SHOW CREATE TABLE ${id(table.name)}`, table.name).catch((thrown: unknown) => {
    if (asMillraceError(thrown).code !== 'TRANSFER_TABLE') throw thrown;
    // It was dropped since it was copied: the log says what became of it.
    return [{ 'Create Table': '' }];
  });
  return [...String(made!['Create Table']).matchAll(CASCADE)].map(
    ([, name, rule]) =>
      `its foreign key ${name}${rule}: rows that the server changes or deletes by it are not in the log, and stay as they were here`,
  );
}

interface Server {
  readonly kind: 'mariadb' | 'mysql';
  /** No other server has it. */
  readonly id: string;
  /** Does each transaction have a name? */
  readonly names: boolean;
}

async function serverOf(client: MysqlConnection): Promise<Server> {
  const [own] = await ask(client, 'SELECT VERSION() AS version, @@server_id AS id');
  if (/mariadb/i.test(String(own!['version']))) {
    // Older servers have their number alone.
    const [uid] = await ask(client, `SHOW VARIABLES LIKE 'server_uid'`);
    return { kind: 'mariadb', id: String(uid?.['Value'] || own!['id']), names: true };
  }
  const [set] = await ask(client, 'SELECT @@server_uuid AS id, @@gtid_mode AS mode');
  return { kind: 'mysql', id: String(set!['id']), names: String(set!['mode']).startsWith('ON') };
}

/** Null where no transaction ends there. Cost: the server reads the file up to there. */
async function gtidsAt(client: MysqlConnection, file: string, offset: number): Promise<string | null> {
  const [row] = await ask(client, `SELECT BINLOG_GTID_POS(${client.escape(file)}, ${offset}) AS gtids`);
  const gtids = row!['gtids'];
  return gtids === null ? null : String(gtids);
}

/** Has the server all of these transactions, and does its log still have the later ones? Of MariaDB the latter is seen when its log is taken up. */
async function holds(client: MysqlConnection, server: Server, gtids: string, gap: (problem: string) => never): Promise<void> {
  const lacks = 'its server lacks transactions that are here already (it was promoted before it had them, or is no replica)';
  if (server.kind === 'mariadb') {
    // The state has the last one of each domain and server: a transaction that another server gave with the same number is another one.
    const [row] = await ask(client, 'SELECT @@global.gtid_binlog_state AS state');
    const state = String(row!['state']).split(',');
    const known = (gtid: string) => {
      const origin = gtid.slice(0, gtid.lastIndexOf('-') + 1);
      return state.some((last) => last.startsWith(origin) && isWithin(gtid, last));
    };
    if (!gtids.split(',').every(known)) gap(lacks);
    return;
  }
  const set = client.escape(gtids);
  const [row] = await ask(
    client,
    `SELECT GTID_SUBSET(${set}, @@global.gtid_executed) AS has, GTID_SUBSET(@@global.gtid_purged, ${set}) AS kept`,
  );
  if (Number(row!['has']) !== 1) gap(lacks);
  if (Number(row!['kept']) !== 1) gap('its log was purged');
}

/** How each column of the table is read from the log; null where the table has others by now. Errors: TRANSFER_COLUMN. */
async function readingsOf(client: MysqlConnection, database: string, table: SourceTable): Promise<Reading[] | null> {
  const rows = await ask(
    client,
    `SELECT column_name AS c, column_type AS t, character_set_name AS s FROM information_schema.columns
     WHERE table_schema = ${client.escape(database)} AND table_name = ${client.escape(table.name)} ORDER BY ordinal_position`,
  );
  // One that was dropped meanwhile: the log says so.
  const now = rows.map(({ c, t }) => [c, t]);
  if (
    now.length > 0 &&
    !isDeepStrictEqual(
      now,
      table.columns.map(({ name, sourceType }) => [name, sourceType]),
    )
  )
    return null;
  return table.columns.map((column) => {
    const charset = rows.find((row) => row['c'] === column.name)?.['s'] ?? null;
    return readingOf(column, charset === null ? null : String(charset), table.name);
  });
}

interface Dump {
  bunches(): AsyncGenerator<readonly Buffer[]>;
  close(): void;
}

const QUEUE = 4 * 1024 * 1024;
/** An event has rows that are short, or one that is long: of an update its former and its new state. */
const LONGEST_EVENT = 2 * LONGEST_ROW;
/** A number by which no other reader of the log is known: the server sends it to the latest one of a number. */
const ownId = () => randomInt(2 ** 30, 2 ** 31 - 1);
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

const BINLOG_DUMP = 0x12;
const BINLOG_DUMP_GTID = 0x1e;
const THROUGH_GTID = 4;
/** Where the first event of a file stands. */
const FIRST_EVENT = 4;

/** COM_BINLOG_DUMP. The driver's own command can't write a file's name, and parses four kinds of events only. */
export function dumpRequest(file: string, offset: number, serverId: number): Buffer {
  const fixed = Buffer.alloc(11);
  fixed[0] = BINLOG_DUMP;
  fixed.writeUInt32LE(offset, 1);
  fixed.writeUInt32LE(serverId, 7);
  return command(fixed, Buffer.from(file));
}

/** COM_BINLOG_DUMP_GTID, which MySQL has and MariaDB has not: all transactions but these. */
export function gtidDumpRequest(gtids: string, serverId: number): Buffer {
  const set = encodeGtids(gtids);
  const fixed = Buffer.alloc(23);
  fixed[0] = BINLOG_DUMP_GTID;
  fixed.writeUInt16LE(THROUGH_GTID, 1);
  fixed.writeUInt32LE(serverId, 3);
  // No file's name, so its length is 0.
  fixed.writeBigUInt64LE(BigInt(FIRST_EVENT), 11);
  fixed.writeUInt32LE(set.length, 19);
  return command(fixed, set);
}

function command(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([header, body]);
}

/** What the server is asked, after the session was told what it has to know. */
async function requestOf(connection: MysqlConnection, { file, offset, gtids }: Place, serverId: number): Promise<Buffer> {
  if (!gtids) return dumpRequest(file, offset, serverId);
  const { kind } = await serverOf(connection);
  if (kind === 'mysql') return gtidDumpRequest(gtids, serverId);
  // Strict: where a transaction of ours is not in its log, the server says so instead of beginning behind it.
  await ask(
    connection,
    `SET @slave_connect_state = ${connection.escape(gtids)}, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0`,
  );
  return dumpRequest('', FIRST_EVENT, serverId);
}

/** Tables whose columns are others by now are told, until the caller has put in those of now. */
async function* learnt(reader: LogReader): AsyncGenerator<readonly FeedEvent[]> {
  for (let altered = await reader.learn(); altered.length > 0; altered = await reader.learn())
    yield altered.map((table) => ({ kind: 'shape' as const, table }));
}

async function* eventsOf(
  reader: LogReader,
  bunch: readonly Buffer[],
  dumpOf: (from: Ahead['from']) => Promise<Dump>,
): AsyncGenerator<readonly FeedEvent[]> {
  let out: FeedEvent[] = [];
  for (const event of bunch) {
    const ahead = reader.ahead(event);
    if (ahead !== null) {
      const dump = await dumpOf(ahead.from);
      await reader.look(ahead, dump.bunches()).finally(() => dump.close());
    }
    if (!reader.take(event, out)) continue;
    yield out;
    out = [];
    yield* learnt(reader);
  }
  if (out.length > 0) yield out;
}

/** The log from that place on, as the server sends it. */
async function openDump(options: Connection, place: Place, serverId: number): Promise<Dump> {
  const connection = await connect(options);
  // Checksums are understood, MariaDB's events come as they are, and a sign of life when nothing happens.
  for (const setting of [
    '@master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum',
    '@mariadb_slave_capability = 4',
    '@master_heartbeat_period = 2000000000',
    // So long (in seconds) a copy, or a look ahead, may keep it from being read.
    'net_write_timeout = 86400',
  ])
    await ask(connection, `SET ${setting}`);
  let queued: Buffer[] = [];
  let size = 0;
  let failure: unknown = null;
  let wake = () => {};
  const broken = (error: unknown) => {
    failure ??= error ?? Object.assign(new Error('the connection was lost'), { code: 'PROTOCOL_CONNECTION_LOST' });
    wake();
  };
  const queue = connection as unknown as Queue;
  const { stream: socket } = connection as unknown as { stream: Socket };
  const request = await requestOf(connection, place, serverId);
  const bound = boundRows(socket, LONGEST_EVENT, () => {
    broken(tooLong('the binary log'));
    socket.destroy();
  });
  queue.addCommand({
    execute(packet) {
      if (packet === undefined) {
        queue._resetSequenceId();
        queue._bumpSequenceId(1);
        queue.write(request);
        return false;
      }
      bound.row();
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

  async function* bunches(): AsyncGenerator<readonly Buffer[]> {
    for (;;) {
      const some = queued;
      queued = [];
      size = 0;
      connection.resume();
      if (some.length > 0) yield some;
      if (queued.length > 0) continue;
      if (failure !== null) throw lost(failure, positionOf(place));
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  }

  return {
    bunches,
    close() {
      failure ??= new Error('closed');
      bound.end();
      // The driver's own end waits for the other side, which notices with its next event.
      socket.destroy();
      wake();
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
