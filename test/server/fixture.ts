import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Millis, Role } from '#core';
import { type Started, startMillrace } from '#server';
import { initWorkspace } from '#workspace';

type After = { after: TestContext['after'] };

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON. */
  readonly json: never;
  /** The error's code, if it is one. */
  readonly code: string | undefined;
}

export interface Asked {
  readonly token?: string | null;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Running {
  readonly path: string;
  readonly started: Started;
  /** `body` as JSON, unless it is text or bytes. Asked with the admin's token unless said otherwise. */
  call(method: string, path: string, asked?: Asked): Promise<Reply>;
  send(topic: string, body: unknown, asked?: Omit<Asked, 'body'>): Promise<Reply>;
  /** The rows of a query's JSON answer; its error's code otherwise. */
  ask(sql: string, more?: Record<string, unknown>, token?: string): Promise<unknown[][] | string>;
  /** Waits until everything durable is in the warehouse. */
  delivered(): Promise<void>;
  token(role: Role, topics?: string[]): Promise<string>;
}

export function workspaceIn(t: After, given: { settings?: string; topics?: Record<string, string> } = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-server-'));
  t.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  const workspace = initWorkspace(path, { name: 'test', timeZone: 'Asia/Seoul', currency: 'KRW' });
  for (const [name, yaml] of Object.entries(given.topics ?? {})) workspace.saveTopic(name, yaml);
  workspace.close();
  if (given.settings !== undefined)
    writeFileSync(join(path, 'millrace.yaml'), `name: test\ntime_zone: Asia/Seoul\ncurrency: KRW\n${given.settings}`);
  return path;
}

/** `log` hears what the program says. */
export async function running(
  t: After,
  given: Parameters<typeof workspaceIn>[1] & { path?: string; log?: { write(line: string): void } } = {},
): Promise<Running> {
  const path = given.path ?? workspaceIn(t, given);
  const started = await startMillrace({ workspace: path, log: given.log ?? null });
  t.after(() => started.stop().catch(() => {}));
  const self = clientOf(path, started);
  await until(async () => (await self.call('GET', '/ready')).status === 200);
  return self;
}

export function clientOf(path: string, started: Started): Running {
  const call: Running['call'] = async (method, url, asked = {}) => {
    const { token = started.adminToken, body, headers = {} } = asked;
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(started.address + url, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') ? tryJson(text) : undefined;
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: json as never,
      code: (json as { error?: { code: string } })?.error?.code,
    };
  };
  const self: Running = {
    path,
    started,
    call,
    send: (topic, body, asked = {}) => call('POST', `/v1/topics/${topic}/records`, { ...asked, body }),
    async ask(sql, more = {}, token = started.adminToken) {
      const { json, code } = await call('POST', '/v1/query', { token, body: { sql, ...more } });
      return code ?? (json as { rows: unknown[][] }).rows;
    },
    async delivered() {
      await until(async () => {
        const { topics } = (await call('GET', '/v1/status')).json as { topics: { durable: number; delivered: number }[] };
        return topics.every(({ durable, delivered }) => delivered >= durable);
      });
    },
    async token(role, topics) {
      const made = await call('POST', '/v1/tokens', {
        body: { name: `${role}-${++tokens}`, role, ...(topics === undefined ? {} : { topics }) },
      });
      return (made.json as { token: string }).token;
    },
  };
  return self;
}

let tokens = 0;

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Far longer than anything here takes. */
export async function until(holds: () => boolean | Promise<boolean>, within: Millis = 30_000): Promise<void> {
  for (const end = Date.now() + within; !(await holds()); await sleep(20)) {
    if (Date.now() > end) throw new Error('it did not come');
  }
}
