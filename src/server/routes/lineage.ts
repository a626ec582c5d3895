import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { pipe } from './pipe.ts';

export function lineageRoutes(app: FastifyInstance, front: Front): void {
  app.get<{ Querystring: { table?: unknown; column?: unknown } }>('/v1/lineage', { config: { action: 'catalog' } }, (request, reply) => {
    const { table, column } = request.query;
    if (typeof table !== 'string') return fail('REQUEST_INVALID', { problem: '"table" is missing: ?table=schema.name' });
    const transfers = filledBy(front);
    if (column === undefined) return pipe(front, request, reply, { method: 'POST', path: '/lineage', body: { table, transfers } });
    if (typeof column !== 'string') return fail('REQUEST_INVALID', { problem: '"column" is given twice' });
    return pipe(front, request, reply, { method: 'POST', path: '/lineage/column', body: { table, column, transfers } });
  });
}

/** The tables that each transfer fills, by its name. */
export function filledBy(front: Front): { name: string; targets: string[] }[] {
  return front.transfers.list().transfers.map(({ name, tables }) => ({ name, targets: tables.map(({ target }) => target) }));
}
