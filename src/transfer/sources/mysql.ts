/** MySQL and MariaDB, read through the text protocol inside one consistent snapshot per table. */
import type { Socket } from 'node:net';
import type { Connection as MysqlConnection } from 'mysql2';
import { fail, MillraceError } from '#core';
import { binlogFeed } from '../binlog/feed.ts';
import { boundRows, guessDatabase, tooLong } from '../database.ts';
import { BATCH_ROOM, isBatch, LONGEST_ROW, type Rows, RowWriter } from '../rows.ts';
import type { Connection, Hashed, Opened, Reading, Source, SourceColumn, SourceTable, Span, Sum } from '../source.ts';
import { type Answer, ask, connect, connectionOptions, id, worded } from './mysql-connection.ts';

export const mysql: Source = {
  name: 'mysql',
  title: 'MySQL, MariaDB',
  summary: 'Tables of a MySQL or MariaDB server; the user needs SELECT on them.',
  options: connectionOptions,
  async open(connection) {
    return opened(await connect(connection), connection);
  },
  guess: (address) => guessDatabase(address, ['mysql:', 'mariadb:'], 3306),
};

function opened(connection: MysqlConnection, options: Connection): Opened {
  const database = String(options['database']);
  return {
    async describe(names) {
      const tables = await describe(connection, database);
      for (const wanted of names ?? []) if (!tables.some(({ name }) => name === wanted)) fail('TRANSFER_TABLE', { table: wanted });
      const chosen = names === undefined ? tables : tables.filter(({ name }) => names.includes(name));
      return Promise.all(chosen.map((table) => withWideDecimals(connection, table)));
    },
    async snapshot(table, cursor, after) {
      await ask(connection, 'COMMIT');
      await ask(connection, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await ask(connection, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
      if (cursor === null) return { span: { cursor: null, after: null, upTo: null }, without: false };
      const column = id(cursor.name);
      const from = `FROM ${id(table.name)}`;
      const [row] = await ask(
        connection,
        `SELECT (SELECT CAST(MAX(${column}) AS CHAR) ${from} WHERE ${valued(cursor)}) AS newest, EXISTS (SELECT 1 ${from} WHERE NOT COALESCE(${valued(cursor)}, FALSE)) AS without`,
        table.name,
      );
      // A state of an earlier version may stand at a zero date.
      const above = after !== null && isZeroDate(after) ? null : after;
      return { span: { cursor, after: above, upTo: row!['newest'] as string | null }, without: Number(row!['without']) === 1 };
    },
    read: (table, columns, span, reading, limit) => read(connection, { table, columns, span, limit }, reading),
    async checksum(table, columns, span, buckets): Promise<Sum[]> {
      const bucket = buckets === null ? '0' : bucketOf(columns, buckets);
      const rows = await ask(
        connection,
        `SELECT ${bucket} AS bucket, COUNT(*) AS n, CAST(COALESCE(SUM(CAST(CONV(SUBSTRING(${hashOf(columns)}, 1, 15), 16, 10) AS UNSIGNED)), 0) AS CHAR) AS total
         FROM ${id(table.name)} ${where(span)} GROUP BY 1`,
        table.name,
      );
      if (rows.length === 0) return buckets === null ? [{ bucket: 0, rows: 0, sum: '0' }] : [];
      return rows.map((row) => ({ bucket: Number(row['bucket']), rows: Number(row['n']), sum: String(row['total']) }));
    },
    async hashes(table, columns, span, key, bucket): Promise<Hashed[]> {
      const keys = key.map((name) => canonical(columns.find((column) => column.name === name)!));
      const within = where(span);
      const rows = await ask(
        connection,
        `SELECT ${keys.map((expression, k) => `${expression} AS k${k}`).join(', ')}, ${hashOf(columns)} AS hash
         FROM ${id(table.name)} ${within === '' ? 'WHERE' : `${within} AND`} ${bucketOf(columns, key)} = ${bucket}`,
        table.name,
      );
      return rows.map((row) => ({ key: JSON.stringify(key.map((_, k) => row[`k${k}`])), hash: String(row['hash']) }));
    },
    feed: () => binlogFeed({ options, client: connection, database }),
    async close() {
      connection.destroy();
    },
  };
}

async function describe(connection: MysqlConnection, database: string): Promise<SourceTable[]> {
  const schema = connection.escape(database);
  const tables = await ask(
    connection,
    `SELECT table_name AS t, table_rows AS n FROM information_schema.tables WHERE table_schema = ${schema} AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY 1`,
  );
  const columns = await ask(
    connection,
    `SELECT table_name AS t, column_name AS c, data_type AS d, column_type AS full, numeric_precision AS p, numeric_scale AS s, datetime_precision AS f,
       is_nullable AS nullable FROM information_schema.columns WHERE table_schema = ${schema} ORDER BY table_name, ordinal_position`,
  );
  const indexes = await ask(
    connection,
    `SELECT table_name AS t, index_name AS i, column_name AS c, nullable, sub_part FROM information_schema.statistics
     WHERE table_schema = ${schema} AND non_unique = 0 ORDER BY table_name, index_name <> 'PRIMARY', index_name, seq_in_index`,
  );
  const json = await jsonColumns(connection, schema);
  return tables.map(({ t, n }) => ({
    name: String(t),
    rows: n === null ? null : Number(n),
    key: keyOf(indexes.filter((index) => index['t'] === t)),
    columns: columns.filter((column) => column['t'] === t).map((column) => columnOf(column, json.has(`${t}.${column['c']}`))),
  }));
}

/** MariaDB's JSON is LONGTEXT with a check. */
async function jsonColumns(connection: MysqlConnection, schema: string): Promise<ReadonlySet<string>> {
  const rows = await ask(
    connection,
    `SELECT table_name AS t, check_clause AS c FROM information_schema.check_constraints WHERE constraint_schema = ${schema}`,
  ).catch((thrown: unknown) => {
    // MySQL's view has no table names; it has a JSON type instead.
    if (thrown instanceof MillraceError && thrown.code === 'TRANSFER_READ') return [];
    throw thrown;
  });
  return new Set(
    rows.flatMap(({ t, c }) => {
      const column = /^json_valid\(`(.*)`\)$/.exec(String(c))?.[1];
      return column === undefined ? [] : [`${t}.${column.replaceAll('``', '`')}`];
    }),
  );
}

function keyOf(indexes: readonly Answer[]): string[] {
  for (const name of new Set(indexes.map((index) => index['i']))) {
    const parts = indexes.filter((index) => index['i'] === name);
    if (parts.every((part) => part['nullable'] !== 'YES' && part['sub_part'] === null && part['c'] !== null))
      return parts.map((part) => String(part['c']));
  }
  return [];
}

const INTEGERS: Readonly<Record<string, string>> = {
  tinyint: 'TINYINT',
  smallint: 'SMALLINT',
  mediumint: 'INTEGER',
  int: 'INTEGER',
  bigint: 'BIGINT',
};
const BYTES = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);
const LONG = new Set(['text', 'mediumtext', 'longtext', 'json', ...BYTES]);
const SPATIAL = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
]);

function columnOf(row: Answer, json: boolean): SourceColumn {
  const kind = String(row['d']).toLowerCase();
  const sourceType = String(row['full']);
  const unsigned = sourceType.includes('unsigned');
  const made = (type: string, cursor: SourceColumn['cursor'] = null, note: string | null = null): SourceColumn => ({
    name: String(row['c']),
    sourceType,
    type,
    cursor,
    long: LONG.has(kind),
    note,
  });
  if (kind in INTEGERS) return made(`${unsigned ? 'U' : ''}${INTEGERS[kind]!}`, 'number');
  if (json || kind === 'json') return made('JSON');
  if (BYTES.has(kind)) return made('BLOB');
  if (SPATIAL.has(kind)) return made('VARCHAR', null, 'as well-known text; the reference system is not kept');
  switch (kind) {
    case 'decimal': {
      const [precision, scale] = [Number(row['p']), Number(row['s'])];
      return precision <= 38 ? made(`DECIMAL(${precision},${scale})`, 'number') : made('VARCHAR', null, 'more than 38 digits');
    }
    case 'float':
      return made('FLOAT');
    case 'double':
      return made('DOUBLE');
    case 'date':
      return made('DATE', 'time');
    case 'datetime':
      return made('TIMESTAMP', 'time');
    case 'timestamp':
      return made('TIMESTAMP WITH TIME ZONE', 'time');
    case 'time':
      return made('INTERVAL');
    case 'year':
      return made('SMALLINT', 'number');
    case 'bit':
      return sourceType === 'bit(1)' ? made('BOOLEAN') : made('UBIGINT');
    case 'uuid':
      return made('UUID');
    default:
      return made('VARCHAR');
  }
}

/** A DECIMAL of more than 38 digits stays one if its values have room; only then is the table looked through. */
async function withWideDecimals(connection: MysqlConnection, table: SourceTable): Promise<SourceTable> {
  const columns = await Promise.all(
    table.columns.map(async (column) => {
      const scale = column.type === 'VARCHAR' ? /^decimal\(\d+,(\d+)\)/.exec(column.sourceType)?.[1] : undefined;
      if (scale === undefined) return column;
      const name = id(column.name);
      const [row] = await ask(
        connection,
        `SELECT COALESCE(LENGTH(CAST(MAX(TRUNCATE(ABS(${name}), 0)) AS CHAR)), 0) AS digits FROM ${id(table.name)}`,
        table.name,
      );
      if (Number(row!['digits']) + Number(scale) > 38) return { ...column, note: 'text: its values have more than 38 digits' };
      return { ...column, type: `DECIMAL(38,${scale})`, cursor: 'number' as const, note: 'its values have room in 38 digits' };
    }),
  );
  return { ...table, columns };
}

/** How the server is asked for a column, so that its text is exact and a value of the warehouse's type. */
function selected(column: SourceColumn): string {
  const name = id(column.name);
  const kind = /^\w+/.exec(column.sourceType)![0].toLowerCase();
  // The text of a FLOAT has six digits; as a double it has all of them.
  if (kind === 'float') return `${name} + 0e0`;
  if (kind === 'bit' || kind === 'year') return `${name} + 0`;
  if (SPATIAL.has(kind)) return `ST_AsText(${name})`;
  return name;
}

/** A column's value as the same text that the warehouse makes of it (src/store/parity.ts). */
function canonical(column: SourceColumn): string {
  const name = id(column.name);
  const kind = /^\w+/.exec(column.sourceType)![0].toLowerCase();
  switch (column.type) {
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT':
      return `CAST(CAST(${name} AS SIGNED) AS CHAR)`;
    case 'UTINYINT':
    case 'USMALLINT':
    case 'UINTEGER':
    case 'UBIGINT':
    case 'BOOLEAN':
      return `CAST(CAST(${name} AS UNSIGNED) AS CHAR)`;
    case 'FLOAT':
    case 'DOUBLE':
      return `IF(ABS(${name}) < 1e27, CAST(CAST(${name} + 0e0 AS DECIMAL(38,10)) AS CHAR), ${name} * 0 + SIGN(${name}))`;
    case 'DATE':
      return `IF(${name} = 0, NULL, CAST(${name} AS CHAR))`;
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return `IF(${name} = 0, NULL, DATE_FORMAT(${name}, '%Y-%m-%d %H:%i:%s.%f'))`;
    case 'INTERVAL':
      return `CAST(TIMESTAMPDIFF(MICROSECOND, '2000-01-01 00:00:00', ADDTIME('2000-01-01 00:00:00', ${name})) AS CHAR)`;
    case 'BLOB':
      return `MD5(${name})`;
    default: {
      const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(column.type);
      if (decimal !== null) return `CAST(CAST(${name} AS DECIMAL(${decimal[1]},${decimal[2]})) AS CHAR)`;
      const text = SPATIAL.has(kind) ? `ST_AsText(${name})` : `CONVERT(${name} USING utf8mb4)`;
      return column.long ? `MD5(${text})` : text;
    }
  }
}

function hashOf(columns: readonly SourceColumn[]): string {
  return `MD5(CONCAT_WS(CHAR(31), ${columns.map((column) => `COALESCE(CONCAT('=', ${canonical(column)}), '!')`).join(', ')}))`;
}

function bucketOf(columns: readonly SourceColumn[], key: readonly string[]): string {
  const parts = key.map((name) => canonical(columns.find((column) => column.name === name)!));
  return `CAST(CONV(SUBSTRING(MD5(CONCAT_WS(CHAR(31), ${parts.join(', ')})), 1, 2), 16, 10) AS UNSIGNED)`;
}

/** A zero date is no value: here it becomes NULL. */
function valued(cursor: SourceColumn): string {
  return cursor.cursor === 'time' ? `${id(cursor.name)} > '0000-00-00'` : `${id(cursor.name)} IS NOT NULL`;
}

const isZeroDate = (text: string): boolean => text.startsWith('0000-00-00');

function where({ cursor, after, upTo }: Span): string {
  if (cursor === null) return '';
  const column = id(cursor.name);
  // A number is compared as one: as text MySQL would take both sides through a double.
  const literal = (value: string) => (cursor.cursor === 'number' ? value : `'${value}'`);
  const shape = cursor.cursor === 'number' ? /^-?\d+(\.\d+)?$/ : /^[-\d :.]+$/;
  for (const bound of [after, upTo])
    if (bound !== null && !shape.test(bound))
      fail('TRANSFER_COLUMN', { column: cursor.name, table: '', use: 'cursor', problem: `"${bound}" is no value of it` });
  const bounds = [after === null ? valued(cursor) : `${column} > ${literal(after)}`];
  if (upTo !== null) bounds.push(`${column} <= ${literal(upTo)}`);
  return `WHERE ${bounds.join(' AND ')}`;
}

/** A row as it lies in the connection's buffer. */
interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
}

async function* read(
  connection: MysqlConnection,
  { table, columns, span, limit }: { table: SourceTable; columns: readonly SourceColumn[]; span: Span; limit: number | undefined },
  reading: Reading,
): AsyncGenerator<Rows> {
  const order = span.cursor === null ? '' : `ORDER BY ${id(span.cursor.name)}`;
  const query = connection.query(
    `SELECT ${columns.map(selected).join(', ')} FROM ${id(table.name)} ${where(span)} ${order}${limit === undefined ? '' : ` LIMIT ${limit}`}`,
  );
  const rows = new PacketRows(columns, span, reading);
  const ready: Rows[] = [];
  let failure: unknown = null;
  let ended = false;
  let wake = () => {};
  // A query without a callback hears nothing of a connection that is lost: the driver tells the connection alone.
  const lost = (error: unknown) => {
    failure ??= error;
    wake();
  };
  connection.on('error', lost);
  const socket = (connection as unknown as { stream: Socket }).stream;
  const bound = boundRows(socket, LONGEST_ROW, () => {
    failure ??= tooLong(table.name);
    socket.destroy();
    wake();
  });
  eachPacket(query, (packet) => {
    bound.row();
    rows.take(packet);
    if (!isBatch(rows.writer)) return;
    ready.push(rows.writer.take(rows.complete));
    connection.pause();
    wake();
  });
  query.once('error', lost);
  query.once('end', () => {
    ended = true;
    wake();
  });
  try {
    for (;;) {
      for (let next = ready.shift(); next !== undefined; next = ready.shift()) yield next;
      if (failure !== null) throw worded(failure, table.name);
      if (ended) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      // Packets that had come already are handed over before this returns.
      connection.resume();
      await promise;
    }
    // Every row up to the end of the span was given.
    if (rows.writer.count > 0) yield rows.writer.take(span.upTo);
  } finally {
    bound.end();
    connection.removeListener('error', lost);
    if (!ended) connection.destroy();
  }
}

/**
 * The driver would make an object of each row and a string of each value, several times the cost of everything else. So its parser is
 * replaced by one that is handed the packet; the field is private, which is why mysql2's version is pinned: the suite over all
 * sources fails if it moves.
 */
function eachPacket(query: object, take: (packet: Packet) => void): void {
  const parser = { next: take };
  Object.defineProperty(query, '_rowParser', { get: () => parser, set: () => {} });
}

const ZERO_DATE = Buffer.from('0000-00-00');

/** Rows of the text protocol: each value is a length-encoded string, 0xfb is NULL (dev.mysql.com, "Text Resultset Row"). */
class PacketRows {
  readonly writer = new RowWriter(BATCH_ROOM);
  /** The newest cursor of which all rows were given; null until one is known. */
  complete: string | null = null;
  readonly #columns: readonly { readonly name: string; readonly bytes: boolean; readonly date: boolean }[];
  readonly #cursor: number;
  readonly #reading: Reading;
  /** The cursor of the row before. */
  #last = Buffer.alloc(0);

  constructor(columns: readonly SourceColumn[], span: Span, reading: Reading) {
    this.#columns = columns.map(({ name, type }) => ({ name, bytes: type === 'BLOB', date: /^(DATE|TIMESTAMP)/.test(type) }));
    this.#cursor = columns.findIndex(({ name }) => name === span.cursor?.name);
    this.#reading = reading;
  }

  take(packet: Packet): void {
    const { buffer } = packet;
    const { writer } = this;
    const columns = this.#columns;
    let at = packet.offset;
    for (let k = 0; k < columns.length; k++) {
      let length = buffer[at++]!;
      if (length === 0xfb) {
        writer.null();
        continue;
      }
      if (length === 0xfc) {
        length = buffer.readUInt16LE(at);
        at += 2;
      } else if (length === 0xfd) {
        length = buffer.readUIntLE(at, 3);
        at += 3;
      } else if (length === 0xfe) {
        length = Number(buffer.readBigUInt64LE(at));
        at += 8;
      }
      const end = at + length;
      const column = columns[k]!;
      if (column.bytes) writer.hex(buffer, at, end);
      else if (column.date && length >= 10 && buffer[at] === 0x30 && buffer.compare(ZERO_DATE, 0, 10, at, at + 10) === 0)
        this.#null(column.name);
      else writer.text(buffer, at, end);
      if (k === this.#cursor) this.#moved(buffer, at, end);
      at = end;
    }
    writer.endRow();
  }

  #null(column: string): void {
    this.writer.null();
    this.#reading.nulled.set(column, (this.#reading.nulled.get(column) ?? 0) + 1);
  }

  /** Rows come in the order of the cursor: at a new value all rows of the one before have been given. */
  #moved(buffer: Buffer, from: number, to: number): void {
    if (this.#last.length === to - from && this.#last.compare(buffer, from, to) === 0) return;
    if (this.#last.length > 0) this.complete = this.#last.toString('latin1');
    this.#last = Buffer.from(buffer.subarray(from, to));
  }
}
