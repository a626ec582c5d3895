import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzip } from 'node:zlib';
import { asMillraceError, MillraceError } from '#core';
import type { Taken } from '../intake.ts';
import { answerError, type Door, type DoorContext } from './door.ts';

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
    readBody(request, context.bodyBytes, (error, body) => {
      if (error !== null) refuse(request, response, error);
      else takeBody(request, response, path, sender, body, context);
    });
  },
};

function takeBody(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  sender: string,
  body: Buffer,
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
      if (error !== null) answerError(response, error);
      else answer(response, taken);
    });
  } catch (thrown) {
    answerError(response, asMillraceError(thrown));
  }
}

/** 200 when all were accepted, 207 when some, 400 when none. */
function answer(response: ServerResponse, taken: Taken): void {
  const status = taken.rejected === 0 ? 200 : taken.accepted === 0 ? 400 : 207;
  const rejections = taken.rejections.length === 0 ? '[]' : JSON.stringify(taken.rejections);
  const body = `{"accepted":${taken.accepted},"rejected":${taken.rejected},"undeduplicated":${taken.undeduplicated},"rejections":${rejections}}`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Answers before the body was read; what still comes of it is let through to nowhere, up to a limit, so that the client can read the answer. */
function refuse(request: IncomingMessage, response: ServerResponse, error: MillraceError): void {
  if (!request.complete) {
    response.setHeader('connection', 'close');
    request.resume();
  }
  answerError(response, error);
}

function checkLength(request: IncomingMessage, limit: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw new MillraceError('BODY_TOO_LARGE', { limit });
}

/** Reads the whole body, unpacked. A client that stops in the middle gets no answer and leaves nothing behind. */
export function readBody(request: IncomingMessage, limit: number, done: (error: MillraceError | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let refused = false;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    else if (!refused) {
      refused = true;
      chunks.length = 0;
      done(new MillraceError('BODY_TOO_LARGE', { limit }), Buffer.alloc(0));
    }
  });
  request.on('end', () => {
    if (size > limit) return;
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') done(null, body);
    else if (encoding === 'gzip' || encoding === 'x-gzip') unpack(body, limit, done);
    else done(new MillraceError('BODY_ENCODING', { encoding: encoding.slice(0, 40) }), body);
  });
  request.on('error', () => {
    chunks.length = 0;
  });
}

function unpack(body: Buffer, limit: number, done: (error: MillraceError | null, body: Buffer) => void): void {
  gunzip(body, { maxOutputLength: limit }, (error, unpacked) => {
    if (error === null) done(null, unpacked);
    else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') done(new MillraceError('BODY_TOO_LARGE', { limit }), body);
    else done(new MillraceError('BODY_GZIP', { problem: error.message }), body);
  });
}
