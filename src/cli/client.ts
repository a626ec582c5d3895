import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError, errorFromBody, MillraceError, type Option } from '#core';
import { http } from '#run';
import type { Input, Io } from './command.ts';
import { findRunning, type Running } from './running.ts';

/** The option that every command has which talks to a running Millrace. */
export const workspaceOption: Option = { name: 'workspace', type: 'text', summary: 'The workspace’s folder.', default: '.' };

/** A running Millrace as one of its clients sees it. */
export interface Client {
  /** The answer's JSON. Errors: the server's own by code, NOT_RUNNING when it can't be reached. */
  json<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** The answer as it comes, whatever its status. `body` may be a stream: then it is sent as it is read. */
  open(method: string, path: string, options?: SendOptions): Promise<IncomingMessage>;
}

export interface SendOptions {
  readonly body?: Buffer | Readable;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The client for the workspace's running Millrace, or for MILLRACE_ADDRESS with MILLRACE_TOKEN (another machine's). Errors: NOT_RUNNING. */
export function connect({ options }: Input, { env }: Pick<Io, 'env'>): Client {
  const remote = env['MILLRACE_ADDRESS'];
  if (remote !== undefined) return clientFor({ address: remote, certificate: null, token: env['MILLRACE_TOKEN'] ?? '' });
  return clientFor(findRunning(String(options['workspace'] ?? '.')));
}

/** `certificate`: whom to take for the server whatever names it has; null leaves that to the rules of the web. */
export type Server = Pick<Running, 'address' | 'certificate' | 'token'>;

export function clientFor(server: Server): Client {
  const open: Client['open'] = (method, path, options = {}) => send(server, path, method, options);
  return {
    open,
    async json(method, path, body) {
      const options =
        body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)), headers: { 'content-type': 'application/json' } };
      const answer = await open(method, path, options);
      if (answer.statusCode! >= 400) throw await errorOf(answer);
      return JSON.parse((await buffer(answer)).toString() || 'null');
    },
  };
}

// node:http and not fetch: fetch gives up when the first byte of the answer takes longer than 300 s, which a large load or query may.
async function send(server: Server, path: string, method: string, { body, headers = {} }: SendOptions): Promise<IncomingMessage> {
  const url = new URL(path, server.address);
  const length = Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {};
  const request = (url.protocol === 'https:' ? process.getBuiltinModule('node:https') : http).request(url, {
    method,
    headers: { authorization: `Bearer ${server.token}`, ...length, ...headers },
    ...(server.certificate != null && { createConnection: connectsTo(url, server.certificate) }),
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', (error) => reject(new MillraceError('NOT_RUNNING', { path: url.origin, detail: error.message }, error)));
  });
  if (body === undefined || Buffer.isBuffer(body)) request.end(body);
  // A server that refuses early answers and closes while the body is still being sent: the answer says why, the broken pipe doesn't.
  else pipeline(body, request).catch((error) => request.destroy(error));
  return answer;
}

/** Connections to the holder of one certificate: nothing is said, the token least of all, before it has shown it. */
function connectsTo({ hostname, port }: URL, certificate: string) {
  return (_: unknown, done: (error: Error | null, socket: Duplex) => void): undefined => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = process.getBuiltinModule('node:tls').connect({ host, port: Number(port || 443), rejectUnauthorized: false });
    socket.once('error', (error) => done(error, socket));
    socket.once('secureConnect', () => {
      if (socket.getPeerX509Certificate()?.fingerprint256 === certificate) done(null, socket);
      else socket.destroy(new Error('it has another certificate than the Millrace that was started here'));
    });
  };
}

/** The error that an answer with status ≥ 400 carries; a body that is none of ours becomes INTERNAL. */
export async function errorOf(answer: IncomingMessage): Promise<MillraceError> {
  const text = (await buffer(answer)).toString();
  try {
    const body = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    if (body.error) return errorFromBody(body.error);
  } catch {
    // Not JSON: something in front of Millrace answered; its text is the best there is.
  }
  return new MillraceError('INTERNAL', { detail: `HTTP ${answer.statusCode}: ${text.slice(0, 200)}` });
}

/** Runs `attempt` again while it fails with a retryable error: after 0.2 s, doubling up to 5 s, until `seconds` have passed. */
export async function retrying<T>(attempt: () => Promise<T>, seconds: number): Promise<T> {
  const until = performance.now() + seconds * 1000;
  for (let delay = 200; ; delay = Math.min(delay * 2, 5_000)) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (!error.retryable || performance.now() + delay > until) throw error;
      await sleep(delay);
    }
  }
}
