import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import { mayDo } from '#guard';
import type { Front } from '#platform';
import type { Job, QueryRequest } from '../api.ts';
import { pipe } from './pipe.ts';

const FORMATS = ['json', 'ndjson', 'csv', 'parquet'];
const MOST_TOGETHER = 130;
const LONGEST_SQL = 1_000_000;
let named = 0;

export function queryRoutes(app: FastifyInstance, front: Front): void {
  app.post('/v1/query', { config: { action: 'query' } }, async (request, reply) => {
    const asked = checked(request.body);
    const job = asked.job ?? `job_${Date.now().toString(36)}_${(++named).toString(36)}`;
    const body = {
      sql: asked.sql,
      values: asked.params,
      format: asked.format ?? 'json',
      rows: asked.limits?.rows,
      seconds: asked.limits?.seconds,
      job,
      ...(asked.explain_refusal === true ? { explain_refusal: true } : { evidence: asked.evidence }),
    };
    return front.line.through(request.principal, () => pipe(front, request, reply, { method: 'POST', path: '/query', body }));
  });

  app.post('/v1/questions', { config: { action: 'query' } }, async (request, reply) => {
    const { questions } = (request.body ?? {}) as { questions?: unknown };
    if (!Array.isArray(questions) || questions.length === 0 || questions.length > MOST_TOGETHER)
      return fail('QUERY_BODY', { problem: `"questions" is not a list of 1 to ${MOST_TOGETHER}` });
    const body = {
      questions: questions.map((each) => {
        const { sql, params, limits, job, evidence } = checked(each);
        const id = job ?? `job_${Date.now().toString(36)}_${(++named).toString(36)}`;
        return { sql, values: params, format: 'json', rows: limits?.rows, seconds: limits?.seconds, job: id, evidence };
      }),
    };
    return front.line.through(request.principal, () => pipe(front, request, reply, { method: 'POST', path: '/questions', body }));
  });

  app.get('/v1/jobs', { config: { action: 'jobs' } }, async (request) => {
    const jobs = await front.warehouse.json<Job[]>('GET', '/jobs');
    return jobs.filter((job) => mayDo(request.principal, 'jobs', job.who));
  });

  for (const method of ['GET', 'DELETE'] as const) {
    app.route<{ Params: { id: string } }>({
      method,
      url: '/v1/jobs/:id',
      config: { action: 'jobs' },
      handler: async (request, reply) => {
        const path = `/jobs/${encodeURIComponent(request.params.id)}`;
        const job = await front.warehouse.json<Job>('GET', path);
        front.guard.decide(request.principal, 'jobs', job.who);
        return method === 'GET' ? job : pipe(front, request, reply, { method, path });
      },
    });
  }
}

function checked(body: unknown): QueryRequest {
  const refuse = (problem: string) => fail('QUERY_BODY', { problem });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('it is not a JSON object');
  const asked = body as Record<string, unknown>;
  if (typeof asked['sql'] !== 'string') refuse('"sql" is not text');
  if ((asked['sql'] as string).length > LONGEST_SQL) refuse(`"sql" is longer than ${LONGEST_SQL} characters`);
  if (asked['format'] !== undefined && !FORMATS.includes(asked['format'] as string))
    fail('QUERY_FORMAT', { format: String(asked['format']).slice(0, 50) });
  if (asked['params'] !== undefined && (typeof asked['params'] !== 'object' || asked['params'] === null))
    refuse('"params" is neither an array nor an object');
  for (const value of Object.values((asked['params'] ?? {}) as object)) {
    if (typeof value === 'object' && value !== null) refuse('a parameter is not text, a number, a boolean or null');
    if (typeof value === 'string' && !value.isWellFormed()) refuse('a parameter has half of a surrogate pair: it is no Unicode text');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) refuse('an integer beyond 2^53 loses digits as a number; send it as text');
  }
  const limits = asked['limits'];
  if (limits !== undefined && (typeof limits !== 'object' || limits === null)) refuse('"limits" is not an object');
  for (const [name, value] of Object.entries(limits ?? {})) {
    if (
      (name !== 'rows' && name !== 'seconds') ||
      typeof value !== 'number' ||
      !(value > 0) ||
      (name === 'rows' && !Number.isInteger(value))
    )
      refuse(`"limits.${name.slice(0, 50)}" can't be ${String(value).slice(0, 50)}`);
  }
  if (asked['job'] !== undefined && typeof asked['job'] !== 'string') refuse('"job" is not text');
  if (asked['explain_refusal'] !== undefined && typeof asked['explain_refusal'] !== 'boolean')
    refuse('"explain_refusal" is neither true nor false');
  const { evidence = false } = asked;
  if (typeof evidence !== 'boolean' && evidence !== 'only') refuse('"evidence" is neither true, false nor "only"');
  if (evidence !== false && (asked['format'] ?? 'json') !== 'json') refuse('"evidence" comes with the format json alone');
  return asked as unknown as QueryRequest;
}
