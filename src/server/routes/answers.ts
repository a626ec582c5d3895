import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import type { AnswerRequest, MetricsAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

let named = 0;

/** Answers run in the warehouse child as whoever asks. */
export function answerRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/answers', { config: { action: 'catalog' } }, (request, reply) =>
    pipe(front, request, reply, { method: 'GET', path: '/answers' }),
  );

  app.get('/v1/metrics', { config: { action: 'catalog' } }, async (): Promise<MetricsAnswer> => {
    const { timeZone, weekStart, currency } = front.workspace.settings;
    const metrics = await front.warehouse.json<MetricsAnswer['metrics']>('GET', '/metrics');
    return { metrics, time_zone: timeZone, week_start: weekStart, currency };
  });

  app.post<{ Params: { name: string } }>('/v1/answers/:name', { config: { action: 'query' } }, async (request, reply) => {
    const { options = {}, show = false, limits = {} } = checked(request.body);
    const job = `answer_${Date.now().toString(36)}_${(++named).toString(36)}`;
    const path = `/answers/${encodeURIComponent(request.params.name)}`;
    return pipe(front, request, reply, { method: 'POST', path, body: { options, show, ...limits, job } });
  });
}

function checked(body: unknown): AnswerRequest {
  const refuse = (problem: string) => fail('REQUEST_INVALID', { problem });
  const isMap = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (body === undefined || body === null) return {};
  if (!isMap(body)) return refuse('it is not a JSON object');
  const asked = body as Record<string, unknown>;
  const unknown = Object.keys(asked).find((key) => !['options', 'show', 'limits'].includes(key));
  if (unknown !== undefined) refuse(`"${unknown.slice(0, 50)}" is unknown; there are options, show and limits`);
  if (asked['options'] !== undefined && !isMap(asked['options'])) refuse('"options" is not an object');
  if (asked['show'] !== undefined && typeof asked['show'] !== 'boolean') refuse('"show" is neither true nor false');
  if (asked['limits'] !== undefined && !isMap(asked['limits'])) refuse('"limits" is not an object');
  for (const [name, value] of Object.entries((asked['limits'] ?? {}) as object)) {
    if ((name !== 'rows' && name !== 'seconds') || typeof value !== 'number' || !(value > 0))
      refuse(`"limits.${name.slice(0, 50)}" can't be that`);
  }
  return asked;
}
