import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asMillraceError, fail } from '#core';
import { type Front, targetsOf } from '#platform';
import { quoteIdentifier } from '#sql';
import type { ModelAnswer, ModelsAnswer, PredictAnswer, PredictRequest, QueryAnswer, TargetsAnswer, TrainingsAnswer } from '../api.ts';
import { pipe, told } from './pipe.ts';

const LARGEST_BODY = 16 * 1024 * 1024;
const MOST_ROWS = 10_000;
/** Explaining a row costs a hundred times its prediction. */
const MOST_EXPLAINED = 100;

/** What could be predicted shows in so many rows, drawn from the first of a table. */
const SAMPLED = 5000;
const READ = 200_000;

const EXPORTED = {
  json: 'application/json; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  onnx: 'application/octet-stream',
};

interface Named {
  Params: { name: string };
}

/** Predictions are made in this process, without the warehouse: they go on while it restarts. */
export function modelRoutes(app: FastifyInstance, front: Front): void {
  app.get('/v1/models', { config: { action: 'catalog' } }, async (): Promise<ModelsAnswer> => ({ models: front.models.models() }));

  // A question like any other: the asker's rights and limits are the query's own.
  app.get<{ Querystring: { table?: string } }>('/v1/targets', { config: { action: 'query' } }, async (request): Promise<TargetsAnswer> => {
    const { table } = request.query;
    if (typeof table !== 'string' || table === '' || table.length > 200)
      return fail('REQUEST_INVALID', { problem: '"table" names no table: ?table=mart.customers' });
    const sql = `SELECT * FROM (SELECT * FROM ${table.split('.').map(quoteIdentifier).join('.')} LIMIT ${READ}) USING SAMPLE ${SAMPLED} ROWS`;
    const body = { sql, format: 'json', rows: SAMPLED, job: `targets_${randomUUID()}` };
    const { columns, rows } = await told<QueryAnswer>(front, { who: request.principal, path: '/query', body });
    return { table, targets: targetsOf(columns, rows) };
  });

  app.get<Named>('/v1/models/:name', { config: { action: 'catalog' } }, async (request): Promise<ModelAnswer> => {
    const { entry, version, facts } = front.models.about(request.params.name);
    return { model: entry, version, ...facts, clusters: facts.clusters?.map((rows) => ({ rows })) ?? null };
  });

  app.post<Named>(
    '/v1/models/:name/predict',
    { config: { action: 'query' }, bodyLimit: LARGEST_BODY },
    async (request): Promise<PredictAnswer> => {
      const { rows, explain = false } = checked(request.body);
      const served = await front.models.predict(request.params.name, rows, explain);
      const { log_topic: topic, log_share: share = 1 } = front.models.models().find(({ name }) => name === served.model)?.settings ?? {};
      if (topic === undefined || topic === null || Math.random() >= share) return served;
      return { ...served, logged: await keep(front, topic, request.principal.name, rows, served) };
    },
  );

  app.get<Named & { Querystring: { format?: string } }>(
    '/v1/models/:name/export',
    { config: { action: 'catalog' } },
    async (request, reply) => {
      const { format = 'json' } = request.query;
      if (format !== 'json' && format !== 'js' && format !== 'onnx')
        return fail('REQUEST_INVALID', { problem: `format can't be ${format.slice(0, 50)}; use json, js or onnx` });
      // The golden rows are rows of a table; only an admin surely may read it.
      const withRows = request.principal.role === 'admin';
      return reply.type(EXPORTED[format]).send(await front.models.exported(request.params.name, format, withRows));
    },
  );

  app.post<Named>('/v1/models/:name/promote', { config: { action: 'define' } }, async (request, reply) => {
    const { alias = 'champion' } = (request.body ?? {}) as { alias?: unknown };
    if (typeof alias !== 'string') fail('REQUEST_INVALID', { problem: '"alias" is not text' });
    return define(request, reply, `promote ${String(alias)}`, '/models/promote', { alias });
  });

  app.post<Named>('/v1/models/:name/rollback', { config: { action: 'define' } }, async (request, reply) =>
    define(request, reply, 'roll back', '/models/rollback', {}),
  );

  app.get(
    '/v1/trainings',
    { config: { action: 'catalog' } },
    async (): Promise<TrainingsAnswer> => ({
      trainings: await front.warehouse.json('GET', '/models/trainings'),
    }),
  );

  app.post<{ Params: { job: string } }>('/v1/trainings/:job/stop', { config: { action: 'define' } }, async (request, reply) => {
    const { job } = request.params;
    const trainings = await front.warehouse.json<TrainingsAnswer['trainings']>('GET', '/models/trainings');
    const training = trainings.find((each) => each.job === job);
    if (training !== undefined) front.guard.decide(request.principal, 'jobs', training.who);
    return pipe(front, request, reply, { method: 'POST', path: '/models/stop', body: { job } });
  });

  /** Has the warehouse do it, and says in the audit log whether it did. */
  async function define(request: FastifyRequest<Named>, reply: FastifyReply, what: string, path: string, body: object) {
    const model = request.params.name;
    const answer = await pipe(front, request, reply, { method: 'POST', path, body: { ...body, model } });
    const outcome = reply.statusCode < 400 ? 'done' : 'failed';
    front.guard.audit({ who: request.principal.name, action: 'define', on: `model ${model}: ${what}`, outcome, from: request.ip });
    return answer;
  }
}

/** Requests as records of a topic, one a row. A log that takes none is no reason to withhold an answer: it says so beside it. */
function keep(
  front: Front,
  topic: string,
  sender: string,
  rows: PredictRequest['rows'],
  { model, version, predictions }: PredictAnswer,
): Promise<NonNullable<PredictAnswer['logged']>> {
  const records = rows.map((row, k) => ({ model, version, row, prediction: predictions[k] }));
  return new Promise((resolve) => {
    const told = (error: unknown, accepted: number) =>
      resolve({ topic, accepted, error: error === null ? null : asMillraceError(error).body });
    try {
      const refusal = front.doors.refusal();
      if (refusal !== null) return told(refusal, 0);
      front.intake.take(front.doors.topic(topic), Buffer.from(JSON.stringify(records)), { sender, idempotencyKey: null }, (error, taken) =>
        told(error, taken.accepted),
      );
    } catch (thrown) {
      told(thrown, 0);
    }
    return undefined;
  });
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
