import type { FastifyInstance } from 'fastify';
import type { Table } from '#core';
import type { Front } from '#platform';
import type { CatalogAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

export function catalogRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/catalog', { config: { action: 'catalog' } }, async (): Promise<CatalogAnswer> => {
    const tables = await front.warehouse.json<Table[]>('GET', '/tables');
    return { tables, topics: [...front.workspace.topics()] };
  });

  /** Materialized views: what each reads, how it is kept, up to which batch it is right, and what is wrong with it. */
  app.get('/v1/views', { config: { action: 'catalog' } }, (request, reply) =>
    pipe(front, request, reply, { method: 'GET', path: '/views' }),
  );
}
