import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { errorFromBody, MillraceError, type Principal } from '#core';
import { http } from '#run';

/** The front's way to the warehouse child: bytes in, bytes out. Errors: STORE_UNAVAILABLE while the child is starting. */
export interface WarehouseClient {
  /** The child's answer as it comes, whatever its status. */
  open(method: string, path: string, who: Principal | null, body?: Buffer, signal?: AbortSignal): Promise<IncomingMessage>;
  /** The child's JSON; its errors are thrown. */
  json<T>(method: string, path: string, body?: unknown): Promise<T>;
  close(): void;
}

export function warehouseClient(socketPath: string): WarehouseClient {
  // As many as are asked for: an answer that its client reads slowly keeps its connection, and must hold up no other question.
  const agent = new http.Agent({ keepAlive: true });

  function open(method: string, path: string, who: Principal | null, body?: Buffer, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = http.request({
        socketPath,
        agent,
        method,
        path,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          ...(who === null ? {} : { 'x-millrace-principal': JSON.stringify(who) }),
          ...(body === undefined ? {} : { 'content-length': body.length }),
        },
      });
      request.once('response', resolve);
      request.once('error', (cause) => reject(new MillraceError('STORE_UNAVAILABLE', {}, cause)));
      request.end(body);
    });
  }

  return {
    open,
    async json(method, path, body) {
      const answer = await open(method, path, null, body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
      const parsed = JSON.parse((await buffer(answer)).toString() || 'null');
      if (answer.statusCode! >= 400) throw errorFromBody(parsed?.error ?? {});
      return parsed;
    },
    close: () => agent.destroy(),
  };
}
