import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { parametersOf } from '#visualize';
import type { DashboardVersionsAnswer, SavedQueriesAnswer, SavedQueryAnswer } from '../api.ts';
import { matched, type TextFolder, textFolder, versionOf } from '../texts.ts';

interface Named {
  Params: { name: string };
}

const longestSql = 100_000;

/** Saved questions: the files queries/<name>.sql of the workspace, versioned like dashboards. They are only kept here; whoever runs one asks as himself. */
export function savedQueryRoutes(app: FastifyInstance, { workspace, guard }: Front): void {
  const files = textFolder({
    workspace: workspace.path,
    folder: 'queries',
    ending: '.sql',
    kept: join(workspace.dataPath, 'versions', 'queries'),
    errors: { name: 'SAVED_NAME', unknown: 'SAVED_UNKNOWN', changed: 'SAVED_CHANGED', version: 'SAVED_VERSION' },
  });
  const url = '/v1/queries/:name';

  app.get(
    '/v1/queries',
    { config: { action: 'catalog' } },
    async (): Promise<SavedQueriesAnswer> => ({ queries: files.names().map((name) => about(name, files.read(name))) }),
  );

  app.get<Named>(url, { config: { action: 'catalog' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    const answer = about(name, files.read(name));
    reply.header('etag', `"${answer.version}"`);
    return answer;
  });

  app.get<Named>(
    `${url}/versions`,
    { config: { action: 'catalog' } },
    async (request): Promise<DashboardVersionsAnswer> => ({ versions: files.versions(files.checked(request.params.name)) }),
  );

  app.get<{ Params: { name: string; version: string } }>(
    `${url}/versions/:version`,
    { config: { action: 'catalog' } },
    async (request): Promise<SavedQueryAnswer> => {
      const name = files.checked(request.params.name);
      return about(name, files.version(name, request.params.version));
    },
  );

  app.put<Named & { Body: { sql?: unknown; version?: unknown } | null }>(url, { config: { action: 'define' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    const { sql, version } = request.body ?? {};
    if (typeof sql !== 'string' || sql.trim() === '' || sql.length > longestSql)
      return fail('REQUEST_INVALID', { problem: `"sql" is not text of 1 to ${longestSql} characters` });
    const on = version ?? matched(request.headers['if-match']);
    const answer = about(name, files.save({ name, on, by: request.principal.name, next: () => sql }));
    audit(files, name, request);
    reply.header('etag', `"${answer.version}"`);
    return answer;
  });

  app.delete<Named>(url, { config: { action: 'define' } }, async (request) => {
    const name = files.checked(request.params.name);
    files.remove(name, request.principal.name);
    audit(files, name, request);
    return { name };
  });

  function audit(of: TextFolder, name: string, request: { principal: { name: string }; ip: string }): void {
    guard.audit({ who: request.principal.name, action: 'define', on: of.file(name), outcome: 'done', from: request.ip });
  }
}

/** Its title is the comment of its first line, or else its name. */
function about(name: string, sql: string): SavedQueryAnswer {
  const title = /^--\s*(\S.{0,199})/.exec(sql)?.[1]?.trim() ?? name;
  return { name, title, sql, version: versionOf(sql), parameters: parametersOf(sql) };
}
