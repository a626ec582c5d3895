/** A door under hostile input: structure-aware bodies, then broken bytes; what must hold of every one of them, and of their sums. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { type DoorContext, doors, newBodies, readSlice } from '#collect';
import { catalogue } from '#core';
import { type Below, belowFrom } from '../random.ts';
import { collecting, linesOf, NOW, topicOf } from './fixture.ts';

/** What is sent, and what must come of it where that is known: per record whether it is taken; null for bytes that were broken. */
export interface Input {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly taken: readonly boolean[] | null;
}

export const RECORD_BYTES = 4_096;
export const BODY_BYTES = 65_536;
export const BATCH = 40;
const DEPTH = 12;

export const TOPIC =
  'id: id\ntime: {field: at, required: false}\nfields: {id: text, n: integer, big: integer, amount: "decimal(18,2)", ok: boolean}';

const pick = <T>(random: Below, from: readonly T[]): T => from[random(from.length)]!;
const strings = [
  '""',
  '"a"',
  '"한글 €"',
  '"\\u00e9\\n\\t\\""',
  '"\\ud83d\\ude00"',
  '"😀"',
  '"a/b\\/c"',
  '"null"',
  '"1e5"',
  '"\u2028"',
  '"__proto__"',
];
const numbers = [
  '0',
  '-0',
  '1',
  '-1',
  '1.5',
  '1e3',
  '2E-7',
  '12345678901234567890',
  '0.1234567890123456789',
  '1e308',
  '-9223372036854775808',
];

/** Any JSON value, at most `depth` levels deep. */
function value(random: Below, depth: number): string {
  const kind = random(depth > 0 ? 9 : 6);
  if (kind < 2) return pick(random, strings);
  if (kind < 4) return pick(random, numbers);
  if (kind < 6) return pick(random, ['true', 'false', 'null']);
  const space = pick(random, ['', '', ' ', '\n', '\t', '\r\n']);
  const items = Array.from({ length: random(4) }, (_, k) => {
    const inner = value(random, depth - 1);
    return kind === 6 ? inner : `"k${k}"${space}:${inner}`;
  });
  return kind === 6 ? `[${space}${items.join(`,${space}`)}]` : `{${space}${items.join(`${space},`)}}`;
}

/** A record that the topic takes. Line breaks stand between tokens only where the frame allows them. */
function goodRecord(random: Below, id: string, breaks: boolean): string {
  const members = [`"id":"${id}"`];
  if (random(2) === 0) members.push(`"n":${pick(random, ['0', '-5', '2147483647', 'null'])}`);
  if (random(3) === 0) members.push(`"big":${pick(random, ['9223372036854775807', '-9223372036854775808', '1'])}`);
  if (random(3) === 0) members.push(`"amount":${pick(random, ['1.10', '0', '-9999999999999999.99', 'null'])}`);
  if (random(3) === 0) members.push(`"ok":${pick(random, ['true', 'false', 'null'])}`);
  if (random(3) === 0) members.push(`"at":"2026-02-0${1 + random(9)}T0${random(9)}:00:00Z"`);
  if (random(2) === 0) members.push(`"free_${random(30)}":${value(random, random(5))}`);
  if (random(12) === 0) members.push(`"long":"${'x'.repeat(random(2_500))}"`);
  for (let k = members.length - 1; k > 0; k--) {
    const other = random(k + 1);
    [members[k], members[other]] = [members[other]!, members[k]!];
  }
  const space = pick(random, breaks ? ['', '', ' ', '\t', '\n', '\r\n'] : ['', ' ', '\t']);
  const text = `{${space}${members.join(`,${space}`)}${space}}`;
  return breaks ? text : text.replaceAll(/[\r\n]/g, ' ');
}

/** One defect each; the brackets stay balanced, so that the records around it can be told apart in any frame. */
const defects: readonly ((random: Below, good: string) => string)[] = [
  (_, good) => good.replace('{', '{"n":1.5,"n2":0,').replace(/,\s*"n":(-?\d+|null)/, ''),
  (_, good) => good.replace('{', '{"twice":1,"twice":2,'),
  (_, good) => good.replace('{', '{"nul":"a\\u0000b",'),
  (_, good) => good.replace('{', '{"half":"\\ud800",'),
  (_, good) => good.replace('{', '{"half":"x\\udc00y",'),
  (_, good) => good.replace('{', `{"deep":${'['.repeat(DEPTH + 2)}${']'.repeat(DEPTH + 2)},`),
  (_, good) => good.replace('{', `{"large":"${'y'.repeat(RECORD_BYTES)}",`),
  (_, good) => good.replace('{', '{"word":tru,'),
  (_, good) => good.replace('{', '{"number":01,'),
  (_, good) => good.replace('{', '{"number":.5,'),
  (_, good) => good.replace('{', '{"escape":"\\x41",'),
  (_, good) => good.replace('{', '{,'),
  (_, good) => good.replace(/"id":"[^"]*"/, '"id":{}'),
  (_, good) => good.replace(/"id":"[^"]*"/, '"id":""'),
  (_, good) => good.replace(/"id":"[^"]*"/, `"id":"${'i'.repeat(201)}"`),
  (_, good) => `[${good}]`,
  (random) => pick(random, ['1', '"text"', 'null', 'true', '-1.5e3']),
];

/** `ids` are the records' ids; a broken one is none of another record's, since a random number stands in each. */
export function makeInput(random: Below, name: string): Input & { readonly ids: readonly string[] } {
  const frame = pick(random, ['single', 'array', 'lines', 'lines'] as const);
  const count = frame === 'single' ? 1 : 1 + random(random(10) === 0 ? BATCH + 20 : 8);
  const records: string[] = [];
  const ids: string[] = [];
  const taken: boolean[] = [];
  for (let k = 0; k < count; k++) {
    // In a body of its own a value that is no object, or an array, is another frame.
    const bad = random(6) === 0 ? random(defects.length - (frame === 'single' ? 2 : 0)) : -1;
    // Outside an array a record that is broken ends with its line.
    const good = goodRecord(random, (ids[k] = `${name}-${k}-${random(2 ** 32)}`), frame === 'array' || (frame === 'single' && bad < 0));
    records.push(bad < 0 ? good : defects[bad]!(random, good));
    taken.push(bad < 0 && k < BATCH);
  }
  const space = pick(random, ['', ' ', '\n', '\r\n']);
  const text =
    frame === 'array'
      ? `${space}[${records.join(`,${space}`)}${space}]${space}`
      : frame === 'single'
        ? `${space}${records[0]}${space}`
        : records.join(pick(random, ['\n', '\r\n', '\n\n'])) + pick(random, ['', '\n']);
  let body: Buffer = Buffer.from((random(20) === 0 ? '\ufeff' : '') + text);
  // A line that is an array, as the first of the body, opens the array frame.
  let known: boolean[] | null = frame === 'lines' && /^\ufeff?\s*\[/.test(body.toString()) ? null : taken;
  for (let k = random(3) === 0 ? 1 + random(3) : 0; k > 0; k--) {
    body = broken(random, body);
    known = null;
  }
  return { ...encoded(random, body, known), ids };
}

function broken(random: Below, body: Buffer): Buffer {
  const at = random(body.length + 1);
  const to = at + random(Math.min(40, body.length - at + 1));
  const insert = (bytes: readonly number[] | Buffer) => Buffer.concat([body.subarray(0, at), Buffer.from(bytes), body.subarray(at)]);
  switch (random(12)) {
    case 0: {
      const flipped = Buffer.from(body);
      if (flipped.length > 0) flipped[random(flipped.length)]! ^= 1 << random(8);
      return flipped;
    }
    case 1:
      return insert([random(256)]);
    case 2:
      return Buffer.concat([body.subarray(0, at), body.subarray(to)]);
    case 3:
      return insert(body.subarray(at, to));
    case 4:
      return body.subarray(0, at);
    case 5:
      return body.subarray(at);
    case 6:
      return insert(pick(random, [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xff], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x28, 0xa1], [0]]));
    case 7:
      return insert(Buffer.from(pick(random, ['[', ']', '{', '}', '"', ',', ':', '\\', '\n', '/*', '//', 'NaN', 'Infinity', '\u00a0'])));
    case 8:
      return Buffer.from(body.toString('latin1'), pick(random, ['utf16le', 'latin1', 'base64'] as const));
    case 9:
      return Buffer.concat([body, body]);
    case 10:
      return Buffer.concat([Buffer.from(pick(random, ['[', '{"a":', '"', '[['])), body]);
    default:
      return insert(Buffer.from(pick(random, ['[', '{"a":']).repeat(1 + random(3_000))));
  }
}

function encoded(random: Below, body: Buffer, taken: readonly boolean[] | null): Input {
  const fits = body.length <= BODY_BYTES ? taken : null;
  switch (random(12)) {
    case 0:
      return { body: gzipSync(body, { level: 1 }), headers: { 'content-encoding': 'gzip' }, taken: fits };
    case 1:
      return { body: broken(random, gzipSync(body, { level: 1 })), headers: { 'content-encoding': 'gzip' }, taken: null };
    case 2:
      if (random(4) > 0) return { body, headers: {}, taken: fits };
      return { body: gzipSync(Buffer.alloc(BODY_BYTES + random(1 << 20), 0x20)), headers: { 'content-encoding': 'x-gzip' }, taken: null };
    case 3:
      if (random(4) > 0) return { body, headers: {}, taken: fits };
      return {
        body: random(2) === 0 ? brotliCompressSync(body) : deflateSync(body),
        headers: { 'content-encoding': pick(random, ['br', 'deflate', 'gzip', '']) },
        taken: null,
      };
    case 4:
      if (random(4) > 0) return { body, headers: {}, taken: fits };
      return { body: Buffer.concat([body, Buffer.alloc(BODY_BYTES, 0x20)]), headers: {}, taken: null };
    default:
      return { body, headers: {}, taken: fits };
  }
}

/** What a door said: a status and JSON. */
export interface Said {
  readonly status: number;
  readonly text: string;
}

export interface Sums {
  accepted: number;
  rejected: number;
  refused: Map<string, number>;
  codes: Map<string, number>;
}

export const newSums = (): Sums => ({ accepted: 0, rejected: 0, refused: new Map(), codes: new Map() });

/** Every input is accepted or rejected with a code of the catalogue, record by record, and as it must be where that is known. */
export function judge({ taken }: Input, said: Said, sums: Sums): void {
  const answer = JSON.parse(said.text) as {
    error?: { code: string };
    accepted: number;
    rejected: number;
    rejections: { index: number; code: string; reason: string }[];
  };
  const count = (into: Map<string, number>, code: string) => {
    assert.ok(code in catalogue && code !== 'INTERNAL', `the code ${code}`);
    into.set(code, (into.get(code) ?? 0) + 1);
  };
  if (answer.error !== undefined) {
    assert.ok(taken === null, `a sound body was refused: ${said.text}`);
    assert.ok(said.status >= 400 && said.status < 500, said.text);
    count(sums.refused, answer.error.code);
    return;
  }
  const { accepted, rejected, rejections } = answer;
  assert.ok(accepted + rejected > 0 && accepted >= 0 && rejected >= 0, said.text);
  assert.equal(said.status, rejected === 0 ? 200 : accepted === 0 ? 400 : 207);
  assert.equal(rejections.length, Math.min(rejected, 1_000));
  const indexes = rejections.map(({ index }) => index);
  assert.ok(
    indexes.every((index, k) => index < accepted + rejected && (k === 0 || index > indexes[k - 1]!)),
    said.text,
  );
  for (const { code, reason } of rejections) {
    count(sums.codes, code);
    assert.ok(reason.length > 10, said.text);
  }
  if (taken !== null) {
    assert.deepEqual(
      indexes,
      taken.flatMap((is, index) => (is ? [] : [index])),
      said.text,
    );
    assert.equal(accepted + rejected, taken.length);
  }
  sums.accepted += accepted;
  sums.rejected += rejected;
}

class Answering extends EventEmitter {
  readonly headersSent = false;
  readonly destroyed = false;
  status = 0;
  setHeader(): void {}
  writeHead(status: number): void {
    this.status = status;
  }
  end(body: Buffer | string): void {
    this.emit('said', { status: this.status, text: body.toString() });
  }
}

/** Gives a body to the records door in pieces, without a socket. */
function knock(context: DoorContext, { body, headers }: Input, random: Below): Promise<Said> {
  const [door] = doors;
  const request = Object.assign(new EventEmitter(), { headers, complete: true, resume() {} });
  const response = new Answering();
  return new Promise((resolve) => {
    response.once('said', resolve);
    door!.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse, 'orders', context);
    const cut = random(body.length + 1);
    for (const piece of random(2) === 0 ? [body] : [body.subarray(0, cut), body.subarray(cut)]) request.emit('data', piece);
    request.emit('end');
  });
}

/** `inputs` bodies through the door into a real log; then the log is read back and compared with what was said. */
export async function fuzzDoor(t: TestContext, inputs: number, seed: number): Promise<Sums> {
  const random = belowFrom(seed);
  const topic = topicOf('orders', TOPIC);
  let now = NOW;
  const to = collecting(t, { limits: { recordBytes: RECORD_BYTES, batchRecords: BATCH, depth: DEPTH }, now: () => now });
  const bodies = newBodies(100 * BODY_BYTES);
  const context: DoorContext = {
    intake: to.intake,
    bodyBytes: BODY_BYTES,
    bodies,
    sender: () => 'fuzz',
    topic: () => topic,
    refusal: () => null,
  };
  const sums = newSums();
  const sound = new Map<string, boolean>();
  for (let n = 0; n < inputs; ) {
    // Many at once share a group, as on a busy day. A minute passes, so that no hour's quarantine quota is used up.
    now += 60_000_000;
    const some = Array.from({ length: Math.min(50, inputs - n) }, () => makeInput(random, `${seed}-${n++}`));
    const said = await Promise.all(some.map((input) => knock(context, input, random)));
    some.forEach((input, k) => {
      try {
        judge(input, said[k]!, sums);
      } catch (cause) {
        throw new Error(`seed ${seed}: ${JSON.stringify(input.headers)} ${JSON.stringify(input.body.toString('latin1').slice(0, 2_000))}`, {
          cause,
        });
      }
      for (const [index, is] of (input.taken ?? []).entries()) sound.set(input.ids[index]!, is);
    });
  }
  const durable = to.log.durable();
  await to.log.close();

  const stored = countLines(to.log.root, 'orders', durable['orders']!, (json) => {
    const record = JSON.parse(json) as { id?: unknown };
    assert.ok(typeof record === 'object' && record !== null && !Array.isArray(record), json);
    const id = String(record.id);
    const expected = sound.get(id);
    if (expected === undefined) return;
    assert.ok(expected, `a record with a defect was stored: ${json}`);
    sound.delete(id);
  });
  assert.equal(stored, sums.accepted, 'what was acknowledged stands in the log, no more and no less');
  assert.deepEqual(
    [...sound].filter(([, is]) => is).map(([id]) => id),
    [],
    'sound records that are not in the log',
  );
  const codes = new Map<string, number>();
  const quarantined = countLines(to.log.root, '_quarantine', durable['_quarantine']!, (json) => {
    const { code } = JSON.parse(json) as { code: string };
    codes.set(code, (codes.get(code) ?? 0) + 1);
  });
  assert.equal(quarantined, sums.rejected, 'what was rejected stands in quarantine');
  assert.deepEqual([...codes].sort(), [...sums.codes].sort());
  return sums;
}

/** Lines are read strictly: bytes that are no UTF-8 end it. */
function countLines(root: string, topic: string, durable: number, each: (json: string) => void): number {
  let count = 0;
  for (let at = 0; at < durable; ) {
    const slice = readSlice(root, topic, at, durable, 1 << 20);
    assert.ok(slice !== null);
    for (const group of slice.lines) new TextDecoder('utf-8', { fatal: true }).decode(group);
    for (const { json } of linesOf(slice.lines)) {
      each(json);
      count++;
    }
    at = slice.to;
  }
  return count;
}
