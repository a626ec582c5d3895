/** A load generator that costs little: raw sockets, one request under way on each, the bytes of the requests made beforehand. */
import { connect, type Socket } from 'node:net';

/** A request whose bytes are made once; only ids and times are written into it before each sending. */
export interface Shot {
  readonly bytes: Buffer;
  readonly records: number;
  /** Where 12 digits of a record's id stand. */
  readonly ids: readonly number[];
  /** Where ISO times (24 bytes) stand. */
  readonly times: readonly number[];
}

export interface Measured {
  /** Acknowledged per second. */
  readonly records: number;
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
}

let nextId = 0;

export function newShot(path: string, token: string, records: readonly string[]): Shot {
  const body = records.length === 1 ? records[0]! : `[${records.join(',')}]`;
  const head = `POST ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const bytes = Buffer.from(head + body, 'latin1');
  return { bytes, records: records.length, ids: placesOf(bytes, ID), times: placesOf(bytes, TIME) };
}

/** What stands for the id and the time in a record's text. */
export const ID = '@@@@@@@@@@@@';
export const TIME = '####-##-##T##:##:##.###Z';

function placesOf(bytes: Buffer, mark: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) places.push(at);
  return places;
}

/** Sends from `connections` sockets for `seconds`; an answer other than 200 ends it with that answer. */
export async function fire(port: number, makeShot: () => Shot, connections: number, seconds: number): Promise<Measured> {
  const waits: number[] = [];
  let requests = 0;
  let records = 0;
  let stopped = false;
  const iso = Buffer.from(new Date().toISOString(), 'latin1');
  const clock = setInterval(() => iso.write(new Date().toISOString(), 'latin1'), 5);
  const began = performance.now();
  const over = setTimeout(() => {
    stopped = true;
  }, seconds * 1000);

  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const shot = makeShot();
      const socket: Socket = connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      let sent = 0;
      let answer = '';
      const send = () => {
        prepare(shot, nextId, iso);
        nextId += shot.ids.length;
        sent = performance.now();
        socket.write(shot.bytes);
      };
      socket.once('connect', send);
      socket.setEncoding('latin1');
      socket.on('data', (text: string) => {
        answer = answer === '' ? text : answer + text;
        if (!isWhole(answer)) return;
        if (!answer.startsWith('HTTP/1.1 200')) {
          socket.destroy();
          reject(new Error(answer));
          return;
        }
        answer = '';
        waits.push(performance.now() - sent);
        requests++;
        records += shot.records;
        if (stopped) socket.end(() => resolve());
        else send();
      });
      socket.once('error', reject);
    });

  try {
    await Promise.all(Array.from({ length: connections }, one));
  } finally {
    clearInterval(clock);
    clearTimeout(over);
  }
  const took = (performance.now() - began) / 1000;
  waits.sort((a, b) => a - b);
  return { records: records / took, requests: requests / took, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) };
}

/** Writes the ids from `first` on and the time. */
export function prepare(shot: Shot, first: number, iso: Buffer = Buffer.from(new Date().toISOString(), 'latin1')): void {
  for (const at of shot.times) iso.copy(shot.bytes, at);
  for (const at of shot.ids) writeId(shot.bytes, at, first++);
}

/** Is this the whole of an answer? */
export function isWhole(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const at = answer.toLowerCase().lastIndexOf('content-length: ', head);
  return at >= 0 && answer.length >= head + 4 + Number.parseInt(answer.slice(at + 16), 10);
}

function writeId(bytes: Buffer, at: number, id: number): void {
  for (let k = at + ID.length - 1; k >= at; k--) {
    const rest = Math.floor(id / 10);
    bytes[k] = 0x30 + (id - rest * 10);
    id = rest;
  }
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
