import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Front } from '#platform';

const PASSED = ['content-type', 'content-length', 'x-millrace-job', 'x-millrace-rows', 'x-millrace-truncated', 'retry-after'] as const;

/** Asks the warehouse and pipes its answer through, whatever it is; a client that goes away ends the question. */
export async function pipe(
  front: Front,
  request: FastifyRequest,
  reply: FastifyReply,
  to: { method: string; path: string; body?: unknown },
): Promise<FastifyReply> {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  const body = to.body === undefined ? undefined : Buffer.from(JSON.stringify(to.body));
  const answer = await front.warehouse.open(to.method, to.path, request.principal, body, gone.signal);
  reply.code(answer.statusCode!);
  for (const name of PASSED) {
    const value = answer.headers[name];
    if (value !== undefined) reply.header(name, value);
  }
  return reply.send(answer);
}
