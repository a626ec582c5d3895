/** Opens the front and listens. One server for doors and API: a door's request never enters the framework. */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { doors } from '#collect';
import { type Bytes, type Millis, MillraceError } from '#core';
import { checkListen } from '#guard';
import { type Front, openFront } from '#platform';
import { http } from '#run';

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
  try {
    return await serve(front, host, options, logger);
  } catch (thrown) {
    await front.stop();
    throw thrown;
  }
}

async function serve(front: Front, host: string, options: StartOptions, logger: Logger): Promise<Started> {
  const server = newServer(options);
  server.on('connection', front.letIn);
  // Loaded while the warehouse's process starts, which takes longer.
  const { openApi } = await import('./app.ts');
  const app = await openApi(front, logger);

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
  await listen(server, host, options.port ?? 0);
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

function newServer(options: StartOptions): Server {
  // A file may take long to arrive, a question long to answer; a connection on which nothing moves for a quarter of an hour is closed.
  const limits = { maxHeaderSize: 16_384, requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 65_000 };
  const server: Server =
    options.tls === undefined
      ? http.createServer(limits)
      : process.getBuiltinModule('node:https').createServer({ ...limits, ...options.tls, minVersion: 'TLSv1.2' });
  server.setTimeout(900_000);
  server.on('clientError', refuseUnreadable);
  return server;
}

/** What is no HTTP, or ends in the middle, is told so in the catalogue's words too; nothing is written into an answer that has begun. */
function refuseUnreadable(cause: NodeJS.ErrnoException, socket: Duplex): void {
  const { _httpMessage: begun } = socket as { _httpMessage?: ServerResponse };
  if (socket.writable && begun?.headersSent !== true && cause.code !== 'ECONNRESET') {
    const [status, problem] = UNREADABLE[cause.code ?? ''] ?? [400, 'it is no HTTP request'];
    const body = JSON.stringify({ error: new MillraceError('REQUEST_INVALID', { problem }, cause).body });
    const headers = `connection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
    socket.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${headers}\r\n\r\n${body}`);
  }
  socket.destroy();
}

const UNREADABLE: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'its headers are longer than 16 KiB'],
  HPE_INVALID_EOF_STATE: [400, 'it ended in the middle'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'its headers did not come within 30 s'],
};

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new MillraceError('PORT_TAKEN', { host, port, problem: cause.code ?? cause.message }, cause));
    });
    server.listen({ port, host: host.replace(/^\[|\]$/g, ''), backlog: BACKLOG }, () => resolve());
  });
}
