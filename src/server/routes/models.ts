import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import type { ModelAnswer, ModelsAnswer, PredictAnswer, PredictRequest, TrainingsAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

const LARGEST_BODY = 16 * 1024 * 1024;
const MOST_ROWS = 10_000;
/** Explaining a row costs a hundred times its prediction. */
const MOST_EXPLAINED = 100;

interface Named {
  Params: { name: string };
}

/** Predictions are made in this process, without the warehouse: they go on while it restarts. */
export function modelRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/models', { config: { action: 'catalog' } }, async (): Promise<ModelsAnswer> => ({ models: front.models.models() }));

  app.get<Named>('/v1/models/:name', { config: { action: 'catalog' } }, async (request): Promise<ModelAnswer> => {
    const { file, version } = front.models.file(request.params.name);
    const entry = front.models.models().find(({ name }) => name === file.name)!;
    return { model: entry, version, inputs: file.inputs, profile: file.profile, report: file.model.report };
  });

  app.post<Named>(
    '/v1/models/:name/predict',
    { config: { action: 'query' }, bodyLimit: LARGEST_BODY },
    async (request): Promise<PredictAnswer> => {
      const { rows, explain = false } = checked(request.body);
      return front.models.predict(request.params.name, rows, explain);
    },
  );

  app.get<Named & { Querystring: { format?: string } }>(
    '/v1/models/:name/export',
    { config: { action: 'catalog' } },
    async (request, reply) => {
      const { format = 'json' } = request.query;
      if (format !== 'json' && format !== 'js')
        fail('REQUEST_INVALID', { problem: `format can't be ${format.slice(0, 50)}; use json or js` });
      if (format === 'json') return front.models.file(request.params.name).file;
      const { script } = await front.models.script(request.params.name);
      return reply.type('text/javascript; charset=utf-8').send(script);
    },
  );

  app.post<Named>('/v1/models/:name/promote', { config: { action: 'define' } }, async (request, reply) => {
    const { alias = 'champion' } = (request.body ?? {}) as { alias?: unknown };
    if (typeof alias !== 'string') fail('REQUEST_INVALID', { problem: '"alias" is not text' });
    return done(request.params.name, `promote ${String(alias)}`, request, () =>
      pipe(front, request, reply, { method: 'POST', path: '/models/promote', body: { model: request.params.name, alias } }),
    );
  });

  app.post<Named>('/v1/models/:name/rollback', { config: { action: 'define' } }, async (request, reply) =>
    done(request.params.name, 'roll back', request, () =>
      pipe(front, request, reply, { method: 'POST', path: '/models/rollback', body: { model: request.params.name } }),
    ),
  );

  app.get(
    '/v1/trainings',
    { config: { action: 'catalog' } },
    async (): Promise<TrainingsAnswer> => ({
      trainings: await front.warehouse.json('GET', '/models/trainings'),
    }),
  );

  app.post<{ Params: { job: string } }>('/v1/trainings/:job/stop', { config: { action: 'define' } }, async (request, reply) =>
    pipe(front, request, reply, { method: 'POST', path: '/models/stop', body: { job: request.params.job } }),
  );

  async function done<T>(
    model: string,
    what: string,
    request: { principal: { name: string }; ip: string },
    act: () => Promise<T>,
  ): Promise<T> {
    const answer = await act();
    front.guard.audit({ who: request.principal.name, action: 'define', on: `model ${model}: ${what}`, outcome: 'done', from: request.ip });
    return answer;
  }
}

function checked(body: unknown): PredictRequest {
  const refuse = (problem: string): never => fail('MODEL_REQUEST', { problem });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('it is not a JSON object');
  const { rows, explain = false, ...rest } = body as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) refuse(`"${unknown.slice(0, 50)}" is unknown; there are rows and explain`);
  if (typeof explain !== 'boolean') refuse('"explain" is neither true nor false');
  if (!Array.isArray(rows) || rows.length === 0) return refuse('"rows" is not a list of at least one row');
  if (rows.length > MOST_ROWS) refuse(`it has ${rows.length} rows`);
  if (explain === true && rows.length > MOST_EXPLAINED) refuse(`at most ${MOST_EXPLAINED} rows are explained at a time`);
  const bad = rows.findIndex((row) => typeof row !== 'object' || row === null || Array.isArray(row));
  if (bad >= 0) refuse(`row ${bad + 1} is not an object`);
  return { rows, explain: explain as boolean };
}
