/**
 * Intake: bytes in, a closed outcome for each record out. Valid records get their stamps and a line in their topic's log;
 * the others go to the log of `_quarantine` with code and reason. Nothing is acknowledged before both are synced.
 */
import { isUtf8 } from 'node:buffer';
import { asMillraceError, type ErrorCode, type Field, fail, type Micros, MillraceError, type Topic } from '#core';
import { Flag } from './log/group.ts';
import type { Log } from './log/log.ts';
import type { TopicWriter } from './log/write.ts';
import { openPlain, type Plain, type PlainFields, plainFields } from './plain.ts';
import { type Keys, Kind, keysOf, newScan, type Scan } from './scan.ts';
import { onePiece, scanError, split } from './split.ts';
import { eventTime, fits, shown, textAt, type ZoneOffset, zoneOffsetOf } from './values.ts';

export const QUARANTINE = '_quarantine';

export interface Limits {
  readonly recordBytes: number;
  readonly batchRecords: number;
  readonly depth: number;
}

/** Who sends, and what the request says beside its body. */
export interface Sending {
  readonly sender: string;
  /** Makes a retry of the whole body by the same sender harmless even where records carry no id. */
  readonly idempotencyKey: string | null;
  /** Set when a record comes out of quarantine: the id that it gets where its topic gives it none. */
  readonly replayOf?: string;
}

export interface Rejection {
  readonly index: number;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface Taken {
  accepted: number;
  rejected: number;
  undeduplicated: number;
  /** Rejected ones that don't stand in quarantine, since their sender has put its share of the hour there. */
  unkept: number;
  rejections: Rejection[];
}

/** Counters for status and /metrics, since the process began. */
export interface Counts {
  accepted: number;
  rejected: number;
  unkept: number;
  bytes: number;
}

type TakeDone = (error: MillraceError | null, taken: Taken) => void;

export interface Intake {
  /** Errors, thrown or by `done`: BODY_EMPTY, BODY_JSON, BODY_TOO_LARGE; by `done`: LOG_FAILED. `done` is called once all is durable. */
  take(topic: Topic, body: Buffer, sending: Sending, done: TakeDone): void;
  readonly counts: ReadonlyMap<string, Counts>;
}

const newTaken = (): Taken => ({ accepted: 0, rejected: 0, undeduplicated: 0, unkept: 0, rejections: [] });

/** What intake keeps ready for a topic; made anew when its definition changes. */
interface Lane {
  readonly topic: Topic;
  readonly keys: Keys;
  readonly writer: TopicWriter;
  /** `isTime` is the event time's own column, which delivery fills from the stamp: its value is checked as the event time. */
  readonly declared: readonly { readonly place: number; readonly field: Field; readonly isTime: boolean }[];
  readonly idPlace: number;
  readonly timePlace: number;
  readonly known: ReadonlySet<string>;
  readonly counts: Counts;
  /** Null when no record of the topic can be plain. */
  readonly plain: PlainFields | null;
}

const MAX_LISTED = 1000;
const MAX_ID_BYTES = 200;
/** After so many records in a row that were not plain, the rest of a body is not tried. */
const MISSES = 8;
/** What one sender may put into quarantine per hour, so that a public write key can't fill the disk. */
const QUARANTINE_BYTES_PER_HOUR = 64 * 1024 * 1024;

export function openIntake(input: {
  log: Log;
  limits: Limits;
  timeZone: string;
  /** Fields that the warehouse has made columns of, beyond the declared ones: they need no look. */
  columns: (topic: string) => ReadonlySet<string>;
  now?: () => Micros;
  /** Null lets scan.ts and values.ts look at every record. */
  plain?: Plain | null;
}): Intake {
  const { log, limits } = input;
  const now = input.now ?? (() => Date.now() * 1000);
  const zoneOffset: ZoneOffset = zoneOffsetOf(input.timeZone);
  const scan: Scan = newScan();
  const plain = input.plain === undefined ? openPlain(limits.recordBytes) : input.plain;
  const lanes = new Map<string, Lane>();
  const counts = new Map<string, Counts>();
  const quarantine = log.topic(QUARANTINE);
  const quotas = new Map<string, { hour: number; bytes: number }>();

  function laneOf(topic: Topic): Lane {
    const lane = lanes.get(topic.name);
    const known = input.columns(topic.name);
    if (lane !== undefined && lane.topic === topic && lane.known === known) return lane;
    const names = topic.fields.map((field) => field.name);
    // A frozen topic refuses what its definition does not name, even where an earlier definition let it become a column.
    for (const name of [topic.id, topic.time?.field, topic.type, ...(topic.drift === 'evolve' ? known : [])]) {
      if (name != null && !names.includes(name) && names.length < 250) names.push(name);
    }
    const declared = topic.fields.map((field) => ({
      place: names.indexOf(field.name),
      field,
      isTime: field.name === topic.time?.field && topic.time.unit === 'iso' && field.type === 'timestamp',
    }));
    const fresh: Lane = {
      topic,
      keys: keysOf(names),
      writer: log.topic(topic.name),
      declared,
      plain: plainFields(topic, names, declared),
      idPlace: topic.id === null ? -1 : names.indexOf(topic.id),
      timePlace: topic.time === null ? -1 : names.indexOf(topic.time.field),
      known,
      counts: counts.get(topic.name) ?? { accepted: 0, rejected: 0, unkept: 0, bytes: 0 },
    };
    counts.set(topic.name, fresh.counts);
    lanes.set(topic.name, fresh);
    return fresh;
  }

  function take(topic: Topic, body: Buffer, sending: Sending, done: TakeDone): void {
    let waits = false;
    log.whenRoom(laneOf(topic).writer, body.length, () => {
      try {
        takeNow(topic, body, sending, done);
      } catch (thrown) {
        if (!waits) throw thrown;
        done(asMillraceError(thrown), newTaken());
      }
    });
    waits = true;
  }

  function takeNow(topic: Topic, body: Buffer, sending: Sending, done: TakeDone): void {
    const lane = laneOf(topic);
    const taken = newTaken();
    const failures = lane.writer.failures + quarantine.failures;
    const received = now();
    const utf8 = isUtf8(body);
    let index = 0;
    let missed = 0;

    const each = (from: number, to: number, problem: MillraceError | null): void => {
      if (index >= limits.batchRecords) {
        reject(
          lane,
          body,
          from,
          to,
          index++,
          new MillraceError('BATCH_TOO_LONG', { limit: limits.batchRecords }),
          sending,
          taken,
          received,
        );
        return;
      }
      const error = problem ?? record(lane, body, from, to, index, received, sending, taken, utf8);
      if (error !== null) reject(lane, body, from, to, index, error, sending, taken, received);
      index++;
    };
    /** Takes the plain records from `at` on at once; gives the place behind them, `at` when there are none. */
    const several = (at: number, array: boolean): number => {
      if (plain === null || lane.plain === null || !utf8 || missed > MISSES || index >= limits.batchRecords) return at;
      plain.take(at, {
        fields: lane.plain,
        array,
        most: limits.batchRecords - index,
        position: lane.writer.position(),
        received,
        latest: received + (topic.time?.ahead ?? 0),
        withoutId: sending.idempotencyKey === null,
      });
      const { count, end, undeduplicated, lines } = plain.taken;
      if (count === 0) {
        missed++;
        return at;
      }
      lane.writer.room(lines.length);
      lane.writer.buffer.set(lines, lane.writer.used);
      lane.writer.used += lines.length;
      lane.writer.count += count;
      taken.accepted += count;
      taken.undeduplicated += undeduplicated;
      index += count;
      missed = 0;
      return end;
    };
    plain?.begin(body);
    if (sending.replayOf !== undefined) onePiece(scan, body, lane.keys, limits.depth, each);
    else split(scan, body, lane.keys, limits.depth, each, several);
    if (index === 0) fail('BODY_EMPTY');
    lane.counts.bytes += body.length;
    log.commit(() => {
      const error = lane.writer.failure ?? quarantine.failure;
      const failed = lane.writer.failures + quarantine.failures !== failures;
      if (!failed) {
        lane.counts.accepted += taken.accepted;
        lane.counts.rejected += taken.rejected;
        lane.counts.unkept += taken.unkept;
      }
      done(failed ? (error ?? new MillraceError('LOG_FAILED', { problem: 'the group could not be synced' })) : null, taken);
    });
  }

  /** Checks the record that `scan` has just read at from..to and appends its line; returns what is wrong with it, or null. */
  function record(
    lane: Lane,
    body: Buffer,
    from: number,
    to: number,
    index: number,
    received: Micros,
    sending: Sending,
    taken: Taken,
    utf8: boolean,
  ): MillraceError | null {
    if (scan.code !== '') return scanError(scan, from, limits.depth);
    if (to - from > limits.recordBytes) return new MillraceError('RECORD_TOO_LARGE', { bytes: to - from, limit: limits.recordBytes });
    if (!utf8 && !isUtf8(body.subarray(from, to))) return new MillraceError('RECORD_ENCODING');
    const { topic } = lane;

    let flags = 0;
    if (scan.unknown) {
      if (topic.drift === 'freeze') {
        return new MillraceError('RECORD_FIELD_UNKNOWN', { field: body.toString('utf8', scan.unknownFrom, scan.unknownTo) });
      }
      if (topic.drift === 'evolve') flags |= Flag.unknownFields;
    }

    let exact = '';
    for (let k = 0; k < lane.declared.length; k++) {
      const { place, field, isTime } = lane.declared[k]!;
      const kind = scan.kind[place]!;
      if (kind === Kind.absent || kind === Kind.null) {
        if (field.required) return new MillraceError('RECORD_FIELD_MISSING', { field: field.name });
        continue;
      }
      if (isTime || (kind === Kind.string && field.type === 'text')) continue;
      const fit = fits(body, scan, place, field, zoneOffset);
      if (fit === null) continue;
      if (typeof fit === 'object') {
        return new MillraceError('RECORD_FIELD', {
          field: field.name,
          type: field.type,
          value: shown(body, scan, place),
          problem: fit.problem,
        });
      }
      exact = withExact(exact, field.name, fit);
    }
    if (topic.drift === 'evolve') exact = longOfOthers(lane, body, exact);

    let time = -1;
    if (topic.time !== null) {
      const place = lane.timePlace;
      const kind = scan.kind[place]!;
      if (kind === Kind.absent || kind === Kind.null) {
        if (topic.time.required) return new MillraceError('RECORD_TIME_MISSING', { field: topic.time.field });
      } else {
        const parsed = eventTime(body, scan, place, topic.time, received, zoneOffset);
        if (typeof parsed === 'object') {
          return new MillraceError('RECORD_TIME', {
            field: topic.time.field,
            value: shown(body, scan, place),
            problem: parsed.problem,
          });
        }
        time = parsed;
      }
    }

    let id = '';
    let idFrom = -1;
    let idTo = -1;
    const idKind = lane.idPlace < 0 ? Kind.absent : scan.kind[lane.idPlace]!;
    if (idKind === Kind.string || idKind === Kind.integer) {
      idFrom = scan.from[lane.idPlace]!;
      idTo = scan.to[lane.idPlace]!;
      if (idTo === idFrom) return new MillraceError('RECORD_ID', { field: topic.id, problem: 'is empty' });
      if (idTo - idFrom > MAX_ID_BYTES)
        return new MillraceError('RECORD_ID', { field: topic.id, problem: `is longer than ${MAX_ID_BYTES} bytes` });
    } else if (idKind === Kind.escaped) {
      id = textAt(body, scan.from[lane.idPlace]!, scan.to[lane.idPlace]!, idKind);
      // The same rule as for one without escapes, in which JSON has none of these.
      if (/[\u0000-\u001f]/.test(id)) return new MillraceError('RECORD_ID', { field: topic.id, problem: 'has a control character' });
      if (Buffer.byteLength(id) > MAX_ID_BYTES)
        return new MillraceError('RECORD_ID', { field: topic.id, problem: `is longer than ${MAX_ID_BYTES} bytes` });
    } else if (idKind !== Kind.absent && idKind !== Kind.null) {
      return new MillraceError('RECORD_ID', { field: topic.id, problem: 'is neither text nor an integer' });
    } else if (sending.replayOf !== undefined) {
      id = sending.replayOf;
    } else if (sending.idempotencyKey !== null) {
      id = idFromKey(sending, index);
      flags |= Flag.idFromKey;
    } else {
      taken.undeduplicated++;
    }
    if (exact !== '') flags |= Flag.exact;
    if (sending.replayOf !== undefined) flags |= Flag.replay;

    append(lane.writer, body, from, to, received, time, id, idFrom, idTo, flags, exact === '' ? '' : `${exact}}`);
    taken.accepted++;
    return null;
  }

  /** Numbers that a double can't keep, in fields that are not declared: they may be, or become, columns. */
  function longOfOthers(lane: Lane, body: Buffer, declared: string): string {
    let exact = declared;
    for (let place = lane.declared.length; place < lane.keys.names.length; place++) {
      if (scan.kind[place] === Kind.absent || scan.long[place] === 0) continue;
      exact = withExact(exact, lane.keys.names[place]!.toString(), body.toString('utf8', scan.from[place], scan.to[place]));
    }
    for (let k = 0; k < scan.longUnknown.length; k += 4) {
      const [keyFrom, keyTo, from, to] = scan.longUnknown.slice(k, k + 4) as [number, number, number, number];
      exact = withExact(exact, textAt(body, keyFrom, keyTo, Kind.escaped), body.toString('utf8', from, to));
    }
    return exact;
  }

  function append(
    writer: TopicWriter,
    body: Buffer,
    from: number,
    to: number,
    received: Micros,
    time: Micros,
    id: string,
    idFrom: number,
    idTo: number,
    flags: number,
    exact: string,
  ): void {
    writer.room(80 + 3 * id.length + (idTo - idFrom) + 3 * exact.length + (to - from));
    const buffer = writer.buffer;
    let at = digits(buffer, writer.used, writer.position());
    buffer[at++] = 0x09;
    at = digits(buffer, at, received);
    buffer[at++] = 0x09;
    if (time >= 0) at = digits(buffer, at, time);
    buffer[at++] = 0x09;
    if (idFrom >= 0) for (let k = idFrom; k < idTo; k++) buffer[at++] = body[k]!;
    else if (id !== '') at += buffer.write(id, at);
    buffer[at++] = 0x09;
    at = digits(buffer, at, flags);
    buffer[at++] = 0x09;
    if (exact !== '') at += buffer.write(exact, at);
    buffer[at++] = 0x09;
    const json = at;
    at += body.copy(buffer, at, from, to);
    // Raw line breaks and tabs in JSON stand only between tokens (the scan refuses them in strings), where a space means the same.
    if (scan.breaks) for (let k = json; k < at; k++) if (buffer[k]! < 0x20) buffer[k] = 0x20;
    buffer[at++] = 0x0a;
    writer.used = at;
    writer.count++;
  }

  function digits(buffer: Buffer, at: number, value: number): number {
    if (value <= 0x7fffffff) return smallDigits(buffer, at, value);
    // Eight digits at a time, since only 32-bit integers are divided fast.
    const high = Math.floor(value / 100_000_000);
    let low = value - high * 100_000_000;
    const end = digits(buffer, at, high) + 8;
    for (let k = end - 1; k >= end - 8; k--) {
      const rest = (low / 10) | 0;
      buffer[k] = 0x30 + (low - rest * 10);
      low = rest;
    }
    return end;
  }

  function smallDigits(buffer: Buffer, at: number, value: number): number {
    let length = 1;
    for (let power = 10; value >= power; power *= 10) length++;
    for (let k = at + length - 1; k >= at; k--) {
      const rest = (value / 10) | 0;
      buffer[k] = 0x30 + (value - rest * 10);
      value = rest;
    }
    return at + length;
  }

  function reject(
    lane: Lane,
    body: Buffer,
    from: number,
    to: number,
    index: number,
    error: MillraceError,
    sending: Sending,
    taken: Taken,
    received: Micros,
  ): void {
    taken.rejected++;
    if (taken.rejections.length < MAX_LISTED) taken.rejections.push({ index, code: error.code, reason: error.message });
    // A record that fails again at replay stands in quarantine already.
    if (sending.replayOf !== undefined) return;
    if (!withinQuota(sending.sender, to - from, received)) {
      taken.unkept++;
      return;
    }
    const row: Record<string, unknown> = {
      topic: lane.topic.name,
      code: error.code,
      reason: error.message.slice(0, 2000),
      sender: sending.sender,
      // Several times its size in memory while it is written, which no body's room counts: the beginning of a longer one has to do.
      body: body.toString('base64', from, Math.min(to, from + limits.recordBytes)),
    };
    const line = Buffer.from(JSON.stringify(row));
    scan.breaks = false;
    // A retry is known again by the id that the record would have got.
    const id = idFromKey(sending, index);
    append(quarantine, line, 0, line.length, received, -1, id, -1, -1, id === '' ? 0 : Flag.idFromKey, '');
  }

  function withinQuota(sender: string, bytes: number, received: Micros): boolean {
    const hour = Math.floor(received / 3_600_000_000);
    let quota = quotas.get(sender);
    if (quota === undefined || quota.hour !== hour) {
      if (quotas.size > 10_000) quotas.clear();
      quota = { hour, bytes: 0 };
      quotas.set(sender, quota);
    }
    quota.bytes += bytes + 200;
    return quota.bytes <= QUARANTINE_BYTES_PER_HOUR;
  }

  return { take, counts };
}

/** The same for each retry of the body; empty without a key. */
const idFromKey = ({ sender, idempotencyKey }: Sending, index: number): string =>
  idempotencyKey === null ? '' : `key:${sender}:${idempotencyKey}:${index}`;

/** The members of the line's `exact`, but for the closing brace, with one more. */
function withExact(exact: string, name: string, value: string): string {
  return `${exact === '' ? '{' : `${exact},`}${JSON.stringify(name)}:${JSON.stringify(value)}`;
}
