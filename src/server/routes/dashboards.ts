import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail, MillraceError } from '#core';
import type { Front } from '#platform';
import { parseDashboard } from '#visualize';
import type { DashboardAnswer, DashboardsAnswer } from '../api.ts';

const ending = '.yaml';

/** Dashboards: the files of the workspace's folder dashboards/, read when asked for, so that an edit on disk is seen at once. */
export function dashboardRoutes(app: FastifyInstance, { workspace, guard }: Front): void {
  const folder = join(workspace.path, 'dashboards');
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

  app.get<{ Params: { name: string } }>(url, { config: { action: 'catalog' } }, async (request) => read(checked(request.params.name)));

  app.put<{ Params: { name: string }; Body: { text?: unknown; version?: unknown } | null }>(
    url,
    { config: { action: 'define' } },
    async (request): Promise<DashboardAnswer> => {
      const name = checked(request.params.name);
      const { text, version = null } = request.body ?? {};
      if (typeof text !== 'string') return fail('REQUEST_INVALID', { problem: '"text" is not text' });
      parseDashboard(text, fileOf(name));
      // Nothing awaits between this look and the renaming: of two savers in this process one sees the other.
      const path = join(folder, `${name}${ending}`);
      const held = existsSync(path) ? versionOf(readFileSync(path, 'utf8')) : null;
      if (held !== version) fail('DASHBOARD_CHANGED', { name });
      write(path, text, fileOf(name));
      guard.audit({ who: request.principal.name, action: 'define', on: fileOf(name), outcome: 'done', from: request.ip });
      return read(name);
    },
  );

  app.delete<{ Params: { name: string } }>(url, { config: { action: 'define' } }, async (request) => {
    const { name } = read(checked(request.params.name));
    rmSync(join(folder, `${name}${ending}`));
    guard.audit({ who: request.principal.name, action: 'define', on: fileOf(name), outcome: 'done', from: request.ip });
    return { name };
  });

  function read(name: string): DashboardAnswer {
    const path = join(folder, `${name}${ending}`);
    if (!existsSync(path)) return fail('DASHBOARD_UNKNOWN', { name });
    const text = readFileSync(path, 'utf8');
    const about = { name, text, version: versionOf(text) };
    try {
      return { ...about, dashboard: parseDashboard(text, fileOf(name)), error: null };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      return { ...about, dashboard: null, error: error.body };
    }
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
