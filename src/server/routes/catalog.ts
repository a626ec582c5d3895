import type { FastifyInstance } from 'fastify';
import type { Table } from '#core';
import type { Front } from '#platform';
import type { CatalogAnswer } from '../api.ts';

export function catalogRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/catalog', { config: { action: 'catalog' } }, async (): Promise<CatalogAnswer> => {
    const tables = await front.warehouse.json<Table[]>('GET', '/tables');
    return { tables, topics: [...front.workspace.topics()] };
  });
}
