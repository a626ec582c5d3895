import type { FastifyInstance } from 'fastify';
import { fail, MillraceError } from '#core';
import type { Front, TextFolder } from '#platform';
import { parseDashboard, writeDashboard } from '#visualize';
import type { DashboardAnswer, DashboardsAnswer } from '../api.ts';
import { textRoutes } from '../texts.ts';

/** Dashboards: the files of the workspace's folder dashboards/, read when asked for, so that an edit on disk is seen at once. */
export function dashboardRoutes(app: FastifyInstance, front: Front): void {
  const files = front.dashboards;

  app.get('/v1/dashboards', { config: { action: 'catalog' } }, async (): Promise<DashboardsAnswer> => {
    const dashboards = files.names().map((each) => {
      const { name, dashboard, error } = about(files, each, files.read(each));
      const { title = name, description = '', tiles = [] } = dashboard ?? {};
      return { name, title, description, tiles: tiles.length, error };
    });
    return { dashboards };
  });

  textRoutes(app, front, {
    url: '/v1/dashboards/:name',
    files,
    about: (name, text) => about(files, name, text),
    next: (name, body, held) => newText(files, name, body, held),
  });
}

/** The text with what it says, or with what is wrong in it. */
export function about(files: TextFolder, name: string, text: string): DashboardAnswer {
  const facts = { name, text, version: files.versionOf(text) };
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
