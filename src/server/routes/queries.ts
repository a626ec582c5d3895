import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { parametersOf } from '#visualize';
import type { SavedQueriesAnswer, SavedQueryAnswer } from '../api.ts';
import { textRoutes } from '../texts.ts';

const longestSql = 100_000;

/** Saved questions: the files queries/<name>.sql of the workspace, versioned like dashboards. They are only kept here; whoever runs one asks as himself. */
export function savedQueryRoutes(app: FastifyInstance, front: Front): void {
  const files = front.questions;

  /** Its title is the comment of its first line, or else its name. */
  const about = (name: string, sql: string): SavedQueryAnswer => {
    const title = /^--\s*(\S.{0,199})/.exec(sql)?.[1]?.trim() ?? name;
    return { name, title, sql, version: files.versionOf(sql), parameters: parametersOf(sql) };
  };

  app.get(
    '/v1/queries',
    { config: { action: 'catalog' } },
    async (): Promise<SavedQueriesAnswer> => ({ queries: files.names().map((name) => about(name, files.read(name))) }),
  );

  textRoutes(app, front, {
    url: '/v1/queries/:name',
    files,
    about,
    next(_name, { sql }) {
      if (typeof sql === 'string' && sql.trim() !== '' && sql.length <= longestSql) return sql;
      return fail('REQUEST_INVALID', { problem: `"sql" is not text of 1 to ${longestSql} characters` });
    },
  });
}
