import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import type { ViewsAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const TABLE = /^[a-z_\p{Lo}][a-z0-9_\p{Lo}]{0,62}\.[a-z_\p{Lo}][a-z0-9_\p{Lo}]{0,62}$/iu;
const WORDS = 100;

export function viewRoutes(app: FastifyInstance, front: Front): void {
  app.post('/v1/views/sessions', { config: { action: 'define' } }, async (request, reply) => {
    const body = checked(request.body);
    const answer = await pipe(front, request, reply, { method: 'POST', path: '/views/sessions', body });
    if (body['write'] === true)
      front.guard.audit({
        who: request.principal.name,
        action: 'define',
        on: `views of sessions of ${String(body['topic'])}`,
        outcome: reply.statusCode < 400 ? 'done' : 'failed',
        from: request.ip,
      });
    return answer;
  });

  app.get<{ Querystring: { table?: unknown; columns?: unknown } }>(
    '/v1/views/blast',
    { config: { action: 'catalog' } },
    (request, reply) => {
      const { table, columns } = request.query;
      if (typeof table !== 'string' || !TABLE.test(table)) return fail('REQUEST_INVALID', { problem: '"table" is not schema.name' });
      const named = columns === undefined ? undefined : String(columns).split(',', WORDS);
      if (named?.some((column) => column === '' || column.length > WORDS))
        return fail('REQUEST_INVALID', { problem: '"columns" is not a list of names with commas between' });
      const body = { table, ...(named !== undefined && { columns: named }) };
      return pipe(front, request, reply, { method: 'POST', path: '/views/blast', body });
    },
  );

  for (const what of ['cancel', 'audit'] as const) {
    app.post<{ Params: { view: string } }>(`/v1/views/:view/${what}`, { config: { action: 'define' } }, (request, reply) =>
      pipe(front, request, reply, { method: 'POST', path: `/views/${what}/${encodeURIComponent(request.params.view)}` }),
    );
  }
}

/** Lines for GET /metrics; none while the warehouse is away. */
export async function viewMetrics(front: Front): Promise<string> {
  if (front.warehouseState() !== 'ready') return '';
  const { views } = await front.warehouse.json<ViewsAnswer>('GET', '/views');
  const metric = (name: string, type: string, help: string, value: (view: ViewsAnswer['views'][number]) => number) =>
    [
      `# HELP millrace_view_${name} ${help}`,
      `# TYPE millrace_view_${name} ${type}`,
      ...views.map((view) => `millrace_view_${name}{view="${view.name}"} ${value(view)}`),
    ].join('\n');
  const lines = [
    metric('paused', 'gauge', 'Whether the view is paused.', ({ state }) => (state === 'paused' ? 1 : 0)),
    metric('behind', 'gauge', 'Whether the view waits for a refresh.', ({ state }) => (state === 'behind' ? 1 : 0)),
    metric('refreshes_total', 'counter', 'Refreshes since the start of the process.', ({ refreshes }) => refreshes),
    metric('late_rows', 'gauge', 'Rows that came for a frozen partition.', ({ late }) => late?.rows ?? 0),
    metric('audit_differences', 'gauge', 'Rows that the auditor found to differ from the query.', ({ audit }) => audit?.found ?? 0),
  ];
  return `${lines.join('\n')}\n`;
}

/** Only what is known, each of its kind. Errors: REQUEST_INVALID. */
function checked(body: unknown): Record<string, unknown> {
  const refuse = (problem: string): never => fail('REQUEST_INVALID', { problem });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('it is not a JSON object');
  const asked = body as Record<string, unknown>;
  const isName = (value: unknown) => typeof value === 'string' && NAME.test(value);
  const isText = (value: unknown) => typeof value === 'string' && value.length <= WORDS;
  const kinds: Readonly<Record<string, readonly [(value: unknown) => boolean, string]>> = {
    topic: [isName, 'a topic’s name'],
    rule: [isText, 'a rule’s name'],
    time_zone: [isText, 'a time zone’s name'],
    schema: [isName, 'a schema’s name'],
    lateness: [isText, 'a span of time'],
    fields: [isFields, 'an object of columns by field'],
    page_views: [(value) => Array.isArray(value) && value.length <= WORDS && value.every(isText), 'a list of texts'],
    key_events: [(value) => Array.isArray(value) && value.length <= WORDS && value.every(isText), 'a list of texts'],
    write: [(value) => typeof value === 'boolean', 'true or false'],
  };
  for (const [key, value] of Object.entries(asked)) {
    const kind = Object.hasOwn(kinds, key) ? kinds[key]! : refuse(`"${key.slice(0, WORDS)}" is unknown`);
    if (!kind[0](value)) refuse(`"${key}" is not ${kind[1]}`);
  }
  for (const key of ['topic', 'rule']) if (asked[key] === undefined) refuse(`"${key}" is missing`);
  return asked;

  function isFields(value: unknown): boolean {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    return Object.values(value).every((column) => column === null || isText(column));
  }
}
