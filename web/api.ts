/** The console's one way to the server: the public API, with the session's cookie. */
import type { ErrorBody } from '#core';
import type { QueryAnswer, QueryRequest } from '../src/server/api.ts';

/** What went wrong: the server's own error, or that the server can't be reached. */
export class Trouble extends Error {
  readonly body: Omit<ErrorBody, 'code'> & { readonly code: string };
  readonly status: number;
  constructor(body: Trouble['body'], status: number) {
    super(body.message);
    this.body = body;
    this.status = status;
  }
}

/** Told when the server says that nobody is signed in. */
export const signedOut = new EventTarget();

export async function call<T>(
  method: string,
  path: string,
  options: { body?: unknown; signal?: AbortSignal; raw?: BodyInit; headers?: Record<string, string> } = {},
): Promise<T> {
  const response = await open(method, path, options);
  return parseExact<T>(await response.text());
}

async function open(method: string, path: string, { body, signal, raw, headers }: Parameters<typeof call>[2] & object): Promise<Response> {
  const response = await fetch(path, {
    method,
    signal: signal ?? null,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: raw ?? (body === undefined ? null : JSON.stringify(body)),
  }).catch((thrown: unknown) => {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    throw new Trouble({ code: 'UNREACHABLE', message: '', remedy: '', retryable: true, params: {} }, 0);
  });
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  if (response.status === 401) signedOut.dispatchEvent(new Event('signed-out'));
  throw new Trouble(
    said?.error ?? { code: `HTTP_${response.status}`, message: response.statusText, remedy: '', retryable: false, params: {} },
    response.status,
  );
}

/** JSON in which a number that a double can't keep becomes its text. Reading number by number is slow, so only where there may be one. */
export function parseExact<T>(text: string): T {
  if (!/[\d.]{16,}/.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined && !keeps(value, context.source) ? context.source : value;
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

function keeps(value: number, source: string): boolean {
  return (
    source.length < 16 || String(value) === source || (Number.isSafeInteger(value) && /^-?\d+(\.0+)?$/.test(source)) || /e/i.test(source)
  );
}

/** Asks in SQL. Aborting the signal ends the question on the server too. An error after the first row is thrown like any other. */
export async function ask(request: QueryRequest, signal?: AbortSignal): Promise<QueryAnswer> {
  const answer = await call<QueryAnswer>('POST', '/v1/query', { body: request, ...(signal && { signal }) });
  if (answer.error) throw new Trouble(answer.error, 200);
  return answer;
}

export const isAbort = (thrown: unknown): boolean => thrown instanceof DOMException && thrown.name === 'AbortError';
