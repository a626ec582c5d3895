import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Bytes, errorFromBody, fail, type Principal } from '#core';
import type { Front } from '#platform';
import type { ErrorAnswer } from '../api.ts';

const PASSED = ['content-type', 'content-length', 'x-millrace-job', 'x-millrace-rows', 'x-millrace-truncated', 'retry-after'] as const;

/** Asks the warehouse and pipes its answer through, whatever it is; a client that goes away ends the question. */
export async function pipe(
  front: Front,
  request: FastifyRequest,
  reply: FastifyReply,
  to: { method: string; path: string; body?: unknown },
): Promise<FastifyReply> {
  const body = to.body === undefined ? undefined : Buffer.from(JSON.stringify(to.body));
  const answer = await front.warehouse.open(to.method, to.path, request.principal, body, goneSignal(reply));
  reply.code(answer.statusCode!);
  for (const name of PASSED) {
    const value = answer.headers[name];
    if (value !== undefined) reply.header(name, value);
  }
  return reply.send(answer);
}

/** Aborted when the client goes away before it has its whole answer. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

interface Told {
  readonly who: Principal;
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

/** It stands whole in the process that acknowledges records, and takes several times as much as it is read. */
const MOST_TOLD: Bytes = 32 * 1024 * 1024;

async function readAll(body: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  // Left in the middle, it is destroyed.
  for await (const piece of body) {
    size += (piece as Buffer).length;
    if (size > MOST_TOLD) fail('QUERY_RESULT_SIZE', { limit: MOST_TOLD });
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces).toString();
}

/** What the warehouse answers to somebody, read whole. Errors: those that it answers, QUERY_RESULT_SIZE. */
export async function told<T extends object>(front: Front, { who, method = 'POST', path, body, signal }: Told): Promise<T> {
  const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const said = JSON.parse(await readAll(await front.warehouse.open(method, path, who, sent, signal))) as T & Partial<ErrorAnswer>;
  if (said.error) throw errorFromBody(said.error);
  return said;
}
