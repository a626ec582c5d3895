/** HTTP between the front and the warehouse child: calls, answers, refusals. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { Answer } from '#analyze';
import { asMillraceError, fail, type Principal } from '#core';

export interface Call {
  readonly who: Principal;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The last part of the path. */
  readonly name: string;
}

/** Answers with what becomes JSON, or writes its own answer and returns undefined. */
export type Route = (call: Call) => Promise<unknown>;

/** By method and path; a path that ends with / takes one more part, the call's name. */
export type Routes = Readonly<Record<string, Route>>;

export async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
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
export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}

export function refuse(response: ServerResponse, thrown: unknown): void {
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

export function send(response: ServerResponse, answered: Answer): void {
  response.writeHead(200, {
    'content-type': answered.contentType,
    'content-length': answered.bytes,
    'x-millrace-job': answered.job,
    'x-millrace-rows': answered.rows,
    'x-millrace-truncated': String(answered.truncated),
  });
  pipeline(answered.body, response, () => {});
}
