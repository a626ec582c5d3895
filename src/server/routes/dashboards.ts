import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail, MillraceError } from '#core';
import type { Front } from '#platform';
import { parseDashboard, writeDashboard } from '#visualize';
import type { DashboardAnswer, DashboardsAnswer, DashboardVersionsAnswer } from '../api.ts';
import { matched, type TextFolder, textFolder, versionOf } from '../texts.ts';

interface Named {
  Params: { name: string };
}

/** Dashboards: the files of the workspace's folder dashboards/, read when asked for, so that an edit on disk is seen at once. */
export function dashboardRoutes(app: FastifyInstance, { workspace, guard }: Front): void {
  const files = dashboardFiles(workspace);
  const url = '/v1/dashboards/:name';

  app.get('/v1/dashboards', { config: { action: 'catalog' } }, async (): Promise<DashboardsAnswer> => {
    const dashboards = files.names().map((each) => {
      const { name, dashboard, error } = about(files, each, files.read(each));
      const { title = name, description = '', tiles = [] } = dashboard ?? {};
      return { name, title, description, tiles: tiles.length, error };
    });
    return { dashboards };
  });

  app.get<Named>(url, { config: { action: 'catalog' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    const answer = about(files, name, files.read(name));
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
    async (request): Promise<DashboardAnswer> => {
      const name = files.checked(request.params.name);
      return about(files, name, files.version(name, request.params.version));
    },
  );

  app.put<Named & { Body: { text?: unknown; definition?: unknown; version?: unknown } | null }>(
    url,
    { config: { action: 'define' } },
    async (request, reply): Promise<DashboardAnswer> => {
      const name = files.checked(request.params.name);
      const { body } = request;
      const text = files.save({
        name,
        on: body?.version ?? matched(request.headers['if-match']),
        by: request.principal.name,
        next: (held) => newText(files, name, body ?? {}, held),
      });
      guard.audit({ who: request.principal.name, action: 'define', on: files.file(name), outcome: 'done', from: request.ip });
      const answer = about(files, name, text);
      reply.header('etag', `"${answer.version}"`);
      return answer;
    },
  );

  app.delete<Named>(url, { config: { action: 'define' } }, async (request) => {
    const name = files.checked(request.params.name);
    files.remove(name, request.principal.name);
    guard.audit({ who: request.principal.name, action: 'define', on: files.file(name), outcome: 'done', from: request.ip });
    return { name };
  });
}

export function dashboardFiles(workspace: Front['workspace']): TextFolder {
  return textFolder({
    workspace: workspace.path,
    folder: 'dashboards',
    ending: '.yaml',
    kept: join(workspace.dataPath, 'versions', 'dashboards'),
    errors: { name: 'DASHBOARD_NAME', unknown: 'DASHBOARD_UNKNOWN', changed: 'DASHBOARD_CHANGED', version: 'DASHBOARD_VERSION' },
  });
}

/** The text with what it says, or with what is wrong in it. */
export function about(files: TextFolder, name: string, text: string): DashboardAnswer {
  const facts = { name, text, version: versionOf(text) };
  try {
    return { ...facts, dashboard: parseDashboard(text, files.file(name)), error: null };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { ...facts, dashboard: null, error: error.body };
  }
}

/** The file's next text: as it was sent, or `definition` written over what is there. DEFINITION_YAML, DEFINITION_INVALID. */
function newText(files: TextFolder, name: string, body: { text?: unknown; definition?: unknown }, held: string | null): string {
  const { text, definition } = body;
  const file = files.file(name);
  if (definition !== undefined) {
    // JSON is YAML: what a stranger sends is checked by the very reader of the files.
    const next = parseDashboard(JSON.stringify(definition), file);
    return writeDashboard(next, held !== null && about(files, name, held).error === null ? held : null, file);
  }
  if (typeof text !== 'string') return fail('REQUEST_INVALID', { problem: '"text" is not text' });
  parseDashboard(text, file);
  return text;
}
