/**
 * The warehouse child: the one DuckDB file, delivery and queries. It answers HTTP on a Unix socket in a folder that only this
 * user can enter; who asks was decided by the front. It ends when the front is gone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Answer,
  type Answers,
  type DefinitionKind,
  definitionKinds,
  type Models,
  type OwnStatements,
  openAnalyst,
  openAnswers,
  openModels,
  toldOf,
} from '#analyze';
import { asMillraceError, type ErrorBody, fail, type Principal, type Topic } from '#core';
import { type Keeper, openKeeper, startDelivery } from '#process';
import { http } from '#run';
import { isFatal, openStore, type Store, text } from '#store';
import { type DefinitionFolder, openDefinitions } from '#workspace';
import type { ChildConfig, ChildReady, FromChild, ToChild } from './messages.ts';
import { modelRoutes } from './models/routes.ts';
import { openWorkshop } from './models/workshop.ts';
import { transferRoutes } from './transfer-warehouse.ts';

/** The kernel frees the file of a killed predecessor at once, but its process may take a moment to be gone. */
const PATIENCE = 10_000;

async function main(config: ChildConfig): Promise<void> {
  process.on('disconnect', () => process.exit(1));
  const topics = new Map<string, Topic>();
  const say = (message: FromChild) => process.send?.(message);
  const store = await openPatiently(config);
  const problem = (thrown: unknown) => say({ kind: 'problem', message: thrown instanceof Error ? thrown.message : String(thrown) });
  const viewFiles = openDefinitions(config.workspace, 'views', '.sql', () => void defineViews());
  const keeper = await openKeeper({ store, files: viewFiles, onProblem: problem });
  const models = await openModels({
    store,
    workshop: openWorkshop(config.dataPath, trainerShare(config.memory)),
    onChange: (list) => say({ kind: 'models', models: list }),
  });
  const analyst = openAnalyst({ store, limits: config.limits, own: ownStatements(keeper, models), models });
  // Read at each question: an edit needs no listening to.
  const definitions = Object.fromEntries(
    definitionKinds.map((kind) => [kind, openDefinitions(config.workspace, kind, '.yaml', () => {})]),
  ) as Record<DefinitionKind, DefinitionFolder>;
  const answers = openAnswers({ store, analyst, timeZone: config.timeZone, definitions });
  let broken: readonly ErrorBody[] = [];
  async function defineViews(): Promise<void> {
    try {
      broken = [...(await keeper.define()), ...viewFiles.problems()];
      for (const { message } of broken) say({ kind: 'problem', message });
    } catch (thrown) {
      problem(thrown);
    }
  }
  await defineViews();
  const delivering = startDelivery({
    store,
    logRoot: `${config.dataPath}/log`,
    topic: (name) => topics.get(name),
    onDelivered: (delivered) => say({ kind: 'delivered', topics: delivered.map(({ topic, to, columns }) => ({ topic, to, columns })) }),
    onProblem(problem) {
      say({ kind: 'problem', message: problem instanceof Error ? problem.message : String(problem) });
      // After such an error DuckDB refuses everything until the file is opened anew: a new process does that.
      if (isFatal(problem) || (problem instanceof Error && isFatal(problem.cause))) process.exit(3);
    },
  });

  const routes = {
    ...routesOf(store, analyst, answers, () => ({ views: keeper.states(), problems: broken })),
    ...(await transferRoutes(store)),
    ...modelRoutes(models),
  };
  const server = http.createServer((request, response) => {
    answer(routes, request, response).catch((thrown: unknown) => refuse(response, thrown));
  });
  // The front keeps its connections; one that closes under a request would look like a warehouse that is down.
  server.keepAliveTimeout = 0;
  server.listen(config.socket, () => {
    process.send?.({ ready: { positions: Object.fromEntries(store.positions()), models: models.list() } satisfies ChildReady });
  });

  process.on('message', (message: ToChild) => {
    if (message.kind === 'durable') delivering.news(message.durable);
    else if (message.kind === 'relieve') {
      const stopped = analyst.relieve();
      if (stopped !== null) say({ kind: 'problem', message: `memory is short: the query ${stopped.id} of ${stopped.who} was stopped` });
    } else {
      topics.clear();
      for (const topic of message.topics) topics.set(topic.name, topic);
      store.prepare(message.topics).catch(problem);
    }
  });

  let ending = false;
  process.on('SIGTERM', () => {
    if (ending) return;
    ending = true;
    void (async () => {
      server.close();
      await analyst.close();
      await delivering.settle(2_500);
      await delivering.stop();
      for (const files of [viewFiles, ...Object.values(definitions)]) files.close();
      await keeper.stop();
      await store.close();
      process.exit(0);
    })();
  });
  // Ctrl-C in a terminal reaches the whole group; the front decides when this process ends.
  process.on('SIGINT', () => {});
}

/** A training process's part: its own code and DuckDB's take some 150 MB before any data. */
const trainerShare = (memory: number): number => Math.max(300_000_000, memory * 0.6);

/** Statements about views and models, as questions see them. */
function ownStatements(keeper: Keeper, models: Models): OwnStatements {
  const text = (...names: string[]) => names.map((name) => ({ name, type: 'VARCHAR' }));
  return async (statement, who, asked) => {
    switch (statement.kind) {
      case 'create_materialized_view': {
        const view = await keeper.create(statement);
        return {
          columns: text('view', 'mode', 'reasons'),
          rows: [[view.full, view.plan.column === null ? 'whole' : 'partitions', view.plan.reasons.join('; ')]],
        };
      }
      case 'refresh_materialized_view':
      case 'pause_materialized_view':
      case 'resume_materialized_view':
      case 'drop_materialized_view':
        await keeper.command(statement);
        return { columns: text('statement', 'view'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      case 'show_materialized_views':
        return {
          columns: text('view', 'source', 'mode', 'state', 'reasons', 'error'),
          rows: keeper
            .states()
            .map((view) => [view.name, view.source, view.mode, view.state, view.reasons.join('; '), view.error?.message ?? null]),
        };
      case 'create_model': {
        const created = await models.create(statement, { ...asked, who: who.name });
        return created === null
          ? { columns: text('model'), rows: [[`${statement.target.schema}.${statement.target.name}`]] }
          : toldOf(created);
      }
      case 'drop_model':
        await models.drop(statement);
        return { columns: text('statement', 'model'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      default:
        return null;
    }
  };
}

async function openPatiently(config: ChildConfig): Promise<Store> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await openStore(config);
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code !== 'STORE_LOCKED' || performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

interface Call {
  readonly who: Principal;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The last part of the path. */
  readonly name: string;
}

type Route = (call: Call) => Promise<unknown>;

/** Each answers with JSON, or writes its own answer and returns undefined. */
function routesOf(store: Store, analyst: ReturnType<typeof openAnalyst>, answers: Answers, views: () => unknown): Record<string, Route> {
  return {
    'POST /query': async ({ who, request, response }) => {
      const asked = (await json(request)) as { sql: string };
      const signal = goneSignal(response);
      send(response, await analyst.ask({ ...asked, sql: await answers.expand(asked.sql, who), who, signal } as never));
    },
    'GET /answers': async () => ({ answers: answers.list() }),
    'POST /answers/': async ({ who, name, request, response }) => {
      const { show, ...asked } = (await json(request)) as { show: boolean; options: Record<string, unknown> };
      if (show) return answers.show({ ...asked, answer: name });
      send(response, await answers.run({ ...asked, answer: name, who, signal: goneSignal(response) }));
      return undefined;
    },
    'GET /jobs': async () => analyst.jobs(),
    'GET /jobs/': async ({ name }) => analyst.job(name),
    'DELETE /jobs/': async ({ name }) => {
      const job = analyst.job(name);
      analyst.cancel(name);
      return job;
    },
    'POST /load': async ({ request }) => store.load((await json(request)) as never),
    'GET /tables': async () => store.tables(),
    'GET /views': async () => views(),
    'GET /quarantine': async ({ query }) => quarantine(store, query),
    'POST /quarantine/rows': async ({ request }) => replayable(store, (await json(request)) as Replaying),
    'POST /quarantine/replayed': async ({ request }) => {
      const { ids } = (await json(request)) as { ids: string[] };
      await store.write((tx) =>
        tx.run(`UPDATE millrace.quarantine SET replayed = now() WHERE id IN (${ids.map(text).join(', ') || "''"})`),
      );
      return {};
    },
    'POST /quarantine/expire': async ({ request }) => {
      const { before } = (await json(request)) as { before: string };
      const rows = await store.write((tx) => tx.run(`DELETE FROM millrace.quarantine WHERE received < ${text(before)}::TIMESTAMPTZ`));
      return { rows };
    },
    'GET /state': async () => ({
      positions: Object.fromEntries(store.positions()),
      batch: store.batch(),
      quarantined: Object.fromEntries(
        (await store.rows(`SELECT topic, count(*) AS n FROM millrace.quarantine WHERE replayed IS NULL GROUP BY topic`)).map((row) => [
          row['topic'],
          Number(row['n']),
        ]),
      ),
    }),
  };
}

function send(response: ServerResponse, answered: Answer): void {
  response.writeHead(200, {
    'content-type': answered.contentType,
    'content-length': answered.bytes,
    'x-millrace-job': answered.job,
    'x-millrace-rows': answered.rows,
    'x-millrace-truncated': String(answered.truncated),
  });
  pipeline(answered.body, response, () => {});
}

interface Replaying {
  readonly topic?: string;
  readonly ids?: readonly string[];
  readonly after?: string;
  readonly limit: number;
}

/** Rows of quarantine with their bytes, in the order in which they arrived, that were not replayed yet. An id ends with a position, without leading zeros. */
async function replayable(store: Store, replaying: Replaying): Promise<unknown> {
  const conditions = ['replayed IS NULL'];
  if (replaying.topic !== undefined) conditions.push(`topic = ${text(replaying.topic)}`);
  if (replaying.ids !== undefined) conditions.push(`id IN (${replaying.ids.map(text).join(', ') || "''"})`);
  if (replaying.after !== undefined)
    conditions.push(
      `(received, length(id), id) > (SELECT (received, length(id), id) FROM millrace.quarantine WHERE id = ${text(replaying.after)} LIMIT 1)`,
    );
  const rows = await store.rows(
    `SELECT id, topic, to_base64(body) AS body FROM millrace.quarantine WHERE ${conditions.join(' AND ')} ORDER BY received, length(id), id LIMIT ${Math.floor(replaying.limit)}`,
  );
  return { rows };
}

async function quarantine(store: Store, query: URLSearchParams): Promise<unknown> {
  const limit = Math.min(10_000, Math.max(1, Number(query.get('limit') ?? 100) || 100));
  const topic = query.get('topic');
  const body = query.get('bytes') === '1' ? `, coalesce(try(decode(body)), 'base64:' || to_base64(body)) AS body` : '';
  const rows = await store.rows(
    `SELECT id, topic, strftime(received, '%Y-%m-%dT%H:%M:%S.%gZ') AS received, code, reason${body}, strftime(replayed, '%Y-%m-%dT%H:%M:%S.%gZ') AS replayed
     FROM millrace.quarantine ${topic === null ? '' : `WHERE topic = ${text(topic)}`} ORDER BY quarantine.received DESC, id LIMIT ${limit}`,
  );
  return { rows };
}

async function answer(routes: Record<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://warehouse');
  const last = url.pathname.lastIndexOf('/') + 1;
  const whole = routes[`${request.method} ${url.pathname}`];
  const route =
    whole ??
    routes[`${request.method} ${url.pathname.slice(0, last)}`] ??
    fail('ROUTE_UNKNOWN', { method: request.method, path: url.pathname });
  const who = JSON.parse(String(request.headers['x-millrace-principal'] ?? 'null')) as Principal;
  const name = decodeURIComponent(url.pathname.slice(last));
  const result = await route({ who, query: url.searchParams, request, response, name });
  if (result === undefined) return;
  const body = Buffer.from(JSON.stringify(result, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/** Aborted when the client goes away before it has its whole answer: it no longer wants it. */
function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}

function refuse(response: ServerResponse, thrown: unknown): void {
  const error = asMillraceError(thrown);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify({ error: error.body }));
  const headers: Record<string, string | number> = { 'content-type': 'application/json', 'content-length': body.length };
  if (error.retryable) headers['retry-after'] = 1;
  response.writeHead(error.status, headers);
  response.end(body);
}

main(JSON.parse(process.argv[2]!) as ChildConfig).catch((thrown: unknown) => {
  process.send?.({ kind: 'problem', message: asMillraceError(thrown).message });
  setTimeout(() => process.exit(2), 50);
});
