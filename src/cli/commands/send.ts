import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { errorFromBody, fail } from '#core';
import { progress } from '#run';
import type { SendAnswer } from '#server';
import { type Client, connect, errorOf, retrying, workspaceOption } from '../client.ts';
import type { Command, Io } from '../command.ts';
import { statFile } from '../file.ts';
// Intake's rules are loaded by this command only.
import type { Batch } from '../records.ts';

/** Half of what the server takes, so that a batch fits whatever the topic's limits are. */
const bodyBytes = 8 * 2 ** 20;
const listed = 20;

export const send: Command = {
  name: 'send',
  summary: 'Sends records to a topic; each is acknowledged when it is on disk.',
  positionals: [
    { name: 'TOPIC', summary: 'The topic’s name.', required: true },
    { name: 'FILE', summary: 'JSON (an object or an array of them) or NDJSON; - or nothing reads standard input.' },
  ],
  options: [
    workspaceOption,
    { name: 'batch', type: 'integer', summary: 'At most so many records in one request (up to 10,000).', default: 1000 },
    { name: 'retry-seconds', type: 'number', summary: 'How long a batch that can’t be delivered is tried again.', default: 60 },
  ],
  goesOn: true,
  usage: [
    '  millrace send events events.ndjson',
    `  echo '{"event_id":"a1","event":"page_view","ts":"2026-03-01T09:00:00+09:00"}' | millrace send events`,
    '  A retry carries the same Idempotency-Key, so it is never stored twice. Exit code 1 when a record was rejected.',
  ].join('\n'),
  async run(input, io) {
    const [topic, file] = input.positionals as [string, string | undefined];
    const most = Number(input.options['batch']);
    if (most < 1 || most > 10_000) fail('OPTION_VALUE', { option: '--batch', value: most, problem: 'it goes from 1 to 10000' });
    const client = connect(input, io);
    const { stream, bytes } = openFile(file, io);
    const shown = progress(`send ${topic}`, bytes, { stream: io.stderr });
    const sum = { accepted: 0, rejected: 0, undeduplicated: 0, unkept: 0, sent: 0 };
    const { batches } = await import('../records.ts');
    const run = randomUUID();
    let number = 0;
    try {
      for await (const batch of batches(stream, { records: most, bytes: bodyBytes })) {
        const key = `${run}-${number++}`;
        const answer = await retrying(() => sendBatch(client, topic, batch, key), Number(input.options['retry-seconds']));
        listRejections(answer, batch, sum.rejected, io);
        sum.accepted += answer.accepted;
        sum.rejected += answer.rejected;
        sum.undeduplicated += answer.undeduplicated;
        sum.unkept += answer.unkept ?? 0;
        sum.sent += batch.body.length;
        shown.update(sum.sent, `${sum.accepted.toLocaleString('en-US')} records`);
      }
    } finally {
      shown.end(`${sum.accepted.toLocaleString('en-US')} records`);
      // Also where it ends before the file does: what was accepted stays.
      if (sum.accepted + sum.rejected > 0) io.stdout.write(`${summary(sum)}\n`);
    }
    if (sum.accepted + sum.rejected === 0) fail('BODY_EMPTY');
    return sum.rejected === 0 ? 0 : 1;
  },
};

async function sendBatch(client: Client, topic: string, batch: Batch, key: string): Promise<SendAnswer> {
  const answer = await client.open('POST', `/v1/topics/${encodeURIComponent(topic)}/records`, {
    body: batch.body,
    headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
  });
  // 400 says that none was accepted, and for a body that could be read it lists why, just like 200 and 207.
  if (answer.statusCode! < 300) return JSON.parse((await buffer(answer)).toString()) as SendAnswer;
  if (answer.statusCode !== 400) throw await errorOf(answer);
  const body = await buffer(answer);
  const parsed = JSON.parse(body.toString()) as Partial<SendAnswer> & { error?: Parameters<typeof errorFromBody>[0] };
  if (parsed.rejections) return parsed as SendAnswer;
  throw errorFromBody(parsed.error ?? {});
}

function listRejections(answer: SendAnswer, batch: Batch, before: number, io: Io): void {
  for (const [at, { index, code, reason }] of answer.rejections.entries()) {
    if (before + at === listed) io.stderr.write('… further rejections: "millrace quarantine list"\n');
    if (before + at >= listed) return;
    io.stderr.write(`line ${batch.lines[index] ?? '?'}: ${code}  ${reason}\n`);
  }
}

function summary({
  accepted,
  rejected,
  undeduplicated,
  unkept,
}: Record<'accepted' | 'rejected' | 'undeduplicated' | 'unkept', number>): string {
  const parts = [`${accepted.toLocaleString('en-US')} accepted`];
  if (rejected > 0) parts.push(`${rejected.toLocaleString('en-US')} rejected (see "millrace quarantine list")`);
  if (unkept > 0) parts.push(`${unkept.toLocaleString('en-US')} of them not in quarantine, which is full for this hour`);
  if (undeduplicated > 0)
    parts.push(`${undeduplicated.toLocaleString('en-US')} without an id: sending this file again would store them twice`);
  return parts.join(', ');
}

function openFile(file: string | undefined, { stdin }: Io): { stream: Readable; bytes: number | null } {
  if (file === undefined || file === '-') return { stream: stdin, bytes: null };
  return { bytes: statFile(file).size, stream: createReadStream(file) };
}
