import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { fail } from '#core';
import { parseBytes, progress } from '#run';
import type { QuarantineRow } from '#server';
import type { Dataset, Difference, Truth } from '#simulate';
import { initWorkspace } from '#workspace';
import { type Client, clientFor } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { type Answer, ask, type Check, checkAnswer, execute, figures } from '../demo/answer.ts';
import { delivered } from '../demo/send.ts';
// The simulator is loaded by this command only: every server's memory would hold it.
import type { Filled, Place } from '../demo/source.ts';
import { count, table, text } from '../print/table.ts';
import { removeRunning, writeRunning } from '../running.ts';

/** How many rows of an answer are printed. */
const shownRows = 10;

/** The most rows of quarantine that the API lists at once. */
const quarantineReach = 10_000;

/** What the job found, for people (tables) and for programs (`--json`). */
interface Outcome {
  readonly dataset: Dataset;
  readonly sent: Filled<Dataset>['sent'];
  readonly answers: readonly Answer[];
  readonly checks: readonly Check[];
  readonly differences: readonly Difference[];
}

export const demo: Command = {
  name: 'demo',
  summary: 'Runs the main job: collects records, stores each exactly once, asks, and compares the answers with the known truth.',
  options: [
    {
      name: 'data',
      type: 'text',
      summary: 'A real export (Parquet): Google Analytics sessions or GA4 events, a file or a folder. Default: a simulated shop.',
    },
    { name: 'seed', type: 'integer', summary: 'The simulated shop’s seed: the same seed gives the same bytes.', default: 1 },
    { name: 'users', type: 'integer', summary: 'The simulated shop’s customers.', default: 2000 },
    { name: 'days', type: 'integer', summary: 'The simulated days.', default: 14 },
    { name: 'start', type: 'text', summary: 'The first simulated day.', default: '2026-03-02' },
    { name: 'time-zone', type: 'text', summary: 'The shop’s time zone (IANA).', default: 'Asia/Seoul' },
    { name: 'currency', type: 'text', summary: 'The shop’s currency (ISO 4217).', default: 'KRW' },
    {
      name: 'workspace',
      type: 'text',
      summary: 'Makes the workspace in this folder and keeps it. Default: a temporary one, removed at the end.',
    },
    { name: 'memory', type: 'text', summary: 'What all processes together may take, like 1GB.' },
    { name: 'exit', type: 'boolean', summary: 'Ends when the job is done instead of staying up.', default: false },
    {
      name: 'json',
      type: 'boolean',
      summary: 'Prints one machine-readable summary as the last line of stdout, all else on stderr.',
      default: false,
    },
  ],
  usage: [
    '  millrace demo',
    '  millrace demo --data exports/ga_sessions.parquet --exit --json',
    '  Exit code 1 when an answer differs from the truth.',
  ].join('\n'),
  async run(input, io) {
    const { options } = input;
    const out = options['json'] === true ? io.stderr : io.stdout;
    const ending = endAsked();
    const { path, remove } = place(options['workspace'] as string | undefined);
    const workspace = initWorkspace(path, {
      name: 'demo',
      timeZone: String(options['time-zone']),
      currency: String(options['currency']),
    });
    try {
      const { startMillrace } = await import('#server');
      const memory = options['memory'] as string | undefined;
      const log = { write: (line: string) => appendFileSync(join(workspace.dataPath, 'demo.log'), line) };
      const millrace = await startMillrace({ workspace: path, port: 0, log, ...(memory !== undefined && { memory: parseBytes(memory) }) });
      try {
        writeRunning(path, { pid: process.pid, ...millrace.local, token: millrace.adminToken });
        const client = endingWith(ending, clientFor({ ...millrace.local, token: millrace.adminToken }));
        const outcome = await Promise.race([mainJob({ client, workspace, io }, input, out), ending]);
        if (outcome === 'asked to end') return interrupted;
        if (options['json'] === true) io.stdout.write(`${JSON.stringify(summary(outcome))}\n`);
        if (options['exit'] !== true) {
          out.write(`\nMillrace stays up at ${millrace.address}\n`);
          if (millrace.setupToken !== null) out.write(`Sign in with the one-time token ${millrace.setupToken}\n`);
          out.write(`Ask it anything:  millrace sql --workspace ${path} "SELECT * FROM mart.sessions LIMIT 10"\nCtrl-C ends it.\n`);
          await ending;
        }
        return outcome.checks.every(({ same }) => same) ? 0 : 1;
      } finally {
        removeRunning(path);
        await millrace.stop();
      }
    } finally {
      workspace.close();
      remove();
    }
  },
};

/** The shell's code for a program that Ctrl-C ended. */
const interrupted = 130;

function place(folder: string | undefined): { path: string; remove: () => void } {
  if (folder !== undefined) return { path: resolve(folder), remove: () => {} };
  const path = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

function endAsked(): Promise<'asked to end'> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => done('asked to end'));
  });
}

/** Once the end is asked for, what is under way fails at once and with an error that nobody tries again: the server it would wait for is stopping. */
function endingWith(ending: Promise<string>, client: Client): Client {
  const ended = ending.then(() => fail('QUERY_CANCELLED', { job: 'demo' }));
  ended.catch(() => {});
  return {
    open: (...asked) => Promise.race([client.open(...asked), ended]),
    json: <T>(...asked: Parameters<Client['json']>) => Promise.race([client.json<T>(...asked), ended]),
  };
}

/** Records in, exactly once, answers out. */
async function mainJob(at: Place, { options }: Input, out: Writable): Promise<Outcome> {
  const outcome = options['data'] === undefined ? await onShop(at, options) : await onExport(at, String(options['data']));
  printOutcome(outcome, out, at.io);
  return outcome;
}

async function onShop(at: Place, options: Input['options']): Promise<Outcome> {
  const { fillFromShop } = await import('../demo/source.ts');
  const { dataset, sent, shop } = await fillFromShop(at, {
    seed: Number(options['seed']),
    users: Number(options['users']),
    days: Number(options['days']),
    start: String(options['start']),
    timeZone: String(options['time-zone']),
    currency: String(options['currency']),
  });
  const answers = await makeAnswers(at, dataset);
  const { truth } = shop;
  const checks = answers.flatMap((answer, index) => checkAnswer(answer, dataset.questions[index]!, truth));
  return {
    dataset,
    sent,
    answers,
    checks: [...(await checkSent(at.client, sent, answers, truth, dataset.rejections(truth))), ...checks],
    differences: [],
  };
}

async function onExport(at: Place, path: string): Promise<Outcome> {
  const { fillFromExport } = await import('../demo/source.ts');
  const { dataset, sent } = await fillFromExport(at, path);
  const answers = await makeAnswers(at, dataset);
  const stated = await ask(at.client, { name: 'differences', title: 'Figures that the source states', sql: dataset.differences });
  return { dataset, sent, answers, checks: [], differences: dataset.explain(figures(stated)) };
}

/** Waits for delivery, makes the tables, asks the questions. */
async function makeAnswers({ client, io }: Place, dataset: Dataset): Promise<Answer[]> {
  const delivery = progress('deliver', null, { stream: io.stderr });
  await delivered(client, (done, total) => delivery.update(done, `of ${total.toLocaleString('en-US')} bytes`));
  delivery.end();
  await makeMarts(client, dataset, io);
  const answers: Answer[] = [];
  for (const question of dataset.questions) answers.push(await ask(client, question));
  return answers;
}

async function makeMarts(client: Client, dataset: Dataset, io: Io): Promise<void> {
  const shown = progress('make tables', dataset.marts.length, { stream: io.stderr });
  await execute(client, 'CREATE SCHEMA IF NOT EXISTS mart');
  for (const [index, { table, sql }] of dataset.marts.entries()) {
    shown.update(index, table);
    await execute(client, sql);
  }
  shown.update(dataset.marts.length);
  shown.end();
}

/** What the door answered, and what stands in quarantine. A retry is accepted like its first; it is delivery that removes it. */
async function checkSent(
  client: Client,
  sent: Outcome['sent'],
  answers: readonly Answer[],
  { records }: Truth,
  rejections: Readonly<Record<string, number>>,
): Promise<Check[]> {
  const { accepted = 0, rejected = 0 } = sent.get('events') ?? {};
  const rows = Number(figures(answers.find(({ question }) => question.name === 'records')!)['events']);
  const malformed = Object.values(rejections).reduce((sum, count) => sum + count, 0);
  const compared: [question: string, answer: number, truth: number][] = [
    ['sent: accepted, retries counted', accepted, records.events + records.retried],
    ['sent: rejected', rejected, malformed],
    ['delivered: retries removed', accepted - rows, records.retried],
  ];
  if (malformed <= quarantineReach) {
    const quarantine = await client.json<{ rows: QuarantineRow[] }>('GET', `/v1/quarantine?topic=events&limit=${quarantineReach}`);
    for (const [code, count] of Object.entries(rejections)) {
      compared.push([`quarantine: ${code}`, quarantine.rows.filter((row) => row.code === code).length, count]);
    }
  }
  return compared.map(([question, answer, truth]) => ({ question, answer: String(answer), truth: String(truth), same: answer === truth }));
}

function printOutcome({ dataset, answers, checks, differences }: Outcome, out: Writable, { stdout }: Io): void {
  const width = stdout.columns === undefined ? {} : { width: stdout.columns };
  const print = (title: string, body: string) => out.write(`\n${title}\n${body}\n`);
  out.write(`\n${dataset.title}\n`);
  for (const { question, columns, rows } of answers) {
    print(question.title, table(columns, rows.slice(0, shownRows), { ...width, total: rows.length }));
  }
  if (differences.length > 0) {
    const rows = differences.map(({ figure, orders, revenue, why }) => [figure, orders, revenue, why]);
    const columns = [text('figure'), count('orders'), { name: 'revenue', type: 'DECIMAL(18,2)' }];
    print('Figures that the source states differently', table(columns, rows, width));
    for (const { figure, why } of differences) out.write(`• ${figure}: ${why}.\n`);
  }
  if (checks.length > 0) {
    const rows = checks.map(({ question, answer, truth, same }) => [question, answer, truth, same ? 'yes' : 'NO']);
    print('The answers beside the known truth', table([text('question'), text('answer'), text('truth'), text('same')], rows, width));
  }
}

function summary({ dataset, sent, answers, checks, differences }: Outcome): Record<string, unknown> {
  const { columns, rows } = answers[0]!;
  const failed = checks.filter(({ same }) => !same);
  return {
    dataset: dataset.name,
    ...Object.fromEntries(columns.map(({ name }, at) => [name, rows[0]?.[at] ?? null])),
    records: Object.fromEntries([...sent].map(([topic, { accepted, rejected }]) => [topic, { accepted, rejected }])),
    ...(checks.length > 0 && { checks: { same: checks.length - failed.length, different: failed } }),
    ...(differences.length > 0 && { differences }),
  };
}
