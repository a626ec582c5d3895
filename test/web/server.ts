import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Started, startMillrace } from '#server';
import { initWorkspace } from '#workspace';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const isBuilt = () => existsSync(join(root, 'web', 'dist', 'index.html'));

/** A running Millrace on a workspace of its own, gone after the test. */
export async function millrace(
  t: { after: (fn: () => Promise<void>) => void },
  prepare: (path: string) => void | Promise<void> = () => {},
): Promise<Started & { path: string }> {
  const path = mkdtempSync(join(tmpdir(), 'millrace-web-'));
  initWorkspace(path, { name: 'web test', timeZone: 'Asia/Seoul', currency: 'KRW' }).close();
  await prepare(path);
  const started = await startMillrace({ workspace: path, log: null });
  await ready(started.address);
  t.after(async () => {
    await started.stop();
    rmSync(path, { recursive: true, force: true });
  });
  return { ...started, path };
}

/** Until questions are answered too. */
export async function ready(address: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if ((await send(address, 'GET', '/ready')).status === 200) return;
    await sleep(100);
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  json<T>(): T;
}

/** A request with exactly these headers: fetch would not let a test set Host, Origin or Sec-Fetch-Site. */
export async function send(
  address: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer> {
  const { hostname, port } = new URL(address);
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const asked = request({
      hostname,
      port,
      method,
      path,
      headers: { ...(bytes && { 'content-type': 'application/json', 'content-length': String(bytes.length) }), ...headers },
    });
    asked.on('response', resolve).on('error', reject).end(bytes);
  });
  const text = (await buffer(response)).toString();
  return { status: response.statusCode!, headers: response.headers, text, json: () => JSON.parse(text) };
}
