import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail, MillraceError } from '#core';
import type { Front } from '#platform';
import { parseDashboard, writeDashboard } from '#visualize';
import type { DashboardAnswer, DashboardsAnswer, DashboardVersionsAnswer } from '../api.ts';
import { dashboardVersions } from './dashboards-versions.ts';

const ending = '.yaml';

/** Dashboards: the files of the workspace's folder dashboards/, read when asked for, so that an edit on disk is seen at once. */
export function dashboardRoutes(app: FastifyInstance, { workspace, guard }: Front): void {
  const folder = join(workspace.path, 'dashboards');
  const versions = dashboardVersions(join(workspace.dataPath, 'versions', 'dashboards'));
  const url = '/v1/dashboards/:name';

  app.get('/v1/dashboards', { config: { action: 'catalog' } }, async (): Promise<DashboardsAnswer> => {
    const names = existsSync(folder)
      ? readdirSync(folder).filter((file) => file.endsWith(ending) && isName(file.slice(0, -ending.length)))
      : [];
    const dashboards = names.sort().map((file) => {
      const { name, dashboard, error } = read(file.slice(0, -ending.length));
      return {
        name,
        title: dashboard?.title ?? name,
        description: dashboard?.description ?? '',
        tiles: dashboard?.tiles.length ?? 0,
        error,
      };
    });
    return { dashboards };
  });

  app.get<{ Params: { name: string } }>(url, { config: { action: 'catalog' } }, async (request, reply) => {
    const answer = read(checked(request.params.name));
    reply.header('etag', `"${answer.version}"`);
    return answer;
  });

  app.get<{ Params: { name: string } }>(
    `${url}/versions`,
    { config: { action: 'catalog' } },
    async (request): Promise<DashboardVersionsAnswer> => ({ versions: versions.list(checked(request.params.name)) }),
  );

  app.get<{ Params: { name: string; version: string } }>(
    `${url}/versions/:version`,
    { config: { action: 'catalog' } },
    async (request): Promise<DashboardAnswer> => {
      const name = checked(request.params.name);
      const { version } = request.params;
      const text = versions.read(name, version) ?? fail('DASHBOARD_VERSION', { name, version: version.slice(0, 50) });
      return about(name, text);
    },
  );

  app.put<{ Params: { name: string }; Body: { text?: unknown; definition?: unknown; version?: unknown } | null }>(
    url,
    { config: { action: 'define' } },
    async (request, reply): Promise<DashboardAnswer> => {
      const name = checked(request.params.name);
      const { body } = request;
      const version = body?.version ?? matched(request.headers['if-match']);
      // Nothing awaits between this look and the renaming: of two savers in this process one sees the other.
      const path = join(folder, `${name}${ending}`);
      const held = existsSync(path) ? readFileSync(path, 'utf8') : null;
      if ((held === null ? null : versionOf(held)) !== version) fail('DASHBOARD_CHANGED', { name });
      const text = newText(body ?? {}, held, fileOf(name));
      // What someone wrote on disk is a version too, before it is replaced.
      if (held !== null) versions.keep(name, { version: versionOf(held), by: 'file', text: held });
      write(path, text, fileOf(name));
      versions.keep(name, { version: versionOf(text), by: request.principal.name, text });
      guard.audit({ who: request.principal.name, action: 'define', on: fileOf(name), outcome: 'done', from: request.ip });
      const answer = read(name);
      reply.header('etag', `"${answer.version}"`);
      return answer;
    },
  );

  app.delete<{ Params: { name: string } }>(url, { config: { action: 'define' } }, async (request) => {
    const { name, version, text } = read(checked(request.params.name));
    versions.keep(name, { version, by: request.principal.name, text });
    rmSync(join(folder, `${name}${ending}`));
    guard.audit({ who: request.principal.name, action: 'define', on: fileOf(name), outcome: 'done', from: request.ip });
    return { name };
  });

  function read(name: string): DashboardAnswer {
    const path = join(folder, `${name}${ending}`);
    if (!existsSync(path)) return fail('DASHBOARD_UNKNOWN', { name });
    return about(name, readFileSync(path, 'utf8'));
  }

  /** Whole or not at all: written beside, then renamed. */
  function write(path: string, text: string, file: string): void {
    const beside = join(folder, `.${process.pid}${ending}`);
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(beside, text, { flush: true });
      renameSync(beside, path);
    } catch (error) {
      rmSync(beside, { force: true });
      fail('DEFINITION_WRITE', { file, problem: (error as NodeJS.ErrnoException).code ?? 'it failed' }, error);
    }
  }
}

function about(name: string, text: string): DashboardAnswer {
  const facts = { name, text, version: versionOf(text) };
  try {
    return { ...facts, dashboard: parseDashboard(text, fileOf(name)), error: null };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { ...facts, dashboard: null, error: error.body };
  }
}

/** The file's next text: as it was sent, or `definition` written over what is there. DEFINITION_YAML, DEFINITION_INVALID. */
function newText({ text, definition }: { text?: unknown; definition?: unknown }, held: string | null, file: string): string {
  if (definition !== undefined) {
    // JSON is YAML: what a stranger sends is checked by the very reader of the files.
    const next = parseDashboard(JSON.stringify(definition), file);
    return writeDashboard(next, held !== null && about('', held).error === null ? held : null, file);
  }
  if (typeof text !== 'string') return fail('REQUEST_INVALID', { problem: '"text" is not text' });
  parseDashboard(text, file);
  return text;
}

/** The version in If-Match: "…"; null without one. */
function matched(header: string | undefined): string | null {
  return header === undefined ? null : header.trim().replace(/^(?:W\/)?"(.*)"$/, '$1');
}

/** A name that is the same in a path and in a URL. */
function isName(name: string): boolean {
  return /^[a-z][a-z0-9_-]{0,62}$/.test(name);
}

function checked(name: string): string {
  return isName(name) ? name : fail('DASHBOARD_NAME', { name: name.slice(0, 100) });
}

function fileOf(name: string): string {
  return `dashboards/${name}${ending}`;
}

function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
