import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { extname } from 'node:path';
import { Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fail } from '#core';
import { progress } from '#run';
import type { LoadAnswer } from '#server';
import { type Client, connect, errorOf, retrying, workspaceOption } from '../client.ts';
import type { Command, Io } from '../command.ts';
import { statFile } from '../file.ts';

const formats: Readonly<Record<string, string>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.json': 'ndjson',
  '.parquet': 'parquet',
};

export const load: Command = {
  name: 'load',
  summary: 'Loads files into a table: each file wholly or not at all.',
  positionals: [
    { name: 'TABLE', summary: 'schema.name, or a name in main.', required: true },
    { name: 'FILE', summary: 'CSV, NDJSON or Parquet files; all go into the same table.', required: true, many: true },
  ],
  options: [
    workspaceOption,
    {
      name: 'format',
      type: 'choice',
      choices: ['csv', 'ndjson', 'parquet'],
      summary: 'What the files are. Default: by each file’s ending.',
    },
    {
      name: 'mode',
      type: 'choice',
      choices: ['append', 'replace', 'create'],
      summary: 'append adds rows (and makes the table if absent), replace starts it anew, create refuses a table that exists.',
      default: 'append',
    },
    { name: 'retry-seconds', type: 'number', summary: 'How long a file that can’t be delivered is tried again.', default: 60 },
  ],
  goesOn: true,
  usage: '  millrace load mart.orders orders-2026-*.csv --mode replace',
  async run(input, io) {
    const [table, ...files] = input.positionals as [string, ...string[]];
    const client = connect(input, io);
    const planned = files.map((file, at) => ({
      file,
      table,
      format: String(input.options['format'] ?? formatOf(file)),
      // With several files only the first begins the table; the others join it.
      mode: at === 0 ? String(input.options['mode']) : 'append',
      bytes: sizeOf(file),
    }));
    for (const plan of planned) {
      const key = randomUUID();
      const answer = await retrying(() => loadFile(client, plan, key, io), Number(input.options['retry-seconds']));
      io.stdout.write(`${plan.file}: ${answer.rows.toLocaleString('en-US')} rows into ${answer.table}\n`);
    }
    return 0;
  },
};

interface Plan {
  readonly file: string;
  readonly table: string;
  readonly format: string;
  readonly mode: string;
  readonly bytes: number;
}

async function loadFile(client: Client, { file, table, format, mode, bytes }: Plan, key: string, io: Io): Promise<LoadAnswer> {
  const shown = progress(`load ${file}`, bytes, { stream: io.stderr });
  let sent = 0;
  const counted = new Transform({
    transform(chunk, _encoding, done) {
      sent += chunk.length;
      shown.update(sent);
      done(null, chunk);
    },
  });
  const query = new URLSearchParams({ format, mode });
  let unreadable: Error | null = null;
  const source = createReadStream(file).once('error', (error) => counted.destroy((unreadable = error)));
  const answer = await client
    .open('POST', `/v1/load/${encodeURIComponent(table)}?${query}`, {
      body: source.pipe(counted),
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(bytes), 'idempotency-key': key },
    })
    .catch((thrown: unknown) => {
      if (unreadable === null) throw thrown;
      return fail('OPTION_VALUE', { option: 'FILE', value: file, problem: unreadable.message }, unreadable);
    });
  shown.end();
  if (answer.statusCode! >= 400) throw await errorOf(answer);
  return JSON.parse((await buffer(answer)).toString()) as LoadAnswer;
}

function formatOf(file: string): string {
  return (
    formats[extname(file).toLowerCase()] ??
    fail('OPTION_VALUE', { option: 'FILE', value: file, problem: 'its ending does not say what it is; give --format' })
  );
}

function sizeOf(path: string): number {
  const found = statFile(path);
  if (!found.isFile()) fail('OPTION_VALUE', { option: 'FILE', value: path, problem: 'it is no file that can be read again' });
  return found.size;
}
