import type { Bytes, Position, Table, Topic } from '#core';
import { openCheckpoints } from './checkpoint.ts';
import { addFunction, type OwnFunction } from './functions.ts';
import { type Change, type Lane, openLane, type Row, rowsOf, type Transaction } from './lane.ts';
import { newEngineLimit } from './limit.ts';
import { type Load, type Loaded, loadFile } from './load.ts';
import { firstLine, isFatal, isMachineFault, openEngine } from './open.ts';
import { openReader, type Reader } from './read.ts';
import { newReadings } from './readings.ts';
import { columnsOf, type Delivered, type Delivery, deliverQuarantine, deliverSlice, newShapes, shapeOf } from './records.ts';
import { NEXT } from './target.ts';
import type { Mended } from './torn.ts';

/** The warehouse behind one small contract. All writes go through one lane, in order; readers never wait for it. */
export interface Store {
  /** What of each topic is in the warehouse. */
  positions(): ReadonlyMap<string, Position>;
  /** Makes the tables of topics that have none, so that a question about a topic that is still empty has an answer. */
  prepare(topics: readonly Topic[]): Promise<void>;
  /** The making of such tables that is under way; null when there is none. Not to be awaited within a write, behind which it may be. */
  preparing(): Promise<unknown> | null;
  /** Takes slices of topics in one transaction, each asked for when the one before is in. A slice that does not begin where its topic's last one ended is left out. */
  deliver(deliveries: Iterable<Delivery>): Promise<Delivered[]>;
  /** The delivery that is under way, which what can wait lets by; null when there is none. */
  delivering(): Promise<unknown> | null;
  /** Rows of so many tables are in memory until a checkpoint that those which nobody waits for should come after it. */
  crowded(): boolean;
  /** Of write-ahead log: what the last checkpoint could not take up, since somebody reads an older state. */
  unsaved(): Bytes;
  /** Would the warehouse take these lines? Null, or the engine's words. Changes nothing. */
  probe(delivery: Delivery): Promise<string | null>;
  load(load: Load): Promise<Loaded>;
  /** Any other write: `work` must say by `tx.changed` what it touched. */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** One of many that bring much: nothing of it is kept in memory. */
  writeBulk<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** A connection for one question; `temporary` for one that makes tables of its own. */
  reader(temporary?: boolean): Promise<Reader>;
  tables(): Promise<Table[]>;
  /** `schema.name` in lower case of every table and view that exists. */
  names(): Promise<ReadonlySet<string>>;
  /** Rows for Millrace's own use. */
  rows(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The same of a statement that reads much once, of which nothing is kept in memory. */
  scan(sql: string): Promise<Row[]>;
  /** Makes a function that SQL of Millrace's own may call from the next statement on; nothing where one of that name is there. Gone with the process. */
  addFunction(own: OwnFunction): void;
  /** The newest committed batch. */
  batch(): number;
  /** Listens to every commit's change records. */
  onCommit(listener: (changes: readonly Change[], batch: number) => void): void;
  readonly folders: { readonly slices: string; readonly spool: string };
  /** Checkpoints and closes, so that the next start has no WAL to replay. */
  close(): Promise<void>;
}

/** The system topic that carries what intake rejected. */
const QUARANTINE_TOPIC = '_quarantine';

export interface StoreOptions {
  readonly dataPath: string;
  readonly memory: Bytes;
  readonly threads: number;
  /** How long the write-ahead log may become before a checkpoint. */
  readonly checkpointAt?: Bytes;
  /** After an error that leaves the file in doubt (a full disk) the engine refuses everything: it has to be opened anew, by a new process. */
  readonly onFatal?: (cause: unknown) => void;
  /** Hears which blocks of the file were half written when its process was killed, and were mended. */
  readonly onMended?: (blocks: readonly Mended[]) => void;
}

/** Errors: STORE_LOCKED, STORE_OPEN. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const engine = await openEngine(options);
  const { instance, readers, slices, spool, file, block } = engine;
  /** Tables that were delivered to since the start: another delivery makes no new name. */
  const delivered = new Set<string>();
  const listeners: ((changes: readonly Change[], batch: number) => void)[] = [];
  let names: Promise<ReadonlySet<string>> | null = null;
  const error = (cause: unknown) => {
    if (isFatal(cause)) options.onFatal?.(cause);
  };
  const readings = newReadings();
  const limits = await instance.connect();
  const limit = newEngineLimit(limits, { memory: options.memory, readings, onError: error });
  const checkpoints = await openCheckpoints(instance, file, error, {
    readings,
    onLoose: limit.uncounted,
    memory: options.memory,
    block,
    ...(options.checkpointAt !== undefined && { due: options.checkpointAt }),
  });
  const lane: Lane = await openLane(instance, checkpoints, {
    error,
    commit(changes, batch) {
      if (changes.some((change) => change.kind !== 'deliver' || !delivered.has(change.target))) names = null;
      for (const change of changes) if (change.kind === 'deliver') delivered.add(change.target);
      for (const listener of listeners) listener(changes, batch);
    },
  });
  const own = await instance.connect();
  const makesFunctions = await instance.connect();
  const functions = new Set<string>();
  const positions = new Map<string, Position>();
  for (const row of await rowsOf(
    own,
    'SELECT topic, max(to_position) AS position FROM millrace.batch WHERE topic IS NOT NULL GROUP BY topic',
  )) {
    positions.set(String(row['topic']), Number(row['position']));
  }
  let shapes = newShapes();
  /** Columns that the delivery under way has put rows into. */
  let inHand = 0;
  let delivering: Promise<unknown> | null = null;
  let preparing: Promise<unknown> | null = null;

  async function prepare(topics: readonly Topic[]): Promise<void> {
    const fresh = topics.filter((topic) => shapes.known.get(topic.name)?.topic !== topic);
    if (fresh.length === 0) return;
    try {
      await lane.write(async (tx) => {
        for (const topic of fresh) {
          const shape = await shapeOf(tx, shapes, topic);
          if (shape.reshaped !== null) tx.changed({ kind: 'deliver', target: `raw.${topic.name}`, key: shape.reshaped, rows: 0 });
          shape.reshaped = null;
        }
      });
      names = null;
    } catch (cause) {
      shapes = newShapes();
      throw cause;
    }
  }

  async function deliver(deliveries: Iterable<Delivery>): Promise<Delivered[]> {
    try {
      const taken = await lane.write(async (tx) => {
        const done = new Map<string, Delivered>();
        for (const delivery of deliveries) {
          const { name } = delivery.topic;
          // Only here, with the lane to itself, is it sure that no other delivery takes the same slice.
          if (delivery.from !== (done.get(name)?.to ?? positions.get(name) ?? 0)) continue;
          const taken = await (name === QUARANTINE_TOPIC
            ? deliverQuarantine(tx, slices, delivery)
            : deliverSlice(tx, slices, shapes, delivery));
          inHand += columnsOf(taken.columns);
          done.set(name, taken);
        }
        return [...done.values()];
      });
      for (const { topic, to } of taken) positions.set(topic, to);
      return taken;
    } catch (cause) {
      // What was learned of the tables inside the transaction went with it.
      shapes = newShapes();
      throw cause;
    } finally {
      inHand = 0;
    }
  }

  return {
    positions: () => positions,
    folders: { slices, spool },
    crowded: () => checkpoints.crowded(inHand),
    unsaved: checkpoints.heldUp,
    prepare(topics) {
      const made = prepare(topics);
      // Whoever asked for it hears what went wrong.
      const under = made
        .catch(() => {})
        .finally(() => {
          if (preparing === under) preparing = null;
        });
      preparing = under;
      return made;
    },
    preparing: () => preparing,
    deliver(deliveries) {
      const under = deliver(deliveries).finally(() => {
        if (delivering === under) delivering = null;
      });
      delivering = under;
      return under;
    },
    delivering: () => delivering,
    async probe(delivery) {
      const undo = new Error('undo');
      let problem: string | null = null;
      await lane
        .write(async (tx) => {
          try {
            await deliverSlice(tx, slices, newShapes(), delivery);
          } catch (cause) {
            if (isFatal(cause) || isMachineFault(cause)) throw cause;
            problem = firstLine(cause);
          }
          throw undo;
        })
        .catch((cause: unknown) => {
          if (!(cause instanceof Error && cause.cause === undo)) throw cause;
        });
      return problem;
    },
    load: (load) => loadFile(lane, (sql) => rowsOf(own, sql), slices, Math.min(options.memory * 0.75, 512_000_000), load),
    write: (work) => lane.write(work),
    writeBulk: (work) => lane.write(work, () => limit.letGo(8_000_000)),
    async reader(temporary = false) {
      const idle = temporary ? undefined : readers.pop();
      if (idle !== undefined) return openReader(idle, readings, (connection) => readers.push(connection), error);
      return openReader(await instance.connect(), readings, (connection) => connection.closeSync(), error);
    },
    tables: () => tablesOf((sql) => rowsOf(own, sql)),
    names: () => (names ??= namesOf((sql) => rowsOf(own, sql))),
    rows: (sql, values) => rowsOf(own, sql, values),
    scan: (sql) => limit.during(() => rowsOf(own, sql)),
    addFunction(made) {
      if (!functions.has(made.name)) addFunction(makesFunctions, made);
      functions.add(made.name);
    },
    batch: () => lane.batch(),
    onCommit: (listener) => listeners.push(listener),
    async close() {
      await lane.close();
      await own.run('CHECKPOINT').catch(() => {
        // A reader is still open: the WAL stays, and the next start replays it.
      });
      for (const reader of readers) reader.closeSync();
      makesFunctions.closeSync();
      limits.closeSync();
      own.closeSync();
      engine.close();
    },
  };
}

/** A full transfer in progress is nobody's table yet. */
const SHOWN = `NOT starts_with(table_name, '${NEXT}')`;

async function namesOf(rows: (sql: string) => Promise<Row[]>): Promise<ReadonlySet<string>> {
  const found =
    await rows(`SELECT lower(schema_name || '.' || table_name) AS name FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND ${SHOWN} AND schema_name <> 'late'
    UNION ALL SELECT lower(schema_name || '.' || view_name) FROM duckdb_views() WHERE NOT internal AND NOT temporary`);
  return new Set(found.map((row) => String(row['name'])));
}

async function tablesOf(rows: (sql: string) => Promise<Row[]>): Promise<Table[]> {
  const found = await rows(`
    SELECT t.schema_name AS schema, t.name, t.kind, t.size, t.comment,
      list({'name': c.column_name, 'type': c.data_type} ORDER BY c.column_index)::JSON::VARCHAR AS columns
    FROM (
      SELECT schema_name, table_name AS name, 'table' AS kind, estimated_size AS size, comment FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND ${SHOWN} AND schema_name <> 'late'
      UNION ALL SELECT schema_name, view_name, 'view', NULL, comment FROM duckdb_views() WHERE NOT internal AND NOT temporary
    ) t JOIN duckdb_columns() c ON c.schema_name = t.schema_name AND c.table_name = t.name AND c.database_name = 'warehouse'
    GROUP BY ALL ORDER BY 1, 2`);
  const loads = new Map(
    (await rows(`SELECT target, max_by(kind, batch) AS kind FROM millrace.batch GROUP BY target`)).map((row) => [
      row['target'],
      row['kind'],
    ]),
  );
  return found.map((row) => {
    const schema = String(row['schema']);
    const kind = row['kind'] as Table['kind'];
    const made = loads.get(`${schema}.${row['name']}`);
    const origin =
      schema === 'raw'
        ? 'topic'
        : schema === 'millrace' || schema === 'change'
          ? 'system'
          : made === 'load' || made === 'transfer'
            ? 'load'
            : made === 'view'
              ? 'view'
              : 'statement';
    return {
      schema,
      name: String(row['name']),
      kind,
      origin,
      columns: JSON.parse(String(row['columns'])),
      rows: row['size'] === null ? null : Number(row['size']),
      comment: row['comment'] === null ? null : String(row['comment']),
    };
  });
}
