/**
 * Transactions by their global names, which are the same on every server of a replication. A set is text, as the server itself writes it:
 * of MariaDB the last transaction of each domain (`0-1-55,1-1-3`), of MySQL the intervals of each server (`uuid:1-5:7`).
 * Authorities: mariadb.com "GTID_EVENT", "GTID_LIST_EVENT"; dev.mysql.com "GTID Format and Storage", `Gtid_set::encode` and `Gtid_log_event`.
 */
import { HEADER } from './events.ts';

const MARIADB_GTID = 162;
const MARIADB_GTID_LIST = 163;
const MYSQL_GTID = 33;
const MYSQL_ANONYMOUS_GTID = 34;
const MYSQL_PREVIOUS_GTIDS = 35;
/** Names with a tag (MySQL 8.3): what they name is not followed by name. */
const MYSQL_TAGGED_GTID = 42;

export interface Gtid {
  /** Null where the transaction has no name that is known here. */
  readonly name: string | null;
  /** One statement that no COMMIT follows. MySQL's event does not tell. */
  readonly standalone: boolean | null;
}

const STANDALONE = 1;

/** Null for events that begin no transaction. */
export function gtidOf(type: number, event: Buffer): Gtid | null {
  if (type === MARIADB_GTID) {
    const sequence = event.readBigUInt64LE(HEADER);
    const domain = event.readUInt32LE(HEADER + 8);
    return { name: `${domain}-${event.readUInt32LE(5)}-${sequence}`, standalone: (event[HEADER + 12]! & STANDALONE) !== 0 };
  }
  if (type === MYSQL_GTID) return { name: `${uuidOf(event, HEADER + 1)}:${event.readBigUInt64LE(HEADER + 17)}`, standalone: null };
  return type === MYSQL_ANONYMOUS_GTID || type === MYSQL_TAGGED_GTID ? { name: null, standalone: null } : null;
}

/** What stands before a file of the log. Null for other events, and for sets in a form that is not known here. */
export function gtidsBefore(type: number, event: Buffer): string | null {
  if (type === MARIADB_GTID_LIST) return listed(event);
  return type === MYSQL_PREVIOUS_GTIDS ? decodeGtids(event.subarray(HEADER)) : null;
}

/** Each server's last transaction of each domain; of a domain the newest comes last. The count's upper four bits are flags. */
function listed(event: Buffer): string {
  const count = event.readUInt32LE(HEADER) & 0x0fff_ffff;
  let set = '';
  for (let k = 0; k < count; k++) {
    const at = HEADER + 4 + 16 * k;
    set = plus(set, `${event.readUInt32LE(at)}-${event.readUInt32LE(at + 4)}-${event.readBigUInt64LE(at + 8)}`);
  }
  return set;
}

/** The set with one more transaction, which is the newest of its domain. */
export function plus(set: string, gtid: string): string {
  if (!gtid.includes(':')) {
    const domain = gtid.slice(0, gtid.indexOf('-') + 1);
    const others = set.split(',').filter((each) => each !== '' && !each.startsWith(domain));
    return [...others, gtid].join(',');
  }
  const servers = serversOf(set);
  const [[uuid, added]] = [...serversOf(gtid)] as [[string, Interval[]]];
  servers.set(uuid, joined([...(servers.get(uuid) ?? []), ...added]));
  return textOf(servers);
}

/** Is everything that `part` names in `whole`? Of MariaDB: a domain's numbers grow, whichever server gives them. */
export function isWithin(part: string, whole: string): boolean {
  if (part === '') return true;
  if (!part.includes(':')) {
    const newest = domainsOf(whole);
    return [...domainsOf(part)].every(([domain, sequence]) => sequence <= (newest.get(domain) ?? -1n));
  }
  const servers = serversOf(whole);
  return [...serversOf(part)].every(([uuid, intervals]) =>
    intervals.every(([from, to]) => (servers.get(uuid) ?? []).some(([begin, end]) => begin <= from && to <= end)),
  );
}

function domainsOf(set: string): Map<string, bigint> {
  return new Map(
    set.split(',').flatMap((each): [string, bigint][] => {
      const [domain, , sequence] = each.split('-');
      return sequence === undefined ? [] : [[domain!, BigInt(sequence)]];
    }),
  );
}

/** Both ends are in it. */
type Interval = readonly [from: bigint, to: bigint];

function serversOf(set: string): Map<string, Interval[]> {
  const servers = new Map<string, Interval[]>();
  for (const part of set.split(',')) {
    const [uuid, ...intervals] = part.trim().toLowerCase().split(':');
    if (uuid === '') continue;
    const read = intervals.map((text): Interval => {
      const [from, to = from] = text.split('-');
      return [BigInt(from!), BigInt(to!)];
    });
    servers.set(uuid!, joined([...(servers.get(uuid!) ?? []), ...read]));
  }
  return servers;
}

/** In order, and those that touch made one. */
function joined(intervals: readonly Interval[]): Interval[] {
  const out: Interval[] = [];
  for (const [from, to] of intervals.toSorted(([a], [b]) => Number(a - b))) {
    const last = out.at(-1);
    if (last === undefined || from > last[1] + 1n) out.push([from, to]);
    else if (to > last[1]) out[out.length - 1] = [last[0], to];
  }
  return out;
}

function textOf(servers: ReadonlyMap<string, readonly Interval[]>): string {
  const interval = ([from, to]: Interval) => (from === to ? `${from}` : `${from}-${to}`);
  return [...servers].map(([uuid, intervals]) => [uuid, ...intervals.map(interval)].join(':')).join(',');
}

/** How MySQL wants a set in COM_BINLOG_DUMP_GTID, and writes it into its log: ends are the first number that is no longer in it. */
export function encodeGtids(set: string): Buffer {
  const servers = [...serversOf(set)];
  const parts = [eight(BigInt(servers.length))];
  for (const [uuid, intervals] of servers) {
    parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'), eight(BigInt(intervals.length)));
    for (const [from, to] of intervals) parts.push(eight(from), eight(to + 1n));
  }
  return Buffer.concat(parts);
}

function eight(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** Null where the set has tags: its count's highest byte is then the form's number. */
function decodeGtids(bytes: Buffer): string | null {
  if (bytes[7] !== 0) return null;
  const servers = new Map<string, Interval[]>();
  let at = 8;
  for (let left = bytes.readUInt32LE(0); left > 0; left--) {
    const uuid = uuidOf(bytes, at);
    const count = Number(bytes.readBigUInt64LE(at + 16));
    at += 24;
    const intervals: Interval[] = [];
    for (let k = 0; k < count; k++, at += 16) intervals.push([bytes.readBigUInt64LE(at), bytes.readBigUInt64LE(at + 8) - 1n]);
    servers.set(uuid, intervals);
  }
  return textOf(servers);
}

function uuidOf(bytes: Buffer, at: number): string {
  return bytes.toString('hex', at, at + 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
