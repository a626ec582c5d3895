/** PostgreSQL's changes: a publication says of which tables, a replication slot keeps them until they are confirmed. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Client } from 'pg';
import { fail, MillraceError } from '#core';
import type { Cell, Feed, FeedEvent, Followed } from '../cdc/feed.ts';
import { boundRows, tooLong } from '../database.ts';
import { LONGEST_ROW } from '../rows.ts';
import type { Connection, SourceColumn, SourceTable } from '../source.ts';
import { ask, connect, id, literal, worded } from '../sources/postgres-connection.ts';
import { describe } from '../sources/postgres-describe.ts';
import { isBlankPadded, isDay, isTextArray, withEra } from '../sources/postgres-types.ts';
import { decodes } from '../undecodable.ts';
import { arrayToJson } from './arrays.ts';
import { decodeMessage, lsnOf, lsnText, type Message, type Relation, statusUpdate, type Value } from './messages.ts';

export interface PostgresFeed {
  readonly transfer: string;
  readonly connection: Connection;
  /** The connection that reads the tables. */
  readonly client: Client;
  readonly schema: string;
  /** Begins the reading transaction at an exported snapshot; null ends it. */
  begin(snapshot: string | null): Promise<void>;
}

const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/;
const STATUS = 5_000;
/** So often it is looked whether the tables are still published: of one that was dropped nothing is ever told. */
const WATCH = 5_000;
/** An ended session's slot is free a moment later. */
const PATIENCE = 50;

export function postgresFeed({ transfer, connection, client, schema, begin }: PostgresFeed): Feed {
  const slot = String(connection['slot'] ?? `millrace_${transfer}`.slice(0, 63));
  const publication = String(connection['publication'] ?? slot);
  if (!/^[a-z0-9_]{1,63}$/.test(slot))
    fail('TRANSFER_OPTION', { source: 'postgres', option: 'slot', problem: 'a slot’s name has lower-case letters, digits and _' });
  let freezer: Client | null = null;
  let stream: Stream | null = null;
  let closed = false;
  let watch: NodeJS.Timeout | undefined;
  const refuse = (problem: string, cause?: unknown) => fail('TRANSFER_CHANGES', { source: 'postgres', problem }, cause);

  return {
    async prepare(tables, position) {
      const [level] = await ask(client, 'SHOW wal_level');
      if (level!['wal_level'] !== 'logical') refuse(`wal_level is ${level!['wal_level']}; it has to be logical`);
      await checkIdentity(client, schema, tables);
      // Before the slot: a stream can't name a publication that came later.
      await publish(client, { publication, schema, tables, position }, refuse);
      const [own] = await ask(
        client,
        `SELECT confirmed_flush_lsn::text AS confirmed, wal_status, plugin, database = current_database() AS here, active FROM pg_replication_slots WHERE slot_name = ${literal(slot)}`,
      );
      if (own === undefined) {
        if (position !== null) fail('TRANSFER_GAP', { source: 'postgres', position, problem: `the replication slot "${slot}" is gone` });
        return createSlot(client, slot, refuse);
      }
      if (own['plugin'] !== 'pgoutput' || own['here'] !== true) refuse(`the slot "${slot}" is of another kind or database`);
      if (own['wal_status'] === 'lost') {
        if (position !== null)
          fail('TRANSFER_GAP', {
            source: 'postgres',
            position,
            problem: `the server dropped what the slot "${slot}" kept (max_slot_wal_keep_size)`,
          });
        await ask(client, `SELECT pg_drop_replication_slot(${literal(slot)})`);
        return createSlot(client, slot, refuse);
      }
      const confirmed = String(own['confirmed']);
      if (position === null) return confirmed;
      if (lsnOf(confirmed) > lsnOf(position))
        fail('TRANSFER_GAP', {
          source: 'postgres',
          position,
          problem: `someone else has taken the changes of the slot "${slot}" up to ${confirmed}`,
        });
      return position;
    },
    async freeze() {
      // A slot of its own, for the moment: what it exports is exactly the tables as of its position. Another process may have our number.
      freezer = await connect(connection, true);
      try {
        const [made] = await ask(
          freezer,
          `CREATE_REPLICATION_SLOT ${id(`millrace_copy_${randomBytes(8).toString('hex')}`)} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')`,
        ).catch((thrown: unknown) => refuse(`no slot for the first copy: ${(thrown as Error).message}`, thrown));
        await begin(String(made!['snapshot_name']));
        return String(made!['consistent_point']);
      } catch (thrown) {
        await freezer.end().catch(() => {});
        freezer = null;
        throw thrown;
      }
    },
    async thaw() {
      await begin(null);
      await freezer?.end();
      freezer = null;
    },
    async *changes(tables, from) {
      // As of one moment: what is altered before it is told here, and what is altered after it by the first message about the table.
      const { shapes, altered } = await standing(client, schema, tables);
      if (closed) return;
      stream = await startStream({ connection, slot, publication, schema, shapes }, tables, from);
      // A run may end while its stream begins.
      if (closed) return stream.close();
      watch = setInterval(
        () => void published(client, { publication, schema, tables, from }).catch((thrown) => stream?.fail(thrown)),
        WATCH,
      );
      watch.unref();
      if (altered.length > 0) yield altered.map((table) => ({ kind: 'shape' as const, table }));
      yield* stream.events();
    },
    confirm: (position) => stream?.confirm(lsnOf(position)),
    isBefore: (a, b) => lsnOf(a) < lsnOf(b),
    isPosition: (text) => LSN.test(text),
    async close() {
      closed = true;
      clearInterval(watch);
      await freezer?.end().catch(() => {});
      await stream?.close();
    },
  };
}

type Refuse = (problem: string, cause?: unknown) => never;

/** A deleted row is known by its replica identity alone. */
async function checkIdentity(client: Client, schema: string, tables: readonly Followed[]): Promise<void> {
  for (const { table, key } of tables) {
    const rows = await ask(
      client,
      `SELECT c.relreplident::text AS identity, c.relkind::text AS kind, a.attname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_index i ON i.indrelid = c.oid AND ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])
       WHERE n.nspname = ${literal(schema)} AND c.relname = ${literal(table.name)}`,
    );
    const refuse = (problem: string) => fail('TRANSFER_COLUMN', { column: key.join(', '), table: table.name, use: 'key of cdc', problem });
    if (rows[0]?.['kind'] !== 'r' && rows[0]?.['kind'] !== 'p') refuse('only tables have changes');
    if (rows[0]!['identity'] === 'f') continue;
    const identity = rows.map((row) => row['name']);
    for (const column of key)
      if (!identity.includes(column)) refuse(`"${column}" is not in the replica identity; take the primary key, or REPLICA IDENTITY FULL`);
  }
}

interface Published {
  readonly publication: string;
  readonly schema: string;
  readonly tables: readonly Followed[];
}

async function unpublishedOf(client: Client, { publication, schema, tables }: Published): Promise<Followed[]> {
  const rows = await ask(
    client,
    `SELECT tablename AS name FROM pg_publication_tables WHERE pubname = ${literal(publication)} AND schemaname = ${literal(schema)}`,
  );
  return tables.filter(({ table }) => !rows.some(({ name }) => name === table.name));
}

/** A table that is dropped leaves the publication without a word; one of its name that comes later is another one. */
async function published(client: Client, { from, ...of }: Published & { readonly from: string }): Promise<void> {
  const [gone] = await unpublishedOf(client, of);
  if (gone === undefined) return;
  const { name } = gone.table;
  const [found] = await ask(client, `SELECT to_regclass(${literal(`${id(of.schema)}.${id(name)}`)})::text AS name`);
  if (found!['name'] === null) fail('TRANSFER_TABLE', { table: name });
  throw notPublished(name, of.publication, from);
}

function notPublished(table: string, publication: string, position: string): MillraceError {
  const problem = `"${table}" is not in the publication "${publication}" any more: it was made anew, or taken out`;
  return new MillraceError('TRANSFER_GAP', { source: 'postgres', position, problem });
}

/** What the first message about each table says if nothing was altered since, by the table's number. Generated columns are not told. */
async function shapesOf(client: Client, schema: string, tables: readonly Followed[]): Promise<Shapes> {
  const rows = await ask(
    client,
    `SELECT c.oid::text AS id, c.relname AS name, array_to_json(array_agg(a.attname || ' ' || a.atttypid || ' ' || a.atttypmod ORDER BY a.attnum))::text AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE n.nspname = ${literal(schema)} AND c.relname IN (${tables.map(({ table }) => literal(table.name)).join(', ')})
       AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY 1, 2`,
  );
  return new Map(
    rows.map((row) => [Number(row['id']), { name: String(row['name']), columns: (JSON.parse(String(row['columns'])) as string[]).join() }]),
  );
}

/** Both as of one moment. A transaction would tell so too, but others ask on this connection. */
async function standing(client: Client, schema: string, tables: readonly Followed[]): Promise<{ shapes: Shapes; altered: number[] }> {
  for (let shapes = await shapesOf(client, schema, tables); ; ) {
    const altered = await alteredOf(client, schema, tables);
    const after = await shapesOf(client, schema, tables);
    if (isDeepStrictEqual(shapes, after)) return { shapes, altered };
    shapes = after;
  }
}

type Shapes = ReadonlyMap<number, { readonly name: string; readonly columns: string }>;

/** The tables that are no longer as they were described. */
async function alteredOf(client: Client, schema: string, tables: readonly Followed[]): Promise<number[]> {
  const now = await describe(client, schema);
  const shape = ({ key, columns }: SourceTable) => JSON.stringify([key, columns.map(({ name, sourceType }) => [name, sourceType])]);
  return tables.flatMap(({ table }, k) => {
    const found = now.find(({ name }) => name === table.name);
    return found === undefined || shape(found) === shape(table) ? [] : [k];
  });
}

async function publish(
  client: Client,
  { publication, schema, tables, position }: Published & { position: string | null },
  refuse: Refuse,
): Promise<void> {
  const names = tables.map(({ table }) => `${id(schema)}.${id(table.name)}`);
  const denied = (thrown: unknown, what: string): never => {
    if (thrown instanceof MillraceError && thrown.code === 'TRANSFER_DENIED')
      refuse(`the publication "${publication}" ${what} and this user may not do it; let the tables’ owner: ${createSql}`, thrown);
    throw thrown;
  };
  const createSql = `CREATE PUBLICATION ${id(publication)} FOR TABLE ${names.join(', ')} WITH (publish_via_partition_root = true)`;
  const [found] = await ask(client, `SELECT puballtables AS everything FROM pg_publication WHERE pubname = ${literal(publication)}`);
  if (found === undefined) {
    await ask(client, createSql).catch((thrown: unknown) => denied(thrown, 'is missing'));
    return;
  }
  const unpublished = await unpublishedOf(client, { publication, schema, tables });
  const gone = position === null ? undefined : unpublished.find(({ known }) => known);
  if (gone !== undefined) throw notPublished(gone.table.name, publication, position!);
  const missing = unpublished.map(({ table }) => `${id(schema)}.${id(table.name)}`);
  if (missing.length > 0)
    await ask(client, `ALTER PUBLICATION ${id(publication)} ADD TABLE ${missing.join(', ')}`).catch((thrown: unknown) =>
      denied(thrown, `lacks ${missing.join(', ')}`),
    );
}

async function createSlot(client: Client, slot: string, refuse: Refuse): Promise<string> {
  const [made] = await ask(client, `SELECT lsn::text AS lsn FROM pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput')`).catch(
    (thrown: unknown) => refuse(`the slot "${slot}" can't be made: ${(thrown as Error).message}`, thrown),
  );
  return String(made!['lsn']);
}

interface Streaming {
  readonly connection: Connection;
  readonly slot: string;
  readonly publication: string;
  readonly schema: string;
  readonly shapes: Shapes;
}

interface Stream {
  events(): AsyncGenerator<readonly FeedEvent[]>;
  /** The events end with this error. */
  fail(thrown: unknown): void;
  confirm(lsn: bigint): void;
  close(): Promise<void>;
}

interface Wire {
  readonly stream: Socket;
  on(name: 'copyData', take: (message: { chunk: Buffer }) => void): void;
  once(name: 'replicationStart' | 'end', take: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

const SOCKET = 4 * 1024 * 1024;
/** Of an update it has the former row, too, where that is its identity. */
const LONGEST_MESSAGE = 2 * LONGEST_ROW;

async function startStream({ connection, ...streaming }: Streaming, tables: readonly Followed[], from: string): Promise<Stream> {
  for (let tries = 0; ; tries++) {
    const client = await connect(connection, true);
    const { slot } = streaming;
    const opened = openStream(client, streaming, tables, from);
    const failure = await opened.started;
    if (failure === null) return opened.stream;
    await opened.stream.close();
    // 55006: the slot is still held by a session that has just ended, or by another one.
    if ((failure as { code?: string }).code !== '55006') throw startFailure(failure, from);
    if (tries === PATIENCE) fail('TRANSFER_CHANGES', { source: 'postgres', problem: `the slot "${slot}" is in use by someone else` });
    await sleep(200);
  }
}

function startFailure(thrown: unknown, position: string): MillraceError {
  const { code = '', message = '' } = thrown as { code?: string; message?: string };
  // 55000: the slot can no longer be used; 42704: there is none of that name; 58P01: a file of the log is gone.
  if (['55000', '42704', '58P01'].includes(code))
    return new MillraceError('TRANSFER_GAP', { source: 'postgres', position, problem: message }, thrown);
  return worded(thrown, 'the changes', true);
}

function openStream(
  client: Client,
  { slot, publication, schema, shapes }: Omit<Streaming, 'connection'>,
  tables: readonly Followed[],
  from: string,
): { stream: Stream; started: Promise<unknown> } {
  const wire = (client as unknown as { connection: Wire }).connection;
  const started = Promise.withResolvers<unknown>();
  let confirmed = lsnOf(from);
  let queued: Buffer[] = [];
  let size = 0;
  let failure: unknown = null;
  let wake = () => {};
  const broken = (error: unknown) => {
    failure ??= error;
    started.resolve(error);
    wake();
  };
  const tell = () => {
    if (failure === null) wire.sendCopyFromChunk(statusUpdate(confirmed, Date.now()));
  };
  const timer = setInterval(tell, STATUS);
  timer.unref();
  client.on('error', broken);
  wire.once('end', () => broken(Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' })));
  wire.once('replicationStart', () => started.resolve(null));
  const bound = boundRows(wire.stream, LONGEST_MESSAGE, () => {
    broken(tooLong('the changes'));
    wire.stream.destroy();
  });
  wire.on('copyData', ({ chunk }) => {
    bound.row();
    // A keepalive that asks for an answer gets it at once, even while the warehouse is slow.
    if (chunk[0] === 0x6b && chunk[17] === 1) tell();
    // The driver's buffer is used again.
    queued.push(Buffer.from(chunk));
    size += chunk.length;
    if (size > SOCKET) wire.stream.pause();
    wake();
  });
  const sql = `START_REPLICATION SLOT ${id(slot)} LOGICAL ${from} (proto_version '1', publication_names ${literal(id(publication))})`;
  client.query(sql).then(() => broken(new Error('the server ended the stream')), broken);

  async function* events(): AsyncGenerator<readonly FeedEvent[]> {
    const decoder = new Decoder(schema, tables, shapes);
    for (;;) {
      const some = queued;
      queued = [];
      size = 0;
      wire.stream.resume();
      let out: FeedEvent[] = [];
      for (const chunk of some) {
        const shaped = decoder.take(chunk, out);
        if (!shaped) continue;
        yield out;
        out = [];
      }
      if (out.length > 0) yield out;
      if (queued.length > 0) continue;
      if (failure !== null) throw worded(failure, 'the changes');
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  }

  return {
    started: started.promise,
    stream: {
      events,
      fail: broken,
      confirm(lsn) {
        confirmed = lsn;
        tell();
      },
      async close() {
        clearInterval(timer);
        failure ??= new Error('closed');
        bound.end();
        wire.stream.resume();
        wire.stream.destroy();
      },
    },
  };
}

interface Shown {
  readonly table: number;
  readonly relation: Relation;
  /** For each column of the table its place in the relation; -1 where it has none. */
  readonly places: readonly number[];
  readonly columns: readonly SourceColumn[];
}

/** Messages as events. What a table's rows look like is said by a relation message before its first change and after each change of it. */
class Decoder {
  readonly #schema: string;
  readonly #tables: readonly Followed[];
  readonly #shapes: Shapes;
  readonly #shown = new Map<number, Shown | null>();
  #at = 0;
  #begin = '';
  #within = false;

  constructor(schema: string, tables: readonly Followed[], shapes: Shapes) {
    this.#schema = schema;
    this.#tables = tables;
    this.#shapes = shapes;
  }

  /** True when the last event asks for a table's new columns: nothing may be decoded before they are known. */
  take(chunk: Buffer, out: FeedEvent[]): boolean {
    this.#remap();
    if (chunk[0] === 0x6b) {
      if (!this.#within) out.push({ kind: 'idle', position: lsnText(chunk.readBigUInt64BE(1)) });
      return false;
    }
    return this.#message(decodeMessage(chunk.subarray(25)), out);
  }

  #message(message: Message, out: FeedEvent[]): boolean {
    switch (message.kind) {
      case 'begin':
        this.#at = Number(message.at / 1000n);
        this.#within = true;
        this.#begin = lsnText(message.commit);
        out.push({ kind: 'begin', position: this.#begin });
        return false;
      case 'commit':
        this.#within = false;
        out.push({ kind: 'commit', position: lsnText(message.end), at: this.#at });
        return false;
      case 'relation':
        return this.#relation(message.relation, out);
      case 'insert':
      case 'update':
      case 'delete':
        this.#change(message, out);
        return false;
      case 'truncate':
        for (const relation of message.relations) {
          const shown = this.#shown.get(relation);
          if (shown) out.push({ kind: 'truncate', table: shown.table });
        }
        return false;
      case 'other':
        return false;
    }
  }

  #relation(relation: Relation, out: FeedEvent[]): boolean {
    const table = this.#tables.findIndex(({ table: own }) => relation.schema === this.#schema && own.name === relation.name);
    const before = this.#shown.get(relation.id);
    // The tables are told by their numbers, and keep them under another name.
    const former = before?.relation.name ?? this.#shapes.get(relation.id)?.name;
    if (table < 0 && this.#tables.some(({ table: own }) => own.name === former)) fail('TRANSFER_TABLE', { table: former });
    this.#shown.set(relation.id, table < 0 ? null : this.#map(table, relation));
    if (table < 0) return false;
    const changed = before
      ? told(before.relation) !== told(relation)
      : this.#shapes.get(relation.id)?.columns !== columnsOf(relation) || this.#untold(table, relation) !== undefined;
    if (changed) out.push({ kind: 'shape', table });
    return changed;
  }

  /** Former rows are told by the identity of their time, which may be another one than the key of now. */
  #checkKey({ table, relation }: Shown): void {
    const other = this.#untold(table, relation);
    if (other === undefined) return;
    const problem = `changes of "${this.#tables[table]!.table.name}" are told by another key than "${other}"`;
    fail('TRANSFER_GAP', { source: 'postgres', position: this.#begin, problem });
  }

  /** A column of the table's key that is no part of what a former row is told by. */
  #untold(table: number, relation: Relation): string | undefined {
    return this.#tables[table]!.key.find((name) => !relation.columns.some((column) => column.name === name && column.key));
  }

  #map(table: number, relation: Relation): Shown {
    const { columns } = this.#tables[table]!.table;
    return { table, relation, columns, places: columns.map(({ name }) => relation.columns.findIndex((column) => column.name === name)) };
  }

  /** The caller may have put new columns in. */
  #remap(): void {
    for (const [relation, shown] of this.#shown)
      if (shown !== null && this.#tables[shown.table]!.table.columns !== shown.columns)
        this.#shown.set(relation, this.#map(shown.table, shown.relation));
  }

  #change(message: Extract<Message, { kind: 'insert' | 'update' | 'delete' }>, out: FeedEvent[]): void {
    const shown = this.#shown.get(message.relation);
    if (!shown) return;
    if (message.kind !== 'insert') this.#checkKey(shown);
    if (message.kind === 'delete') {
      out.push({ kind: 'delete', table: shown.table, cells: cellsOf(message.old, shown, null) });
      return;
    }
    if (message.row.reduce((size, value) => size + (value?.length ?? 0), 0) > LONGEST_ROW) {
      out.push({ kind: 'unread', table: shown.table, error: tooLong(shown.relation.name) });
      return;
    }
    const old = message.kind === 'update' ? message.old : null;
    const before = old === null ? null : cellsOf(old, shown, null);
    const cells = cellsOf(message.row, shown, message.kind === 'insert' ? null : undefined);
    // With the whole row as identity an unchanged long value stands in the former row.
    if (before !== null && shown.relation.identity === 'f')
      for (const [k, cell] of cells.entries()) if (cell === undefined) cells[k] = before[k];
    out.push({ kind: 'upsert', table: shown.table, cells, before });
  }
}

const columnsOf = ({ columns }: Relation) => columns.map(({ name, type, typmod }) => `${name} ${type} ${typmod}`).join();
const told = (relation: Relation) =>
  `${columnsOf(relation)} ${relation.identity} ${relation.columns.map(({ key }) => Number(key)).join('')}`;

/** `absent` is for columns that the relation does not have (yet). */
function cellsOf(values: readonly Value[], { places, columns }: Shown, absent: null | undefined): Cell[] {
  return places.map((place, k) => {
    const value = place < 0 ? absent : values[place];
    return value ? converted(value, columns[k]!) : value;
  });
}

const BACKSLASH = 0x5c;

/** The text of the output function as the text that a whole copy has (selected, in postgres-types.ts). */
function converted(value: Buffer, column: SourceColumn): Buffer {
  const { type, sourceType } = column;
  if (type === 'BLOB') return value[0] === BACKSLASH ? value.subarray(2) : value;
  if (!decodes(value)) return value;
  if (sourceType.endsWith('[]')) return Buffer.from(arrayToJson(value.toString(), !isTextArray(column)));
  if (isBlankPadded(column)) {
    let end = value.length;
    while (end > 0 && value[end - 1] === 0x20) end--;
    return value.subarray(0, end);
  }
  return isDay(column) ? withEra(value) : value;
}
