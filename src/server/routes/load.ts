import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { cutBody, unpacking, whileRoom } from '../file-bodies.ts';
import { pipe } from './pipe.ts';

const FORMATS = ['csv', 'ndjson', 'parquet'];
const MODES = ['append', 'replace', 'create'];
const LARGEST = 64 * 1024 ** 3;
let count = 0;

export function loadRoutes(app: FastifyInstance, front: Front): void {
  app.register(async (scope) => {
    // The body is a file of any type: it goes to disk as it comes.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.post<{ Params: { table: string }; Querystring: { format?: string; mode?: string }; Body: Readable }>(
      '/v1/load/:table',
      { config: { action: 'load', streams: true }, bodyLimit: LARGEST },
      async (request, reply) => {
        const { format = 'csv', mode = 'append' } = request.query;
        if (!FORMATS.includes(format)) fail('LOAD_FORMAT', { format: format.slice(0, 50) });
        if (!MODES.includes(mode)) fail('REQUEST_INVALID', { problem: `mode can't be ${mode.slice(0, 50)}; use ${MODES.join(', ')}` });
        const { refusal } = front.doors;
        const full = refusal();
        if (full !== null) throw full;
        const key = request.headers['idempotency-key'];
        const unpack = unpacking(request.headers);
        const file = join(front.uploads, `${process.pid}-${++count}.${format}`);
        try {
          const spool = [request.body ?? request.raw, ...unpack, whileRoom(refusal), createWriteStream(file, { mode: 0o600 })];
          await pipeline(spool).catch((cause: Error) => cutBody(front, cause));
          const answer = await pipe(front, request, reply, {
            method: 'POST',
            path: '/load',
            body: { table: request.params.table, file, format, mode, key: typeof key === 'string' ? key.slice(0, 200) : null },
          });
          front.guard.audit({
            who: request.principal.name,
            action: 'load',
            on: request.params.table,
            outcome: reply.statusCode < 400 ? 'done' : 'failed',
            from: request.ip,
          });
          return answer;
        } finally {
          await rm(file, { force: true });
        }
      },
    );
  });
}
