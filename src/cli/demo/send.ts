import { randomUUID } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorFromBody, fail } from '#core';
import type { LoadAnswer, SendAnswer, StatusAnswer } from '#server';
import { type Client, errorOf, retrying } from '../client.ts';

/** How long a request is tried again, and how long delivery may stand still. */
const patience = 60;

/** Asks again while the answer is a retryable error: right after its start the warehouse isn't there yet. Only for requests that may be repeated. */
export const patiently = <T>(attempt: () => Promise<T>) => retrying(attempt, patience);

/** What became of the records of one topic. */
export interface Sent {
  accepted: number;
  rejected: number;
  firstRejection: { code: string; reason: string } | null;
}

/** Sends one batch of lines (NDJSON) until it is acknowledged; a retry carries the same Idempotency-Key. Adds the outcome to `sent`. */
export async function sendBatch(client: Client, topic: string, body: Buffer, sent: Sent): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': randomUUID() };
  const answer = await patiently(async () => {
    const response = await client.open('POST', `/v1/topics/${topic}/records`, { body, headers });
    // 400 says that no record was accepted; where the body could be read it lists why, like 200 and 207.
    if (response.statusCode! >= 300 && response.statusCode !== 400) throw await errorOf(response);
    const said = JSON.parse((await buffer(response)).toString()) as Partial<SendAnswer> & { error?: Parameters<typeof errorFromBody>[0] };
    if (said.rejections === undefined) throw errorFromBody(said.error ?? {});
    return said as SendAnswer;
  });
  sent.accepted += answer.accepted;
  sent.rejected += answer.rejected;
  sent.firstRejection ??= answer.rejections[0] ?? null;
}

/** Loads a body into a table, wholly or not at all. A body that is made anew for each try can be tried again. */
export async function loadTable(
  client: Client,
  input: {
    table: string;
    format: 'ndjson' | 'parquet';
    mode: 'replace' | 'append';
    body: () => Readable;
    onBytes?: (bytes: number) => void;
  },
): Promise<LoadAnswer> {
  const headers = { 'content-type': 'application/octet-stream', 'idempotency-key': randomUUID() };
  const query = new URLSearchParams({ format: input.format, mode: input.mode });
  return patiently(async () => {
    let bytes = 0;
    const counted = new Transform({
      transform(chunk, _encoding, done) {
        bytes += chunk.length;
        input.onBytes?.(bytes);
        done(null, chunk);
      },
    });
    const body = input.body();
    body.once('error', (error) => counted.destroy(error));
    const answer = await client.open('POST', `/v1/load/${input.table}?${query}`, { body: body.pipe(counted), headers });
    if (answer.statusCode! >= 400) throw await errorOf(answer);
    return JSON.parse((await buffer(answer)).toString()) as LoadAnswer;
  });
}

export const ndjson = (rows: Iterable<object>) => Readable.from(lines(rows));

function* lines(rows: Iterable<object>): Generator<string> {
  for (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** Waits until everything that is durable is in the warehouse. Errors: DEMO_NOT_DELIVERED when nothing moves for a minute. */
export async function delivered(client: Client, onProgress: (done: number, total: number) => void): Promise<void> {
  let last = '';
  let moved = performance.now();
  for (;;) {
    const { topics } = await patiently(() => client.json<StatusAnswer>('GET', '/v1/status'));
    onProgress(
      topics.reduce((sum, topic) => sum + topic.delivered, 0),
      topics.reduce((sum, topic) => sum + topic.durable, 0),
    );
    const behind = topics.find((topic) => topic.delivered < topic.durable || topic.lag_ms > 0);
    if (behind === undefined) return;
    const state = JSON.stringify(topics.map((topic) => topic.delivered));
    if (state !== last) moved = performance.now();
    last = state;
    if (performance.now() - moved > patience * 1000) {
      fail('DEMO_NOT_DELIVERED', { seconds: patience, topic: behind.name, waiting: `${behind.durable - behind.delivered} bytes` });
    }
    await sleep(100);
  }
}
