/**
 * The warehouse child: the one DuckDB file, delivery and queries. It answers HTTP on a Unix socket in a folder that only this
 * user can enter; who asks was decided by the front. It ends when the front is gone.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DefinitionKind, definitionKinds, openAnalyst, openAnswers, openModels } from '#analyze';
import { asMillraceError, type ErrorBody, type Topic } from '#core';
import { openKeeper, openQueries, startDelivery } from '#process';
import { http, tidyAfterStart } from '#run';
import { openStore, type Store, type StoreOptions } from '#store';
import { type DefinitionFolder, mostTextBytes, openDefinitions } from '#workspace';
import type { ChildConfig, ChildReady, FromChild, ToChild } from './messages.ts';
import { openWorkshop } from './models/workshop.ts';
import { boundUnsaved } from './unsaved.ts';
import { openBlast } from './warehouse/blast.ts';
import { columnRoutes } from './warehouse/columns.ts';
import { answer, refuse } from './warehouse/http.ts';
import { lineageRoutes } from './warehouse/lineage.ts';
import { modelRoutes } from './warehouse/models.ts';
import { quarantineRoutes } from './warehouse/quarantine.ts';
import { questionRoutes } from './warehouse/questions.ts';
import { openReaders } from './warehouse/readers.ts';
import { newRights, rightsRoutes } from './warehouse/rights.ts';
import { ownStatements } from './warehouse/statements.ts';
import { transferRoutes } from './warehouse/transfers.ts';
import { viewRoutes, viewsFor } from './warehouse/views.ts';

/** The kernel frees the file of a killed predecessor at once, but its process may take a moment to be gone. */
const PATIENCE = 10_000;
const LAST_WORDS = 50;

async function main(config: ChildConfig): Promise<void> {
  // Not by an exit, which waits for the engine's threads: one that waits for a function of ours, on this thread, would wait for ever.
  const leave = () => process.kill(process.pid, 'SIGKILL');
  process.on('disconnect', leave);
  const topics = new Map<string, Topic>();
  const say = (message: FromChild) => process.send?.(message);
  const problem = (thrown: unknown) => say({ kind: 'problem', message: thrown instanceof Error ? thrown.message : String(thrown) });
  const onFatal = (cause: unknown) => {
    problem(cause);
    // Answers on their way have a moment; the front starts a new process, which opens the file anew.
    setTimeout(leave, LAST_WORDS);
  };
  const onMended: StoreOptions['onMended'] = (blocks) =>
    problem(
      `the warehouse’s file was half written when its process was killed: ${blocks.map(({ at }) => `the block of metadata at byte ${at}`).join(', ')} has its checksum again, nothing is lost`,
    );
  const store = await openPatiently({ ...config, onFatal, onMended });
  const models = await openModels({
    store,
    workshop: openWorkshop({
      dataPath: config.dataPath,
      memory: trainerShare(config.memory),
      files: join(config.workspace, 'models'),
      timeZone: config.timeZone,
    }),
    onChange(list) {
      say({ kind: 'models', models: list });
      keeper.modelsChanged();
      // A definition that the start could not take for want of its model may be sound now.
      if (broken.length > 0) void defineViews();
    },
  });
  const viewFiles = openDefinitions(config.workspace, 'views', '.sql', () => void defineViews());
  const keeper = await openKeeper({ store, files: viewFiles, calls: models.calls, onProblem: problem });
  const queryFiles = openDefinitions(config.workspace, 'queries', '.sql', () => void defineViews(), mostTextBytes);
  const queries = await openQueries({ store, files: queryFiles, timeZone: config.timeZone, calls: models.calls, onProblem: problem });
  // Read at each question: an edit needs no listening to.
  const definitions = Object.fromEntries(
    definitionKinds.map((kind) => [kind, openDefinitions(config.workspace, kind, '.yaml', () => {})]),
  ) as Record<DefinitionKind, DefinitionFolder>;
  const dashboards = openDefinitions(config.workspace, 'dashboards', '.yaml', () => {}, mostTextBytes);
  const readers = openReaders({ models, definitions, dashboards, queries: queryFiles });
  const blast = openBlast({ store, keeper, queries, readers });
  const grantFiles = openDefinitions(config.workspace, 'grants', '.yaml', () => {});
  // A file that is not read would narrow nothing, and nobody would notice.
  const grants = { list: grantFiles.list, problems: () => [...grantFiles.problems(), ...grantFiles.strays()] };
  const rights = newRights(grants);
  const own = ownStatements({ keeper, queries, models, blast, rights });
  const turns = { places: Math.max(1, Math.floor(config.threads / 2)), moment: 500, term: 5000 };
  const reach = (names: readonly string[], patience: number) => delivering.reach(names, patience);
  const analyst = openAnalyst({ store, limits: config.limits, own, grants, models, turns, reach, lost: config.lost, onProblem: problem });
  const answers = openAnswers({ store, analyst, timeZone: config.timeZone, weekStart: config.weekStart, definitions });
  let broken: readonly ErrorBody[] = [];
  async function defineViews(): Promise<void> {
    try {
      broken = [...(await keeper.define()), ...viewFiles.problems(), ...(await queries.define()), ...queryFiles.problems()];
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
    onProblem: problem,
  });

  const routes = {
    ...questionRoutes({
      ...{ store, analyst, answers, rights, beforeLoad: keeper.beforeLoad },
      views: (who) => ({ views: viewsFor(who, keeper.states(), rights), problems: broken }),
    }),
    ...viewRoutes({ store, keeper, blast, models, rights, timeZone: config.timeZone }),
    ...lineageRoutes({ store, keeper, queries, readers }),
    ...columnRoutes({ store, keeper, queries, analyst }),
    ...quarantineRoutes(store, rights),
    ...(await transferRoutes(store, keeper.beforeLoad)),
    ...modelRoutes(models, rights),
    ...rightsRoutes(rights),
  };
  const server = http.createServer((request, response) => {
    answer(routes, request, response).catch((thrown: unknown) => refuse(response, thrown));
  });
  // The front keeps its connections; one that closes under a request would look like a warehouse that is down.
  server.keepAliveTimeout = 0;
  server.listen(config.socket, () => {
    tidyAfterStart();
    process.send?.({ ready: { positions: Object.fromEntries(store.positions()), models: models.list() } satisfies ChildReady });
  });

  process.on('message', (message: ToChild) => {
    if (message.kind === 'durable') delivering.news(message.durable);
    else if (message.kind === 'relieve') {
      const stopped = analyst.relieve();
      if (stopped !== null) say({ kind: 'problem', message: `memory is short: the query ${stopped.id} of ${stopped.who} was stopped` });
      // A view or a run says itself why it ended.
      else if (keeper.relieve() === null) queries.relieve();
    } else {
      topics.clear();
      for (const topic of message.topics) topics.set(topic.name, topic);
      store.prepare(message.topics).catch(problem);
    }
  });

  const bound = boundUnsaved({ size: store.unsaved, relieve: analyst.relieve });
  let ending = false;
  process.on('SIGTERM', () => {
    if (ending) return;
    ending = true;
    void (async () => {
      server.close();
      bound.end();
      await analyst.close();
      // First, so that no refresh holds up the last deliveries; the next start refreshes what they touch.
      await Promise.all([keeper.stop(), queries.stop()]);
      await delivering.settle(1_500);
      await delivering.stop();
      for (const files of [viewFiles, queryFiles, dashboards, grantFiles, ...Object.values(definitions)]) files.close();
      await store.close();
      process.exit(0);
    })();
  });
  // Ctrl-C in a terminal reaches the whole group; the front decides when this process ends.
  process.on('SIGINT', () => {});
}

/** A training process's part: its own code and DuckDB's take some 150 MB before any data. */
const trainerShare = (memory: number): number => Math.max(300_000_000, memory * 0.6);

async function openPatiently(config: StoreOptions): Promise<Store> {
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

main(JSON.parse(process.argv[2]!) as ChildConfig).catch((thrown: unknown) => {
  process.send?.({ kind: 'problem', message: asMillraceError(thrown).message });
  setTimeout(() => process.exit(2), 50);
});
