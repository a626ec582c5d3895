import { existsSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError, errorFromBody, fail, type Millis } from '#core';
import { type Progress, progress } from '#run';
import type {
  TransferAnswer,
  TransferPlanAnswer,
  TransferPreviewAnswer,
  TransferReport,
  TransferRun,
  TransferRunAnswer,
  TransferRunsAnswer,
  TransferStateAnswer,
  TransfersAnswer,
} from '#server';
import { openDefinitions, settingsOf } from '#workspace';
import { type Client, connect, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { count, table, text } from '../print/table.ts';

const actions = ['list', 'guess', 'preview', 'run', 'stop', 'verify', 'state', 'history'] as const;

export const transfer: Command = {
  name: 'transfer',
  summary: 'Brings tables in from MySQL, MariaDB, PostgreSQL and files, and proves that nothing is missing.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: actions },
    { name: 'TRANSFER', summary: 'The transfer’s name; guess: a URL (mysql://user@host/database) or a file.' },
  ],
  options: [
    workspaceOption,
    { name: 'save', type: 'text', summary: 'guess: writes the definition to transfers/NAME.yaml instead of printing it.' },
    { name: 'dry-run', type: 'boolean', summary: 'run: prints what it would do.', default: false },
    { name: 'rows', type: 'integer', summary: 'preview: how many rows of each table.', default: 20 },
    { name: 'table', type: 'text', summary: 'state: the source’s table whose cursor is set.' },
    { name: 'cursor', type: 'text', summary: 'state: where the next run begins; "none" begins anew.' },
    { name: 'json', type: 'boolean', summary: 'Prints the answer as JSON.', default: false },
  ],
  usage: [
    '  millrace transfer guess mysql://reader@db/shop --save shop    looks at the source and writes a first definition',
    '  millrace transfer run shop                                     brings the tables in and compares both sides',
    '  A password stands in an environment variable or a file, never in the definition. docs/transfer.md says the rest.',
  ].join('\n'),
  async run(input, io) {
    const [action, name] = input.positionals as [(typeof actions)[number], string | undefined];
    if (action === 'list') return list(connect(input, io), input, io);
    if (name === undefined) fail('OPTION_VALUE', { option: 'TRANSFER', value: 'absent', problem: `"transfer ${action}" needs it` });
    if (action === 'guess') return guess(name, input, io);
    const client = connect(input, io);
    const path = pathOf(name);
    switch (action) {
      case 'preview':
        return preview(await client.json<TransferPreviewAnswer>('GET', `${path}/preview?rows=${input.options['rows']}`), input, io);
      case 'run':
        return input.options['dry-run'] === true
          ? plan(await client.json<TransferPlanAnswer>('GET', `${path}/plan`), input, io)
          : run(client, name, 'run', input, io);
      case 'stop':
        return stop(client, path, input, io);
      case 'verify':
        return run(client, name, 'verify', input, io);
      case 'state':
        return state(client, path, input, io);
      case 'history':
        return history(client, path, input, io);
    }
  },
};

const pathOf = (name: string): string => `/v1/transfers/${encodeURIComponent(name)}`;

function asJson(input: Input, io: Io, value: unknown): boolean {
  if (input.options['json'] !== true) return false;
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  return true;
}

const byItself = { cron: 'at its times', watch: 'when files come', follow: 'as its source changes' } as const;

async function list(client: Client, input: Input, io: Io): Promise<number> {
  const answer = await client.json<TransfersAnswer>('GET', '/v1/transfers');
  if (!asJson(input, io, answer)) {
    const rows = answer.transfers.map(({ name, source, tables, last, schedule }) => [
      name,
      source,
      tables,
      last?.state ?? null,
      schedule === null ? null : byItself[schedule.kind],
      schedule?.next ?? null,
    ]);
    const columns = [text('transfer'), text('source'), count('tables'), text('last run'), text('by itself'), text('next run')];
    io.stdout.write(`${table(columns, rows)}\n`);
  }
  for (const { code, message } of answer.problems) io.stderr.write(`${code}  ${message}\n`);
  return answer.problems.length === 0 ? 0 : 1;
}

/** Needs no running Millrace: the file is the user's own, and so are the rights to it. */
async function guess(address: string, input: Input, io: Io): Promise<number> {
  // Loaded only here, as in "up".
  const { lookAtSource } = await import('#server');
  const folder = resolve(String(input.options['workspace']));
  const rules = settingsOf(folder)?.transfer;
  const found = (await lookAtSource({
    kind: 'guess',
    folder,
    anywhere: true,
    address: fromWorkspace(address, folder),
    ...(rules === undefined ? {} : { rules }),
  })) as { text: string; secrets: string[] };
  const save = input.options['save'] as string | undefined;
  if (save === undefined) io.stdout.write(found.text);
  else {
    const file = join(folder, 'transfers', `${save}.yaml`);
    if (existsSync(file)) fail('OPTION_VALUE', { option: '--save', value: save, problem: 'it exists; edit its file in transfers/' });
    const files = openDefinitions(folder, 'transfers', '.yaml', () => {});
    try {
      files.save(save, found.text);
    } finally {
      files.close();
    }
    io.stdout.write(`The transfer ${save} is defined in ${file}\n`);
  }
  for (const name of found.secrets) io.stderr.write(`Set ${name} where Millrace runs: the password is read from it.\n`);
  return 0;
}

/** A file inside the workspace is named from there, as definitions do; a folder by its slash. */
function fromWorkspace(address: string, folder: string): string {
  const file = resolve(address);
  if (!existsSync(file)) return address;
  const inside = relative(folder, file);
  const named = inside.startsWith('..') || isAbsolute(inside) ? file : inside || '.';
  return statSync(file).isDirectory() ? `${named}/` : named;
}

function preview(answer: TransferPreviewAnswer, input: Input, io: Io): number {
  if (asJson(input, io, answer)) return 0;
  for (const { source, target, columns, rows, refused } of answer.tables) {
    io.stdout.write(`${source} → ${target}\n`);
    for (const { name, sourceType, type, note } of columns)
      io.stdout.write(`  ${name}: ${sourceType} → ${type}${note === null ? '' : `; ${note}`}\n`);
    const width = io.stdout.columns;
    io.stdout.write(
      `${table(
        columns.map(({ name, type }) => ({ name, type })),
        rows,
        width === undefined ? {} : { width },
      )}\n`,
    );
    for (const { line, reason } of refused) io.stdout.write(`  line ${line} would go to quarantine: ${reason}\n`);
  }
  return 0;
}

function plan(answer: TransferPlanAnswer, input: Input, io: Io): number {
  if (asJson(input, io, answer)) return 0;
  const rows = answer.tables.map((each) => [each.source, each.target, each.mode, each.key.join(', ') || null, each.cursor, each.rows]);
  io.stdout.write(`${table([text('source'), text('target'), text('mode'), text('key'), text('cursor'), count('rows, about')], rows)}\n`);
  for (const { target, drift } of answer.tables) {
    if (drift.lost.length === 0) continue;
    const readers = drift.affected.map(({ kind, name }) => `the ${kind} ${name}`).join(', ');
    io.stdout.write(
      `${target} would lose or change ${drift.lost.join(', ')}, which ${readers === '' ? 'nothing reads' : `is read by ${readers}`}\n`,
    );
  }
  return 0;
}

const POLL = 200;

async function run(client: Client, name: string, verb: 'run' | 'verify', input: Input, io: Io): Promise<number> {
  const { run: id } = await client.json<TransferRunAnswer>('POST', `${pathOf(name)}/${verb}`, {});
  let shown: Shown | null = null;
  try {
    for (;;) {
      const own = await client.json<TransferRun>('GET', `/v1/transfers/runs/${id}`);
      shown = show(own, shown, io);
      if (own.report !== null) {
        shown?.bar.end();
        return report(own.report, input, io);
      }
      await sleep(POLL);
    }
  } catch (thrown) {
    if (asMillraceError(thrown).code !== 'TRANSFER_RUN_UNKNOWN') throw thrown;
    return report(await reportOf(client, name, id), input, io);
  } finally {
    shown?.bar.end();
  }
}

/** Of a run that ended between two looks, since another one has begun. */
async function reportOf(client: Client, name: string, id: string): Promise<TransferReport> {
  const { runs } = await client.json<TransferRunsAnswer>('GET', `${pathOf(name)}/runs`);
  return runs.find(({ run: each }) => each === id) ?? fail('TRANSFER_SUPERSEDED', { transfer: name });
}

async function stop(client: Client, path: string, input: Input, io: Io): Promise<number> {
  const answer = await client.json<{ stopping: boolean }>('DELETE', `${path}/run`);
  if (!asJson(input, io, answer)) io.stdout.write(answer.stopping ? 'It ends after what it is writing.\n' : 'None runs.\n');
  return 0;
}

interface Shown {
  readonly table: string | null;
  readonly bar: Progress;
  readonly began: Millis;
}

function show({ progress: now }: TransferRun, shown: Shown | null, io: Io): Shown | null {
  if (now === null) return shown;
  let own = shown;
  if (own === null || own.table !== now.table) {
    own?.bar.end();
    own = { table: now.table, bar: progress(now.table ?? 'changes', now.total, { stream: io.stderr }), began: performance.now() };
  }
  const slow = now.waited.source > now.waited.warehouse ? 'the source' : 'the warehouse';
  const seconds = (performance.now() - own.began) / 1000;
  const rate = seconds < 0.5 ? '' : ` (${(now.bytes / 1e6 / seconds).toFixed(1)} MB/s)`;
  own.bar.update(now.rows, `${(now.bytes / 1e6).toFixed(1)} MB${rate}, waiting for ${slow}`);
  return own;
}

function report(done: TransferReport, input: Input, io: Io): number {
  if (!asJson(input, io, done)) {
    const rows = done.tables.map((each) => [
      each.source,
      each.target,
      each.read,
      each.rows,
      each.replaced,
      each.quarantined,
      each.slow,
      each.parity === null ? null : each.parity.equal ? 'equal' : 'DIFFERENT',
      each.parity?.source.rows ?? null,
      each.parity?.warehouse.rows ?? null,
    ]);
    const columns = [
      text('source'),
      text('target'),
      count('read'),
      count('written'),
      count('replaced'),
      count('quarantined'),
      text('slow side'),
      text('both sides'),
      count('there'),
      count('here'),
    ];
    if (rows.length > 0) io.stdout.write(`${table(columns, rows)}\n`);
    for (const { source, notes, parity } of done.tables) {
      for (const note of notes) io.stdout.write(`  ${source}: ${note}\n`);
      for (const { key, kind } of parity?.differences ?? [])
        io.stdout.write(`  ${source}: ${kind}: ${key.map((part) => part ?? 'NULL').join(', ')}\n`);
      if (parity?.unlisted !== undefined)
        io.stdout.write(`  ${source}: too many rows to list all keys: ${parity.unlisted} of 256 groups of keys differ\n`);
    }
  }
  if (done.error !== null) throw errorFromBody(done.error);
  return done.tables.every(({ parity }) => parity?.equal !== false) ? 0 : 1;
}

async function state(client: Client, path: string, input: Input, io: Io): Promise<number> {
  const cursor = input.options['cursor'] as string | undefined;
  if (cursor !== undefined && input.options['table'] === undefined)
    fail('OPTION_VALUE', { option: '--table', value: 'absent', problem: '--cursor is that of one table' });
  if (cursor !== undefined)
    await client.json('PUT', `${path}/state`, { table: input.options['table'], cursor: cursor === 'none' ? null : cursor });
  const answer = await client.json<TransferStateAnswer>('GET', `${path}/state`);
  if (asJson(input, io, answer)) return 0;
  const { last } = await client.json<TransferAnswer>('GET', path);
  const rows = answer.states.map((each) => [
    each.source,
    each.target,
    each.cursor,
    each.event === 'close' || each.event === 'edit' ? 'whole' : last?.state === 'running' && last.run === each.run ? 'running' : 'cut off',
    each.at,
  ]);
  io.stdout.write(`${table([text('source'), text('target'), text('cursor'), text('last run'), text('at')], rows)}\n`);
  return 0;
}

async function history(client: Client, path: string, input: Input, io: Io): Promise<number> {
  const answer = await client.json<TransferRunsAnswer>('GET', `${path}/runs`);
  if (asJson(input, io, answer)) return 0;
  const rows = answer.runs.map((each) => {
    const parities = each.tables.flatMap(({ parity }) => parity ?? []);
    return [
      each.began,
      each.kind ?? 'run',
      each.outcome,
      each.tables.reduce((sum, own) => sum + own.rows, 0),
      parities.length === 0 ? null : parities.every(({ equal }) => equal) ? 'equal' : 'DIFFERENT',
      each.error?.code ?? null,
    ];
  });
  io.stdout.write(`${table([text('began'), text('what'), text('outcome'), count('written'), text('both sides'), text('error')], rows)}\n`);
  return 0;
}
