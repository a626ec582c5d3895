/**
 * The front: opens the stages that acknowledge records (workspace, guard, log, intake) and keeps the warehouse child alive.
 * It never loads DuckDB: acknowledgement goes on while the child restarts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';

import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bodies, type DoorContext, type Intake, newBodies, openIntake, openLog } from '#collect';
import { asMillraceError, type Bytes, fail, type Millis, MillraceError, type Position, type Topic } from '#core';
import { type Guard, openGuard } from '#guard';
import { type ExitReason, residentBytes, standBack, supervise } from '#run';
import { openWorkspace, type TextFolder, textFolder, type Workspace } from '#workspace';
import { type Flow, newFlow } from './flow.ts';
import { type Line, newLine } from './line.ts';
import { takeLock } from './lock.ts';
import { warehouseShare, watchMemory } from './memory-watch.ts';
import type { ChildConfig, ChildReady, FromChild, ToChild } from './messages.ts';
import { type ModelServer, openModelServer } from './models/serve.ts';
import { openTransfers, type Transfers } from './transfers.ts';
import { startUpkeep } from './upkeep.ts';
import { openUploads, type Uploads } from './uploads.ts';
import { type WarehouseClient, warehouseClient } from './warehouse-client.ts';

export interface FrontOptions {
  readonly workspace: string;
  readonly memory?: Bytes;
  /** One structured line per event. */
  readonly log: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

export interface Front {
  readonly workspace: Workspace;
  readonly guard: Guard;
  readonly intake: Intake;
  readonly doors: DoorContext;
  /** Of requests that are no records. */
  readonly bodies: Bodies;
  readonly warehouse: WarehouseClient;
  readonly line: Line;
  /** Counts a connection: while more come, large bodies stand back. */
  letIn(): void;
  connections(): number;
  readonly flow: Flow;
  readonly uploads: string;
  /** Models that answer in this process, without the warehouse. */
  readonly models: ModelServer;
  readonly transfers: Transfers;
  readonly dashboards: TextFolder;
  /** Saved questions. */
  readonly questions: TextFolder;
  /** Files that users drop. */
  readonly dropped: Uploads;
  /** Where the log of each topic ends, durably. */
  durable(): Record<string, Position>;
  warehouseState(): 'starting' | 'ready' | 'down';
  memory(): { front_bytes: Bytes; warehouse_bytes: Bytes };
  restarts(): number;
  /** Refuses new records, syncs, lets the child deliver and close. */
  stop(): Promise<void>;
}

const WATCH = 25;
/** A stop's deadline, and of that what transfers have for the write that they are at. With the last bodies (src/server/start.ts) it is 5 s. */
const STOPPED_WITHIN: Millis = 4_000;
const LAST_WRITES: Millis = 1_500;
/** Acknowledging comes before delivering where they share a core, and delivering's many short steps before what questions compute. */
const BELOW_FRONT = { loop: 2, pool: 10 };

/** Of bodies that are being taken in, each of which stands in memory up to four times on its way. More would only wait longer. */
const bodiesShare = (memory: Bytes): Bytes => Math.min(32_000_000, memory / 64);

/** In the words of the query log. Nothing but the memory watch asks for another process. */
function whyLost(reason: ExitReason): string {
  if (reason.asked) return 'the warehouse process was ended while it ran: all processes together came to the limit of memory';
  const how = reason.kind === 'killed' ? reason.signal : reason.kind === 'exited' ? `exit code ${reason.code}` : reason.problem;
  return `the warehouse process crashed or was killed from outside while it ran (${how})`;
}

export function openFront(options: FrontOptions): Front {
  const { log: say } = options;
  const workspace = openWorkspace(options.workspace);
  const { dataPath, settings } = workspace;
  mkdirSync(dataPath, { recursive: true, mode: 0o700 });
  const unlock = takeLock(dataPath);
  const uploads = join(dataPath, 'tmp', 'uploads');
  rmSync(uploads, { recursive: true, force: true });
  mkdirSync(uploads, { recursive: true, mode: 0o700 });
  const guard = openGuard(dataPath);
  let connections = 0;
  const log = openLog(dataPath, {
    arrived: () => connections,
    onRecovered(topic, recovered) {
      if (recovered.cut > 0) say('warn', 'log.recovered', { topic, end: recovered.end, cut_bytes: recovered.cut });
    },
  });
  const columns = new Map<string, ReadonlySet<string>>();
  const none: ReadonlySet<string> = new Set();
  const intake = openIntake({ log, limits: settings.limits, timeZone: settings.timeZone, columns: (topic) => columns.get(topic) ?? none });
  const models = openModelServer(dataPath, (thrown) => say('error', 'model.refused', { message: asMillraceError(thrown).message }));
  const flow = newFlow();
  let stopping = false;

  // A path of its own for the socket: a Unix socket's path has at most 107 bytes, a workspace's may be longer.
  const socketFolder = mkdtempSync(join(tmpdir(), 'millrace-'));
  const socket = join(socketFolder, 'w.sock');
  const warehouse = warehouseClient(socket);
  const memory = options.memory ?? settings.memory;
  const config: Omit<ChildConfig, 'lost'> = {
    workspace: workspace.path,
    timeZone: settings.timeZone,
    weekStart: settings.weekStart,
    dataPath,
    socket,
    memory: warehouseShare(memory),
    threads: Math.max(2, availableParallelism()),
    limits: settings.roles,
  };
  let sent: Record<string, Position> = {};
  let state: 'starting' | 'ready' | 'down' = 'starting';
  let lost = 'Millrace was killed while it ran, or its machine went down';

  const child = supervise({
    script: new URL('./warehouse.ts', import.meta.url),
    args: () => [JSON.stringify({ ...config, lost } satisfies ChildConfig)],
    // Room for what lives shortly: 16 MB of it, Node's default, stay resident. Results are made in pieces of this size.
    nodeArguments: ['--max-semi-space-size=1', '--v8-pool-size=1'],
    // Queries (at most 16 at once by default), the write lane and file calls share this pool; it can only be set before the process begins.
    // glibc keeps freed memory in as many arenas as there are threads; two are enough and stay small.
    env: { UV_THREADPOOL_SIZE: '24', MALLOC_ARENA_MAX: '2', TZ: 'UTC' },
    readyWithin: 120_000,
    onReady(details, pid) {
      state = 'ready';
      standBack(pid, BELOW_FRONT);
      const { positions, models: list } = details as ChildReady;
      models.update(list);
      for (const [topic, to] of Object.entries(positions)) flow.delivered(topic, to);
      sendTopics();
      sent = {};
      tellDurable();
      say('info', 'warehouse.ready');
    },
    onMessage(message) {
      const told = message as FromChild;
      if (told.kind === 'problem') {
        say('error', 'warehouse.problem', { message: told.message });
        return;
      }
      if (told.kind === 'models') {
        models.update(told.models);
        return;
      }
      for (const { topic, to, columns: names } of told.topics) {
        flow.delivered(topic, to);
        if (names.length !== columns.get(topic)?.size) columns.set(topic, new Set(names));
      }
    },
    onExit(reason) {
      // One that was not ready yet had no questions: those that were lost are still its predecessor's.
      if (state === 'ready') lost = whyLost(reason);
      state = stopping ? 'down' : 'starting';
      rmSync(socket, { force: true });
      if (!stopping) say('error', 'warehouse.exit', { ...reason });
    },
  });

  function sendTopics(): void {
    child.send({ kind: 'topics', topics: workspace.topics() } satisfies ToChild);
  }

  function tellDurable(): void {
    const durable = log.durable();
    let news = false;
    for (const topic of Object.keys(durable)) {
      if (durable[topic] === sent[topic]) continue;
      news = true;
      flow.durable(topic, durable[topic]!);
    }
    if (news && state === 'ready' && child.send({ kind: 'durable', durable } satisfies ToChild)) sent = durable;
  }

  const upkeep = startUpkeep({
    dataPath,
    logRoot: log.root,
    reserve: settings.limits.diskReserve,
    retention: () => workspace.settings.retention,
    flow,
    warehouse,
    say,
  });
  const watching = setInterval(tellDurable, WATCH);
  const memoryWatch = watchMemory({ child, ready: () => state === 'ready', jobs: () => transfers.pids(), memory, say });
  const unwatch = workspace.onChange(() => {
    sendTopics();
    for (const problem of workspace.problems()) say('warn', 'definition.problem', { code: problem.code, message: problem.message });
  });

  function topicOf(name: string): Topic {
    return workspace.topic(name) ?? createTopic(name);
  }

  function createTopic(name: string): Topic {
    const topic = workspace.createTopicOnFirstUse(name);
    sendTopics();
    return topic;
  }

  const doors: DoorContext = {
    intake,
    bodyBytes: settings.limits.bodyBytes,
    bodies: newBodies(bodiesShare(memory)),
    topic: topicOf,
    refusal: () => (stopping ? new MillraceError('STOPPING') : upkeep.refusal()),
    sender(request: IncomingMessage, topic: string) {
      const principal = guard.authenticate(request.headers.authorization, request.socket.remoteAddress ?? '');
      guard.decide(principal, 'send', topic);
      return principal.name;
    },
  };

  const transfers = openTransfers({
    workspace: workspace.path,
    dataPath,
    socket,
    warehouse,
    rules: () => workspace.settings.transfer,
    timeZone: () => workspace.settings.timeZone,
    alert(name, record) {
      const sending = { sender: 'millrace', idempotencyKey: record.run };
      const unsent = (thrown: unknown) => say('error', 'transfer.alert', { topic: name, message: asMillraceError(thrown).message });
      try {
        intake.take(topicOf(name), Buffer.from(JSON.stringify(record)), sending, (error, { rejections }) => {
          const [rejection] = rejections;
          if (error !== null) unsent(error);
          else if (rejection !== undefined) unsent(new MillraceError(rejection.code));
        });
      } catch (thrown) {
        unsent(thrown);
      }
    },
    log: say,
  });
  const dropped = openUploads({
    dataPath,
    transfers,
    warehouse,
    largest: () => workspace.settings.transfer.uploadBytes,
    refusal: doors.refusal,
    log: say,
  });

  return {
    workspace,
    guard,
    intake,
    doors,
    bodies: newBodies(bodiesShare(memory)),
    warehouse,
    line: newLine(settings.roles),
    letIn() {
      connections++;
    },
    connections: () => connections,
    flow,
    uploads,
    models,
    transfers,
    dashboards: textFolder({
      workspace: workspace.path,
      folder: 'dashboards',
      ending: '.yaml',
      kept: join(dataPath, 'versions', 'dashboards'),
      errors: { name: 'DASHBOARD_NAME', unknown: 'DASHBOARD_UNKNOWN', changed: 'DASHBOARD_CHANGED', version: 'DASHBOARD_VERSION' },
    }),
    questions: textFolder({
      workspace: workspace.path,
      folder: 'queries',
      ending: '.sql',
      kept: join(dataPath, 'versions', 'queries'),
      errors: { name: 'SAVED_NAME', unknown: 'SAVED_UNKNOWN', changed: 'SAVED_CHANGED', version: 'SAVED_VERSION' },
    }),
    dropped,
    durable: () => log.durable(),
    warehouseState: () => state,
    memory: () => ({ front_bytes: process.memoryUsage.rss(), warehouse_bytes: child.pid === null ? 0 : (residentBytes(child.pid) ?? 0) }),
    restarts: () => child.restarts,
    async stop() {
      if (stopping) fail('STOPPING');
      stopping = true;
      const end = performance.now() + STOPPED_WITHIN;
      clearInterval(watching);
      memoryWatch.stop();
      unwatch();
      await upkeep.stop();
      await log.close();
      tellDurable();
      dropped.stop();
      await transfers.stop(LAST_WRITES);
      // What it has not delivered by then lies in the log, and the next start delivers it.
      await child.stop(Math.max(500, end - performance.now()));
      warehouse.close();
      guard.close();
      workspace.close();
      rmSync(socketFolder, { recursive: true, force: true });
      unlock();
    },
  };
}
