import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { pipe } from './pipe.ts';

export function lineageRoutes(app: FastifyInstance, front: Front): void {
  app.get<{ Querystring: { table?: unknown } }>('/v1/lineage', { config: { action: 'catalog' } }, (request, reply) => {
    const { table } = request.query;
    if (typeof table !== 'string') return fail('REQUEST_INVALID', { problem: '"table" is missing: ?table=schema.name' });
    const transfers = front.transfers.list().transfers.map(({ name, tables }) => ({ name, targets: tables.map(({ target }) => target) }));
    return pipe(front, request, reply, { method: 'POST', path: '/lineage', body: { table, transfers } });
  });
}
