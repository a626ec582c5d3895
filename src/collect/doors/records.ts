import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzip } from 'node:zlib';
import { asMillraceError, MillraceError } from '#core';
import type { Taken } from '../intake.ts';
import type { Held } from './bodies.ts';
import { answerError, type Door, type DoorContext, readOn } from './door.ts';

const PREFIX = '/v1/topics/';
const SUFFIX = '/records';

/** The native door: POST /v1/topics/:topic/records with one object, an array, or one object a line; gzip is taken. */
export const records: Door = {
  name: 'records',
  title: 'Records over HTTP',
  summary: 'POST /v1/topics/:topic/records: one JSON object, an array, or one object a line; plain or gzip.',
  options: [],
  path(method, url) {
    if (method !== 'POST' || !url.startsWith(PREFIX)) return null;
    const query = url.indexOf('?');
    const end = query < 0 ? url.length : query;
    return url.endsWith(SUFFIX, end) && end > PREFIX.length + SUFFIX.length ? url.slice(PREFIX.length, end - SUFFIX.length) : null;
  },
  handle(request, response, path, context) {
    let sender: string;
    try {
      const refusal = context.refusal();
      if (refusal !== null) throw refusal;
      sender = context.sender(request, path);
      checkLength(request, context.bodyBytes);
    } catch (thrown) {
      refuse(request, response, asMillraceError(thrown));
      return;
    }
    readBody(request, context, (error, body, release) => {
      const done = (answering: () => void) => {
        release();
        answering();
      };
      if (error !== null) done(() => refuse(request, response, error));
      else takeBody(request, response, { path, sender, body, done }, context);
    });
  },
};

function takeBody(
  request: IncomingMessage,
  response: ServerResponse,
  { path, sender, body, done }: { path: string; sender: string; body: Buffer; done: (answering: () => void) => void },
  context: DoorContext,
): void {
  try {
    // The body may have taken long to come.
    const refusal = context.refusal();
    if (refusal !== null) throw refusal;
    const key = request.headers['idempotency-key'];
    if (typeof key === 'string' && !/^[\x20-\x7e]{1,128}$/.test(key)) {
      throw new MillraceError('REQUEST_INVALID', { problem: 'Idempotency-Key must have 1 to 128 printable characters' });
    }
    const sending = { sender, idempotencyKey: typeof key === 'string' ? key : null };
    context.intake.take(context.topic(path), body, sending, (error, taken) => {
      done(() => {
        if (error !== null) answerError(response, error);
        else answer(response, taken);
      });
    });
  } catch (thrown) {
    done(() => answerError(response, asMillraceError(thrown)));
  }
}

/** 200 when all were accepted, 207 when some, 400 when none. */
function answer(response: ServerResponse, taken: Taken): void {
  const status = taken.rejected === 0 ? 200 : taken.accepted === 0 ? 400 : 207;
  const rejections = taken.rejections.length === 0 ? '[]' : JSON.stringify(taken.rejections);
  const unkept = taken.unkept === 0 ? '' : `"unkept":${taken.unkept},`;
  const body = `{"accepted":${taken.accepted},"rejected":${taken.rejected},"undeduplicated":${taken.undeduplicated},${unkept}"rejections":${rejections}}`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** While there is no room, so much of a refused body is read and the connection stays: opening another one costs more than that. */
const READ_WHILE_BUSY = 128 * 1024;

/** Answers before the body was read. Where more comes than can be taken, reading it all would take the turns of the bodies that are. */
function refuse(request: IncomingMessage, response: ServerResponse, error: MillraceError): void {
  if (!error.retryable) readOn(request);
  else if (!request.complete) {
    if (Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) > READ_WHILE_BUSY) response.setHeader('connection', 'close');
    request.resume();
  }
  answerError(response, error);
}

function checkLength(request: IncomingMessage, limit: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw new MillraceError('BODY_TOO_LARGE', { limit });
}

type Done = (error: MillraceError | null, body: Buffer, release: () => void) => void;

const NOTHING = Buffer.alloc(0);

/**
 * Reads the whole body, unpacked, if there is room for it in memory; whoever is told of it releases that room. A client that stops in the
 * middle gets no answer and leaves nothing behind.
 */
function readBody(request: IncomingMessage, { bodies, bodyBytes: limit }: DoorContext, done: Done): void {
  const said = request.headers['content-length'];
  let pieces: Pieces | null = null;
  let size = 0;
  let over = false;
  const refuseWith = (error: MillraceError) => {
    over = true;
    pieces = null;
    done(error, NOTHING, () => held?.release());
  };
  const busy = (bytes: number) => new MillraceError('INTAKE_BUSY', { bytes, held: bodies.held });
  const held = bodies.hold(Number(said ?? 0), () => refuseWith(busy(size)));
  if (held === null) {
    refuseWith(busy(Number(said)));
    return;
  }
  pieces = newPieces(said);
  request.on('data', (chunk: Buffer) => {
    if (over) return;
    size += chunk.length;
    if (size > limit) refuseWith(new MillraceError('BODY_TOO_LARGE', { limit }));
    else if (said === undefined && !held.grow(chunk.length)) refuseWith(busy(size));
    else pieces?.add(chunk);
  });
  request.on('end', () => {
    if (over) return;
    held.whole();
    const body = pieces?.body() ?? NOTHING;
    // RFC 9110, 8.4.1: in whichever case.
    const encoding = request.headers['content-encoding']?.toLowerCase();
    if (encoding === undefined || encoding === 'identity') done(null, body, held.release);
    else if (encoding === 'gzip' || encoding === 'x-gzip') unpack(body, { limit, held, busy, done });
    else refuseWith(new MillraceError('BODY_ENCODING', { encoding: encoding.slice(0, 40) }));
  });
  request.on('error', () => {
    over = true;
    pieces = null;
    held.release();
  });
}

interface Pieces {
  add(chunk: Buffer): void;
  body(): Buffer;
}

/** As large as what a socket gives at once. */
const ONE_PIECE = 64 * 1024;

/**
 * A larger body whose length was said is put together as it comes: pieces that are kept until the end, and then copied, take twice as much.
 * Pages that nothing was written to yet take no memory.
 */
function newPieces(said: string | undefined): Pieces {
  if (Number(said ?? 0) > ONE_PIECE) {
    const whole = Buffer.allocUnsafeSlow(Number(said));
    let end = 0;
    return {
      add(chunk) {
        end += chunk.copy(whole, end);
      },
      body: () => whole,
    };
  }
  const chunks: Buffer[] = [];
  return {
    add: (chunk) => void chunks.push(chunk),
    body: () => (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)),
  };
}

interface Unpacking {
  readonly limit: number;
  readonly held: Held;
  readonly busy: (bytes: number) => MillraceError;
  readonly done: Done;
}

/**
 * Room is taken for as many bytes as the packed body says of itself at its end (RFC 1952, 2.3.1: ISIZE). Where more come out of it (it has
 * several members, or lies), room is taken for the most that is allowed.
 */
function unpack(body: Buffer, unpacking: Unpacking, before = 0): void {
  const { limit, held, busy, done } = unpacking;
  const said = before > 0 || body.length < 4 ? limit : body.readUInt32LE(body.length - 4);
  // One byte at least: 0 would be no limit for zlib.
  const most = Math.min(limit, Math.max(1, said));
  const ended = (error: MillraceError | null, unpacked: Buffer) => done(error, unpacked, held.release);
  if (!held.grow(most - before)) {
    ended(busy(most), NOTHING);
    return;
  }
  gunzip(body, { maxOutputLength: most }, (error, unpacked) => {
    if (error === null) ended(null, unpacked);
    else if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE')
      ended(new MillraceError('BODY_GZIP', { problem: error.message }), NOTHING);
    else if (most === limit) ended(new MillraceError('BODY_TOO_LARGE', { limit }), NOTHING);
    else unpack(body, unpacking, most);
  });
}
