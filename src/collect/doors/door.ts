import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Entry, Millis, MillraceError, Topic } from '#core';
import type { Intake } from '../intake.ts';
import type { Bodies } from './bodies.ts';

/** What a door is given; it decides nothing about who may send. */
export interface DoorContext {
  readonly intake: Intake;
  readonly bodyBytes: number;
  readonly bodies: Bodies;
  /** The sender's name, once the token allows sending to that topic. Errors: TOKEN_MISSING, TOKEN_INVALID, NOT_ALLOWED. */
  readonly sender: (request: IncomingMessage, topic: string) => string;
  /** Errors: TOPIC_UNKNOWN, TOPIC_NAME. */
  readonly topic: (name: string) => Topic;
  /** Why no record is taken now (it is stopping, the disk is full), or null. */
  readonly refusal: () => MillraceError | null;
}

/** A door takes one protocol's requests: `path` says which are its own, `handle` answers every one of them. */
export interface Door extends Entry {
  /** What the door needs of the path, or null when the request is not its own. Called for every request: keep it cheap. */
  readonly path: (method: string, url: string) => string | null;
  readonly handle: (request: IncomingMessage, response: ServerResponse, path: string, context: DoorContext) => void;
}

export function answerError(response: ServerResponse, error: MillraceError): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(JSON.stringify({ error: error.body }));
  const headers: Record<string, string | number> = { 'content-type': 'application/json', 'content-length': body.length };
  if (error.retryable) headers['retry-after'] = 1;
  response.writeHead(error.status, headers);
  response.end(body);
}

/** So much, and for so long, of a refused body is let through to nowhere: many clients send all of it before they read an answer. */
const READ_ON = { bytes: 64 * 1024 * 1024, time: 10_000 as Millis };

/** Of a request that is answered before its body has come. A connection that is closed while something comes on it loses the answer with all else. */
export function readOn(request: IncomingMessage): void {
  if (request.complete) return;
  let left = READ_ON.bytes;
  const enough = setTimeout(() => request.destroy(), READ_ON.time);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  for (const ended of ['end', 'error', 'close']) request.once(ended, () => clearTimeout(enough));
  request.resume();
}
