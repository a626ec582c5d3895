import { randomUUID } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorFromBody, fail, MillraceError } from '#core';
import { progress } from '#run';
import type { ModelAnswer, ModelsAnswer, PredictAnswer, QueryAnswer, TargetsAnswer, TrainingsAnswer } from '#server';
import { type Client, connect, errorOf, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { modelReport } from '../print/model.ts';
import { table, text } from '../print/table.ts';

const ACTIONS = { train, targets, list, show, predict, compare, drift, export: exportModel, promote, rollback: rollBack, drop } as const;
type Action = keyof typeof ACTIONS;

/** Rows sent at a time by predict. */
const BATCH = 1000;
/** With `--explain`, as many as the server takes. */
const EXPLAINED = 100;
const WATCH_MILLIS = 500;

export const model: Command = {
  name: 'model',
  summary: 'Trains, shows, serves and exports models.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: Object.keys(ACTIONS) },
    { name: 'NAME', summary: 'train, targets: the table; else the model: name, schema.name, name@2 or name@challenger.' },
    {
      name: 'FILE',
      summary:
        'predict: NDJSON rows; - or nothing reads them from standard input. drift: the table to compare. Default: the requests that were kept. compare, promote: a table of rows that neither version has seen. Default: what each held out in training.',
    },
  ],
  options: [
    workspaceOption,
    { name: 'predict', type: 'text', summary: 'train: the column to predict.' },
    { name: 'name', type: 'text', summary: 'train: the model’s name. Default: <table>_<column>.' },
    { name: 'budget', type: 'text', summary: 'train: how long to search, like 30s or 5m. Default: six models are tried.' },
    { name: 'type', type: 'text', summary: 'train: a model type such as LOGISTIC_REG. Default: the best of a search.' },
    { name: 'ignore', type: 'list', summary: 'train: columns not to learn from.' },
    {
      name: 'seed',
      type: 'integer',
      summary: 'train: what chance begins with; the same gives the same model where no --budget cuts it. Default: 1.',
    },
    { name: 'alias', type: 'text', summary: 'train, promote: what the version is to be called.', default: 'champion' },
    {
      name: 'format',
      type: 'choice',
      choices: ['json', 'js', 'onnx'],
      summary: 'export: the model’s data, one JavaScript file that needs nothing, or ONNX.',
      default: 'json',
    },
    { name: 'explain', type: 'boolean', summary: 'predict: beside each answer, what each column moved it by.', default: false },
    { name: 'baseline', type: 'text', summary: 'compare: the version or alias to compare with.', default: 'champion' },
    { name: 'since', type: 'text', summary: 'drift: how far back to look at kept requests, like 24h or 30m.', default: '24h' },
    { name: 'cascade', type: 'boolean', summary: 'drop: also while views call it; they stay, paused.', default: false },
    { name: 'output', type: 'text', summary: 'export: the file to write. Default: standard output.' },
  ],
  usage: [
    '  millrace model targets mart.customers                   what could be predicted, the likeliest first',
    '  millrace model drift customers_churned mart.customers_today',
    '  millrace model train mart.customers --predict churned --budget 30s',
    '  millrace model compare customers_churned@challenger mart.customers_june',
    '  millrace model promote customers_churned@2',
    '  Ctrl-C while training ends the search and keeps the best model so far; a second one gives up.',
  ].join('\n'),
  run(input, io) {
    return ACTIONS[input.positionals[0] as Action](input, io);
  },
};

async function train(input: Input, io: Io): Promise<number> {
  const {
    predict: column,
    name,
    budget,
    type,
    ignore,
    seed,
    alias,
  } = input.options as Record<string, string | undefined> & { ignore?: string[]; seed?: number };
  const source = nameOf(input, 'the table');
  if (column === undefined)
    return fail('OPTION_VALUE', {
      option: '--predict',
      value: 'absent',
      problem: `name the column to predict; millrace model targets ${source} tells which could be`,
    });
  const client = connect(input, io);
  const options = {
    ...(type !== undefined && { model_type: literal(type) }),
    input_label_cols: `[${literal(column)}]`,
    ...(budget !== undefined && { budget: literal(budget) }),
    ...(ignore !== undefined && { ignore_cols: `[${ignore.map(literal).join(', ')}]` }),
    ...(seed !== undefined && { seed: String(seed) }),
    alias: literal(alias!),
  };
  const target = name ?? `${source}_${column}`.toLowerCase().replaceAll(/[^a-z0-9_.]+/g, '_');
  const settings = Object.entries(options).map(([option, value]) => `${option} = ${value}`);
  const sql = `CREATE OR REPLACE MODEL ${quoted(target)} OPTIONS(${settings.join(', ')}) AS SELECT * FROM ${quoted(source)}`;
  const answer = await runTraining(client, sql, io);
  const columns = answer.columns.slice(3);
  const [first] = answer.rows;
  io.stdout.write(`${String(first?.[0])} version ${String(first?.[1])} is its ${String(first?.[2])}\n`);
  io.stdout.write(
    `${table(
      columns,
      answer.rows.map((row) => row.slice(3)),
      widthOf(io),
    )}\n`,
  );
  return 0;
}

/** Columns of a table that could be predicted, the likeliest first. */
async function targets(input: Input, io: Io): Promise<number> {
  const source = nameOf(input, 'the table');
  const { targets: found } = await connect(input, io).json<TargetsAnswer>('GET', `/v1/targets?table=${encodeURIComponent(source)}`);
  const rows = found.map(({ column, task, why }) => [column, task, why]);
  io.stdout.write(`${table(['column', 'task', 'why'].map(text), rows, widthOf(io))}\n`);
  return 0;
}

/** Runs the statement, shows how far it is, and lets Ctrl-C end the search. */
async function runTraining(client: Client, sql: string, io: Io): Promise<QueryAnswer> {
  const job = `train_${randomUUID()}`;
  const shown = progress('train', null, { stream: io.stderr });
  let interrupted = 0;
  const interrupt = () => {
    interrupted++;
    io.stderr.write(interrupted === 1 ? '\nEnding the search; the best model so far is kept. Ctrl-C again gives up.\n' : '\nGiving up.\n');
    const told = interrupted === 1 ? client.json('POST', `/v1/trainings/${job}/stop`, {}) : client.json('DELETE', `/v1/jobs/${job}`);
    told.catch((thrown: unknown) => io.stderr.write(`${(thrown as Error).message}\n`));
  };
  process.on('SIGINT', interrupt);
  try {
    let done = false;
    const asked = client.json<QueryAnswer>('POST', '/v1/query', { sql, job }).finally(() => {
      done = true;
    });
    const watched = watchTraining(client, job, shown, () => done);
    const [answer] = await Promise.all([asked, watched]);
    if (answer.error) throw errorFromBody(answer.error);
    return answer;
  } finally {
    process.off('SIGINT', interrupt);
    shown.end();
  }
}

async function watchTraining(client: Client, job: string, shown: ReturnType<typeof progress>, done: () => boolean): Promise<void> {
  while (!done()) {
    await sleep(WATCH_MILLIS);
    const { trainings } = await client.json<TrainingsAnswer>('GET', '/v1/trainings');
    const now = trainings.find((training) => training.job === job);
    if (now === undefined || done()) continue;
    const { progress: at } = now;
    const best = at?.best ? `; best so far ${at.metric} ${at.best.score.toFixed(4)} (${at.best.name})` : '';
    shown.update(at?.trials ?? 0, at === null ? now.state : `${now.state}: ${at.trying}${best}`);
  }
}

async function list(input: Input, io: Io): Promise<number> {
  const { models } = await connect(input, io).json<ModelsAnswer>('GET', '/v1/models');
  const rows = models.flatMap((each) =>
    each.versions.map((version) => {
      const aliases = Object.entries(each.aliases).filter(([, number]) => number === version.version);
      const metric = version.metrics[0];
      const score = metric === undefined ? null : `${metric.metric} ${metric.value.toFixed(4)} ± ${metric.error.toFixed(4)}`;
      return [
        each.name,
        String(version.version),
        aliases.map(([alias]) => alias).join(', '),
        version.type,
        version.target,
        score,
        String(version.rows),
        version.created,
      ];
    }),
  );
  io.stdout.write(
    `${table(['model', 'version', 'alias', 'type', 'predicts', 'held out', 'rows', 'created'].map(text), rows, widthOf(io))}\n`,
  );
  return 0;
}

async function show(input: Input, io: Io): Promise<number> {
  const { model: entry, version, report, inputs, classes } = await connect(input, io).json<ModelAnswer>('GET', pathOf(input));
  const about = entry.versions.find((each) => each.version === version)!;
  const lines = [
    `${entry.name} version ${version}: ${about.type}, predicts "${about.target}" from ${inputs.length} columns`,
    `made ${about.created} by ${about.by} from ${about.rows.toLocaleString('en-US')} rows, as of batch ${about.batch}`,
    about.query.trim(),
  ];
  if (report !== null)
    lines.push('', modelReport(report, process.env['LC_ALL'] ?? process.env['LANG'] ?? '', { target: about.target, classes }));
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

async function predict(input: Input, io: Io): Promise<number> {
  const client = connect(input, io);
  const file = input.positionals[2] ?? '-';
  const lines = createInterface({ input: file === '-' ? io.stdin : createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  const explain = input.options['explain'] === true;
  let rows: unknown[] = [];
  let line = 0;
  const send = async () => {
    if (rows.length === 0) return;
    const { predictions } = await client.json<PredictAnswer>('POST', `${pathOf(input)}/predict`, { rows, explain });
    io.stdout.write(predictions.map((prediction) => `${JSON.stringify(prediction)}\n`).join(''));
    rows = [];
  };
  for await (const each of lines) {
    line++;
    if (each.trim() === '') continue;
    rows.push(parsed(each, line));
    if (rows.length === (explain ? EXPLAINED : BATCH)) await send();
  }
  await send();
  return 0;
}

function parsed(json: string, line: number): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    return fail('OPTION_VALUE', { option: `line ${line}`, value: json.slice(0, 50), problem: (cause as Error).message }, cause);
  }
}

/** Columns whose rows, or scores, are no longer like those of the training. */
async function drift(input: Input, io: Io): Promise<number> {
  const client = connect(input, io);
  const name = nameOf(input, 'the model');
  const source = input.positionals[2];
  const from = source === undefined ? await keptRequests(client, input) : `(SELECT * FROM ${quoted(source)})`;
  const { columns, rows } = await client.json<QueryAnswer>('POST', '/v1/query', {
    sql: `SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL ${spelled(name)}, ${from}) ORDER BY psi DESC`,
  });
  io.stdout.write(`${table(columns, rows, widthOf(io))}\n`);
  return 0;
}

/** What the version does better or worse than the baseline, with the interval of the difference. */
async function compare(input: Input, io: Io): Promise<number> {
  io.stdout.write(`${await comparison(input, String(input.options['baseline']), io)}\n`);
  return 0;
}

async function comparison(input: Input, baseline: string, io: Io): Promise<string> {
  const source = input.positionals[2];
  const from = source === undefined ? '' : `, (SELECT * FROM ${quoted(source)})`;
  const { columns, rows } = await connect(input, io).json<QueryAnswer>('POST', '/v1/query', {
    sql: `SELECT * FROM ML.COMPARE(MODEL ${spelled(nameOf(input, 'the model'))}${from}, STRUCT(${literal(baseline)} AS baseline))`,
  });
  return table(columns, rows, widthOf(io));
}

/** Rows of the model's topic as its inputs; a value that is not of the column's type counts as missing. */
async function keptRequests(client: Client, input: Input): Promise<string> {
  const { model: entry, inputs } = await client.json<ModelAnswer>('GET', pathOf(input));
  const topic = entry.settings.log_topic;
  if (topic === undefined || topic === null)
    return fail('OPTION_VALUE', {
      option: 'FILE',
      value: 'absent',
      problem: `name a table, or keep requests: ALTER MODEL … SET OPTIONS(log_topic = '…')`,
    });
  const since = /^(\d+)(m|h|d)$/.exec(String(input.options['since']));
  if (since === null)
    return fail('OPTION_VALUE', { option: '--since', value: String(input.options['since']), problem: 'write 30m, 24h or 7d' });
  const unit = { m: 'minutes', h: 'hours', d: 'days' }[since[2] as 'm' | 'h' | 'd'];
  const list = inputs.map(({ name, kind }) => {
    const value = `json_extract_string(data, ${literal(`$.row.${JSON.stringify(name)}`)})`;
    const time = `coalesce(epoch_ms(try_cast(${value} AS BIGINT)), try_cast(${value} AS TIMESTAMP))`;
    // JSON's true is text here, and a flag was learned as a number.
    const number = `coalesce(try_cast(${value} AS DOUBLE), try_cast(${value} AS BOOLEAN)::INTEGER)`;
    return `${kind === 'text' ? value : kind === 'time' ? time : number} AS "${name.replaceAll('"', '""')}"`;
  });
  const mine = `json_extract_string(data, '$.model') = ${literal(entry.name)} AND _received > now() - INTERVAL '${since[1]} ${unit}'`;
  return `(SELECT ${list.join(', ')} FROM raw.${quoted(topic)} WHERE ${mine})`;
}

async function exportModel(input: Input, io: Io): Promise<number> {
  const answer = await connect(input, io).open('GET', `${pathOf(input)}/export?format=${String(input.options['format'])}`);
  if (answer.statusCode! >= 400) throw await errorOf(answer);
  const bytes = await buffer(answer);
  const output = input.options['output'] as string | undefined;
  if (output === undefined) io.stdout.write(bytes);
  else writeFileSync(output, bytes);
  return 0;
}

async function promote(input: Input, io: Io): Promise<number> {
  const alias = String(input.options['alias']);
  try {
    io.stdout.write(`Beside the ${alias} so far\n${await comparison(input, alias, io)}\n`);
  } catch (thrown) {
    // It is for information: only a table that was named has to be readable.
    if (!(thrown instanceof MillraceError) || (thrown.code !== 'MODEL_UNKNOWN' && thrown.code !== 'MODEL_FUNCTION')) throw thrown;
    if (input.positionals[2] !== undefined && thrown.code === 'MODEL_FUNCTION') throw thrown;
    io.stderr.write(`Not compared with the ${alias} so far: ${thrown.message}\n`);
  }
  const entry = await connect(input, io).json<ModelsAnswer['models'][number]>('POST', `${pathOf(input)}/promote`, {
    alias,
  });
  return told(entry, io);
}

async function rollBack(input: Input, io: Io): Promise<number> {
  return told(await connect(input, io).json<ModelsAnswer['models'][number]>('POST', `${pathOf(input)}/rollback`, {}), io);
}

async function drop(input: Input, io: Io): Promise<number> {
  const name = nameOf(input, 'the model');
  await connect(input, io).json('POST', '/v1/query', {
    sql: `DROP MODEL ${quoted(name)}${input.options['cascade'] === true ? ' CASCADE' : ''}`,
  });
  io.stdout.write(`${name} and all its versions are gone\n`);
  return 0;
}

function told(entry: ModelsAnswer['models'][number], io: Io): number {
  const aliases = Object.entries(entry.aliases).map(([alias, version]) => `${alias} is version ${version}`);
  io.stdout.write(`${entry.name}: ${aliases.join(', ')}\n`);
  return 0;
}

function nameOf({ positionals }: Input, what: string): string {
  return positionals[1] ?? fail('OPTION_VALUE', { option: 'NAME', value: 'absent', problem: `${what} is needed` });
}

const pathOf = (input: Input): string => `/v1/models/${encodeURIComponent(nameOf(input, 'the model'))}`;
/** As ML functions take it. */
function spelled(name: string): string {
  const [model, version] = name.split('@') as [string, string?];
  return `${quoted(model)}${version === undefined ? '' : `@${version.replaceAll(/[^a-z0-9_]/gi, '')}`}`;
}

const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const quoted = (name: string): string =>
  name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
const widthOf = ({ stdout }: Io): { width?: number } => (stdout.columns === undefined ? {} : { width: stdout.columns });
