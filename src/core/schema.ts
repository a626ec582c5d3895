/** Bytes, milliseconds, microseconds and log positions as numbers that can't be mixed up by accident. */
export type Bytes = number;
export type Millis = number;
export type Micros = number;
/** A byte offset in a topic's log: grows, never reused. A record's position is where its line starts. */
export type Position = number;

/**
 * The types that a declared field can have. `decimal(p,s)` is exact (money); `timestamp` is an instant, kept in UTC;
 * `json` keeps any value as it was sent.
 */
export type FieldType = 'text' | 'integer' | 'double' | 'boolean' | 'timestamp' | 'date' | 'json' | `decimal(${number},${number})`;

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
}

/** How an event's time is written in the record. `iso` is ISO 8601 with an offset (without one, the workspace's zone is taken). */
export type TimeUnit = 'iso' | 's' | 'ms' | 'us';

export interface EventTime {
  readonly field: string;
  readonly unit: TimeUnit;
  readonly required: boolean;
  /** Times before this instant are absurd (default 2000-01-01T00:00:00Z). */
  readonly earliest: Micros;
  /** How far ahead of the server's clock a time may be (default 24 h). */
  readonly ahead: Micros;
}

/**
 * What happens to fields that the definition does not name: `evolve` makes columns for them (up to 200, the rest stays in
 * the column `data`), `freeze` quarantines the record, `discard` keeps the record and leaves them only in `data`.
 */
export type Drift = 'evolve' | 'freeze' | 'discard';

/** A topic: a named, durable stream of records, delivered to the table `raw.<name>`. */
export interface Topic {
  readonly name: string;
  readonly title: string;
  readonly fields: readonly Field[];
  /** The field that carries the client's event id, if there is one: the key of deduplication. */
  readonly id: string | null;
  readonly time: EventTime | null;
  /** The field that names the kind of event, if there is one. */
  readonly type: string | null;
  readonly drift: Drift;
  /** How long a record without event time is remembered for deduplication. */
  readonly dedupeWindow: Millis;
}

const WORD = /^[a-z\p{Lo}][a-z\p{Lo}0-9_]{0,62}$/u;

/**
 * Whether a table or a schema may be called so: 1 to 63 of a–z, letters of scripts without capitals (Hangul, Kana, Han …), 0–9 and _, a letter
 * first. No capitals, so that case never tells two names apart; composed (NFC), so that what looks the same is the same.
 */
export function isTableWord(word: string): boolean {
  return WORD.test(word) && word === word.normalize('NFC');
}

/** A column of a table or of a result. `type` is the warehouse's name of it (DuckDB's: VARCHAR, BIGINT, DECIMAL(18,2), TIMESTAMP WITH TIME ZONE, …). */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** What has a name in the warehouse. `rows` is an estimate that costs nothing. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'view';
  /** Who makes it: delivery from a topic, a load, a statement, a view kept fresh, Millrace itself. */
  readonly origin: 'topic' | 'load' | 'statement' | 'view' | 'system';
  readonly columns: readonly Column[];
  readonly rows: number | null;
  readonly comment: string | null;
}
