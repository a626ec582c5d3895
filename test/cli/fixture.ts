import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { commands } from '../../src/cli/commands/index.ts';
import { runCli } from '../../src/cli/run.ts';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What the answering side gives: a status and a body (JSON unless it is text), or `drop` to cut the connection. */
export type Answer = { readonly status: number; readonly body: unknown } | 'drop';

/** A server that answers as the test says and remembers what it was asked: for what a real one does not do on demand, such as failing once. */
export async function fakeServer(t: { after: (fn: () => void) => void }, answer: (request: Request, number: number) => Answer) {
  const requests: Request[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const request = { method: incoming.method!, path: incoming.url!, headers: incoming.headers, body: (await buffer(incoming)).toString() };
    requests.push(request);
    const given = answer(request, requests.length);
    if (given === 'drop') return incoming.socket.destroy();
    outgoing.writeHead(given.status, { 'content-type': 'application/json' });
    outgoing.end(typeof given.body === 'string' ? given.body : JSON.stringify(given.body ?? null));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { requests, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Runs one command line in this process, as main.ts does. */
export async function millrace(
  words: readonly string[],
  given: { stdin?: string; env?: Record<string, string>; columns?: number; terminal?: boolean } = {},
) {
  const stdout = collector(given.columns);
  const stderr = collector(given.columns, given.terminal);
  const stdin = Readable.from(given.stdin === undefined ? [] : [Buffer.from(given.stdin)]);
  const code = await runCli(words, { stdout: stdout.stream, stderr: stderr.stream, stdin, env: given.env ?? {} }, '0.0.0', commands);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function collector(columns?: number, terminal?: boolean) {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  const of = { ...(columns === undefined ? {} : { columns }), ...(terminal === undefined ? {} : { isTTY: terminal }) };
  return { stream: Object.assign(stream, of), text: () => chunks.join('') };
}
