import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fail, type Principal, type Role } from '#core';
import { openLinks } from '#guard';
import type { Front } from '#platform';
import { asked, type Choice, callsAnswers, type Dashboard, parametersOf, parseDashboard, timeRanges, valuesOf } from '#visualize';
import type { CallEvidence, QueryAnswer, ShareAnswer, SharedAnswer, ShareRequest } from '../api.ts';
import { goneSignal, pipe, told } from './pipe.ts';

const dayMs = 86_400_000;
const mostDays = 365;
const mostRows = 50_000;
const longestValue = 500;
const isDay = (text: unknown): text is string =>
  typeof text === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

/** What a link says. `since` ties it to the sharer's token: once that is withdrawn, the link is too. */
interface Shared {
  readonly dashboard: string;
  readonly by: string;
  readonly since: string | null;
  readonly choice: Choice;
}

/** Dashboards for people without a token. The link fixes the choice: nothing that its holder sends is a value of a statement. */
export function shareRoutes(app: FastifyInstance, front: Front): void {
  const { guard, workspace } = front;
  const links = openLinks(workspace.dataPath);

  app.post<{ Params: { name: string }; Body: unknown }>(
    '/v1/dashboards/:name/share',
    { config: { action: 'define' } },
    async (request): Promise<ShareAnswer> => {
      const { name } = request.params;
      const dashboard = open(name);
      const { choice, days } = choiceOf(request.body, dashboard);
      const by = request.principal.name;
      const expires = Date.now() + days * dayMs;
      const link = links.sign({ dashboard: name, by, since: sinceOf(by), choice } satisfies Shared, expires);
      guard.audit({ who: by, action: 'define', on: `link to dashboards/${name}.yaml for ${days} days`, outcome: 'done', from: request.ip });
      return { path: `/shared#${link}`, expires: new Date(expires).toISOString() };
    },
  );

  app.post<{ Body: { link?: unknown } | null }>('/v1/shared', { config: { action: 'open' } }, async (request): Promise<SharedAnswer> => {
    const { shared, expires } = read(request);
    const { title, description, refresh, filters, annotations, tiles } = open(shared.dashboard);
    const { range, from, to } = shared.choice;
    const chosen = filters.flatMap((filter) =>
      Object.hasOwn(shared.choice.filters, filter.name) ? [{ title: filter.title, value: shared.choice.filters[filter.name]! }] : [],
    );
    const shown = tiles.map((tile) => ({ ...tile, sql: tile.sql === null ? null : '', source: null, drill: null }));
    const facts = { title, description, refresh, range, from, to, filters: chosen, annotations: annotations !== null };
    const called = tiles.flatMap(({ sql }, at) => (sql !== null && callsAnswers(sql) ? [at] : []));
    return { ...facts, tiles: shown, called, expires: new Date(expires).toISOString() };
  });

  app.post<{ Body: { link?: unknown; tile?: unknown; evidence?: unknown } | null }>(
    '/v1/shared/tile',
    { config: { action: 'open' } },
    async (request, reply) => {
      const { shared } = read(request);
      const at = request.body?.tile;
      const { annotations, tiles } = open(shared.dashboard);
      const sql = at === 'annotations' ? annotations : typeof at === 'number' && Number.isInteger(at) ? tiles[at]?.sql : null;
      if (sql === null || sql === undefined) return fail('LINK_TILE', { tile: String(at).slice(0, 20) });
      const today = new Intl.DateTimeFormat('sv-SE', { timeZone: workspace.settings.timeZone }).format(Date.now());
      const reader: Principal = { name: `link:${shared.by}`, role: 'viewer', topics: null, maker: roleOf(shared.by) };
      Object.defineProperty(request, 'principal', { value: reader });
      const { sql: statement, params: values } = asked(sql, valuesOf(shared.choice, parametersOf(sql), today));
      const body = { sql: statement, values, format: 'json', rows: mostRows, job: `shared_${crypto.randomUUID()}` };
      if (request.body?.evidence !== true) return pipe(front, request, reply, { method: 'POST', path: '/query', body });
      const asking = { who: reader, path: '/query', body: { ...body, evidence: 'only' }, signal: goneSignal(reply) };
      const answer = await told<QueryAnswer>(front, asking);
      return { ...answer, evidence: answer.evidence!.map(withoutSql) };
    },
  );

  /** Wrong links count against their address like wrong tokens. LINK_INVALID, LINK_EXPIRED, TOKEN_TRIES. */
  function read(request: FastifyRequest<{ Body: { link?: unknown } | null }>): { shared: Shared; expires: number } {
    const link = request.body?.link;
    if (typeof link !== 'string') return fail('REQUEST_INVALID', { problem: '"link" is not text' });
    if (!guard.mayTry(request.ip)) fail('TOKEN_TRIES');
    try {
      const { content, expires } = links.read(link);
      const shared = content as Shared;
      if (sinceOf(shared.by) !== shared.since || !mayShare(shared.by)) fail('LINK_INVALID');
      return { shared, expires };
    } catch (thrown) {
      guard.failed(request.ip);
      throw thrown;
    }
  }

  function sinceOf(name: string): string | null {
    return guard.listTokens().find((token) => token.name === name)?.created ?? null;
  }

  /** The machine's own token, which has no entry in the list, is an admin's. */
  function roleOf(name: string): Role {
    return guard.listTokens().find((token) => token.name === name)?.role ?? 'admin';
  }

  /** Whoever shares by the machine's own token has no entry in the list. */
  function mayShare(name: string): boolean {
    const token = guard.listTokens().find((each) => each.name === name);
    if (token === undefined) return name === 'local';
    return token.expires === null || Date.parse(token.expires) > Date.now();
  }

  function open(name: string): Dashboard {
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) return fail('DASHBOARD_NAME', { name: name.slice(0, 100) });
    const file = `dashboards/${name}.yaml`;
    let text: string;
    try {
      text = readFileSync(join(workspace.path, file), 'utf8');
    } catch (thrown) {
      return fail('DASHBOARD_UNKNOWN', { name }, thrown);
    }
    return parseDashboard(text, file);
  }
}

/** Whoever opens a link sees no SQL: a rule of a segment is some, and options may hold it. */
function withoutSql({ answer, facts, error }: CallEvidence): CallEvidence {
  const kept = facts.filter(({ fact }) => !/^rule\b/.test(fact));
  const line = kept.map(({ fact, value }) => `${fact}: ${value}`).join('; ');
  return { answer, options: {}, facts: kept, line, ...(error !== undefined && { error }) };
}

/** What somebody chose above a dashboard, from outside. REQUEST_INVALID. */
export function choiceOf(body: unknown, { filters }: Dashboard): { choice: Choice; days: number } {
  const refuse = (problem: string): never => fail('REQUEST_INVALID', { problem });
  if (typeof body !== 'object' || body === null) return refuse('it is not a JSON object');
  const asked = body as Partial<ShareRequest>;
  const { days = 30, range = 'all', from = '', to = '' } = asked;
  if (!Number.isInteger(days) || days < 1 || days > mostDays) refuse(`"days" is a whole number from 1 to ${mostDays}`);
  const known = timeRanges.find((each) => each === range);
  if (known === undefined && !(range === 'custom' && isDay(from) && isDay(to)))
    refuse('"range" is unknown, or custom without the days from and to');
  const chosen: Record<string, string> = {};
  for (const [name, value] of Object.entries(asked.filters ?? {})) {
    if (!filters.some((filter) => filter.name === name)) refuse(`the dashboard has no filter "${name.slice(0, 50)}"`);
    if (typeof value !== 'string' || value.length > longestValue)
      refuse(`the value of "${name}" is not text of at most ${longestValue} characters`);
    chosen[name] = value;
  }
  const custom = known === undefined;
  return { days, choice: { range: known ?? 'custom', from: custom ? from : '', to: custom ? to : '', filters: chosen } };
}
