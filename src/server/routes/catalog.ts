import { json } from 'node:stream/consumers';
import type { FastifyInstance } from 'fastify';
import { type ErrorBody, errorFromBody, type Table } from '#core';
import type { Front } from '#platform';
import type { CatalogAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

export function catalogRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/catalog', { config: { action: 'catalog' } }, async (request): Promise<CatalogAnswer> => {
    const answer = await front.warehouse.open('GET', '/tables', request.principal);
    const tables = (await json(answer)) as Table[] & { error?: ErrorBody };
    if (tables.error !== undefined) throw errorFromBody(tables.error);
    const named: CatalogAnswer['named'] = [
      ...front.transfers.list().transfers.map(({ name }) => ({ kind: 'transfer', name }) as const),
      ...front.models.models().map(({ name }) => ({ kind: 'model', name }) as const),
      ...(await front.warehouse.json<CatalogAnswer['named']>('GET', '/names')),
    ];
    return { tables, topics: [...front.workspace.topics()], named };
  });

  /** Materialized views: what each reads, how it is kept, up to which batch it is right, and what is wrong with it. */
  app.get('/v1/views', { config: { action: 'catalog' } }, (request, reply) =>
    pipe(front, request, reply, { method: 'GET', path: '/views' }),
  );
}
