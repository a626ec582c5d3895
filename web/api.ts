/** The console's one way to the server: the public API, with the session's cookie. */
import type { ErrorBody } from '#core';
import type { QueryAnswer, QueryRequest, QuestionsLine } from '../src/server/api.ts';
import { begun } from './begun.ts';

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

const lost: Trouble['body'] = { code: 'UNREACHABLE', message: '', remedy: '', retryable: true, params: {} };

/** A connection breaks before an answer, or in the middle of it. */
function broken(thrown: unknown): never {
  throw isAbort(thrown) ? thrown : new Trouble(lost, 0);
}

/** Does something, and hears what went wrong on the way. */
export async function troubled(hear: (trouble: Trouble) => void, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (thrown) {
    if (!(thrown instanceof Trouble)) throw thrown;
    hear(thrown);
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
  return parseExact<T>(await response.text().catch(broken));
}

async function open(method: string, path: string, { body, signal, raw, headers }: Parameters<typeof call>[2] & object): Promise<Response> {
  const early = method === 'GET' ? begun.get(path) : undefined;
  if (early !== undefined) begun.delete(path);
  const asked =
    early ??
    fetch(path, {
      method,
      signal: signal ?? null,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: raw ?? (body === undefined ? null : JSON.stringify(body)),
    });
  const response = await asked.catch(broken);
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

interface Waiting {
  readonly request: QueryRequest;
  readonly signal: AbortSignal;
  readonly resolve: (answer: QueryAnswer) => void;
  readonly reject: (thrown: unknown) => void;
}

let gathering: Waiting[] = [];

const ahead = new Map<string, Promise<QueryAnswer>>();
let stands = false;
/** Nobody who comes later than this many ms is shown what was asked ahead: he has been elsewhere in between. A slow phone needs seconds. */
const heldFor = 60_000;

/** Asks now what will be asked in a moment: the warehouse computes while the page is still being drawn. Once that stands, it does nothing. */
export function askAhead(request: QueryRequest): void {
  if (stands) return;
  const key = JSON.stringify(request);
  const answer = askTogether(request, new AbortController().signal);
  answer.catch(() => {});
  ahead.set(key, answer);
  setTimeout(() => ahead.clear(), heldFor);
}

/** Said when the page stands: what is asked from now on is asked anew. */
export function forgetAhead(): void {
  stands = true;
  ahead.clear();
}

/** Like `ask`, but all that is asked at the same moment goes as one request, and those that read the same rows share a scan. */
export function askTogether(request: QueryRequest, signal: AbortSignal): Promise<QueryAnswer> {
  const key = JSON.stringify(request);
  const held = ahead.get(key);
  if (held !== undefined) {
    // Once: what is asked again may have another answer.
    ahead.delete(key);
    return held;
  }
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    if (gathering.length === 0)
      setTimeout(() => {
        const list = gathering.filter((each) => !each.signal.aborted);
        gathering = [];
        for (let at = 0; at < list.length; at += mostTogether) send(list.slice(at, at + mostTogether));
      });
    gathering.push({ request, signal, resolve, reject });
  });
}

const mostTogether = 130;

async function send(list: readonly Waiting[]): Promise<void> {
  const gone = new AbortController();
  let wanted = list.length;
  for (const { signal } of list)
    signal.addEventListener('abort', () => {
      wanted--;
      // Whoever is left still waits for the same request.
      if (wanted === 0) gone.abort();
    });
  try {
    const body = { questions: list.map(({ request }) => request) };
    const response = await open('POST', '/v1/questions', { body, signal: gone.signal });
    for await (const line of linesOf(response)) {
      const { at, answer, error } = parseExact<QuestionsLine>(line);
      const failed = error ?? answer?.error;
      if (failed) list[at]!.reject(new Trouble(failed, 200));
      else list[at]!.resolve(answer!);
    }
    // One without a line was lost with the connection.
    throw new Trouble(lost, 0);
  } catch (thrown) {
    for (const { reject } of list) reject(thrown instanceof TypeError ? new Trouble(lost, 0) : thrown);
  }
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + piece.value).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

export const isAbort = (thrown: unknown): boolean => thrown instanceof DOMException && thrown.name === 'AbortError';
