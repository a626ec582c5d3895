/** Opens the front and listens. One server for doors and API: a door's request never enters the framework. */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { doors } from '#collect';
import { asMillraceError, type Bytes, type Millis, MillraceError } from '#core';
import { checkListen } from '#guard';
import { openFront } from '#platform';
import { http } from '#run';
import { BODY_LIMIT, heldBodies } from './bodies.ts';
import { guarded } from './guarded.ts';
import { sendPage } from './routes/console.ts';
import { routes } from './routes/index.ts';

/** Listening on all addresses is no address to connect to. */
const everywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** How long a stop waits for bodies that are being sent. */
const LAST_BODIES: Millis = 1_000;

/** Connections that wait to be accepted: each turn of the event loop accepts one, and beyond this many a client tries again after seconds. */
const BACKLOG = 4096;

export interface StartOptions {
  readonly workspace: string;
  /** Default 127.0.0.1. Any other than loopback needs `tls` or `insecureHttp`. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly memory?: Bytes;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly insecureHttp?: boolean;
  /** Where structured log lines go: stderr unless said otherwise, null for nowhere. */
  readonly log?: { write(line: string): void } | null;
}

export interface Started {
  readonly address: string;
  readonly local: LocalAddress;
  /** For the first visitor while there is no admin. */
  readonly setupToken: string | null;
  /** For programs of the same user on this machine, while this process lives. */
  readonly adminToken: string;
  readonly pid: number;
  /** Acknowledges what is in flight, delivers, checkpoints. */
  stop(): Promise<void>;
}

/** How programs on this machine reach it. */
export interface LocalAddress {
  readonly address: string;
  /** The SHA-256 fingerprint of its certificate, which names other hosts than this address: its own programs know it by that. Null without TLS. */
  readonly certificate: string | null;
}

/** Errors: HOST_UNSAFE, WORKSPACE_MISSING, WORKSPACE_BUSY, DEFINITION_*, PORT_TAKEN. */
export async function startMillrace(options: StartOptions): Promise<Started> {
  const host = options.host ?? '127.0.0.1';
  checkListen({ host, tls: options.tls !== undefined, insecureHttp: options.insecureHttp === true });
  const logger = pino(
    { level: options.log === null ? 'silent' : 'info', base: undefined },
    options.log ?? pino.destination({ dest: 2, sync: true }),
  );
  const front = openFront({
    workspace: options.workspace,
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    log: (level, event, facts) => logger[level]({ event, ...facts }),
  });
  const began = performance.now();
  const { app, server } = newServer(options);
  server.on('connection', front.letIn);
  app.decorate('uptime', () => (performance.now() - began) / 1000);
  guarded(app, front.guard);
  heldBodies(app, front.bodies);
  for (const route of routes) route(app, front);
  app.setNotFoundHandler(sayUnknown);
  app.setErrorHandler((thrown, request, reply) => {
    const error = worded(thrown);
    if (error.code === 'INTERNAL') logger.error({ event: 'internal', method: request.method, url: request.url, err: thrown });
    if (error.retryable) reply.header('retry-after', '1');
    return reply.code(error.status).send({ error: error.body });
  });
  await app.ready();

  /** Requests at doors that are not answered yet. */
  let taking = 0;
  const fallback = app.routing.bind(app) as RequestListener;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    for (const door of doors) {
      const path = door.path(request.method!, request.url!);
      if (path !== null) {
        taking++;
        response.once('close', () => taking--);
        door.handle(request, response, path, front.doors);
        return;
      }
    }
    fallback(request, response);
  });
  try {
    await listen(server, host, options.port ?? 0);
  } catch (thrown) {
    await front.stop();
    throw thrown;
  }
  const bound = server.address() as AddressInfo;
  const { port } = bound;
  const addressOf = (name: string) =>
    `${options.tls === undefined ? 'http' : 'https'}://${name.includes(':') ? `[${name.replace(/^\[|\]$/g, '')}]` : name}:${port}`;
  logger.info({ event: 'ready', host, port, pid: process.pid });
  return {
    address: addressOf(host),
    local: {
      address: addressOf(everywhere[bound.address] ?? bound.address),
      certificate: options.tls === undefined ? null : new X509Certificate(options.tls.cert).fingerprint256,
    },
    setupToken: front.guard.setupToken(),
    adminToken: front.guard.localToken(),
    pid: process.pid,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      for (const end = performance.now() + LAST_BODIES; taking > 0 && performance.now() < end; ) await sleep(10);
      await front.stop();
      server.closeAllConnections();
      await closed;
      await app.close();
      logger.info({ event: 'stopped' });
    },
  };
}

function newServer(options: StartOptions): { app: FastifyInstance; server: Server } {
  // A file may take long to arrive, a question long to answer; a connection on which nothing moves for a quarter of an hour is closed.
  const limits = { maxHeaderSize: 16_384, requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 65_000 };
  const server: Server =
    options.tls === undefined
      ? http.createServer(limits)
      : process.getBuiltinModule('node:https').createServer({ ...limits, ...options.tls, minVersion: 'TLSv1.2' });
  server.setTimeout(900_000);
  const app = Fastify({
    // The framework routes; the server is ours, since doors come first.
    serverFactory: () => http.createServer(),
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
    // No route has a schema: checks are in code, in the catalogue's words. Naming compilers keeps Fastify from loading its own (3 MB).
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // An address that can't be decoded, or a part of it that is too long for any name.
    frameworkErrors: (_, request, reply) => sayUnknown(request, reply),
  });
  return { app, server };
}

/** A person who mistyped an address gets the console, which says so; programs get the error. */
function sayUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isPage = request.method === 'GET' && !/^\/(v1|assets)\//.test(request.url);
  let error = new MillraceError('ROUTE_UNKNOWN', { method: request.method, path: request.url.slice(0, 200) });
  try {
    if (isPage && /\btext\/html\b/.test(request.headers.accept ?? '')) return sendPage(reply.code(404));
  } catch (thrown) {
    // Not yet built. Nobody takes what is thrown where the address could not be read.
    error = asMillraceError(thrown);
  }
  return reply.code(error.status).send({ error: error.body });
}

function noSchemas(): never {
  throw new TypeError('routes have no schemas');
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new MillraceError('PORT_TAKEN', { host, port, problem: cause.code ?? cause.message }, cause));
    });
    server.listen({ port, host: host.replace(/^\[|\]$/g, ''), backlog: BACKLOG }, () => resolve());
  });
}

/** The framework's own refusals in the catalogue's words. */
function worded(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const { code, message } = thrown as { code?: unknown; message?: string };
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP'))
    return new MillraceError('REQUEST_INVALID', { problem: message ?? code }, thrown);
  if (thrown instanceof SyntaxError) return new MillraceError('REQUEST_INVALID', { problem: message ?? 'it is not JSON' }, thrown);
  return asMillraceError(thrown);
}
