import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { errorFromBody, fail } from '#core';
import type { QueryAnswer, QueryRequest } from '#server';
import { connect, errorOf, workspaceOption } from '../client.ts';
import type { Command, Io } from '../command.ts';
import { problemOf } from '../file.ts';
import { readExactJson } from '../print/json.ts';
import { aspects, isLong, table } from '../print/table.ts';

/** How many rows a terminal table asks for at most; what lies beyond is only counted as "more". */
const tableReach = 10_000;

export const sql: Command = {
  name: 'sql',
  summary: 'Asks the warehouse: runs one SQL statement and prints its answer.',
  positionals: [{ name: 'STATEMENT', summary: 'The statement; - or nothing reads it from standard input.' }],
  options: [
    workspaceOption,
    {
      name: 'format',
      type: 'choice',
      choices: ['table', 'json', 'ndjson', 'csv', 'parquet'],
      summary: 'How the answer is written.',
      default: 'table',
    },
    { name: 'output', type: 'text', summary: 'Writes the answer to this file.' },
    {
      name: 'param',
      type: 'list',
      oneByOne: true,
      summary: 'The value of $NAME in the statement, as text; once for each.',
    },
    { name: 'limit', type: 'integer', summary: 'At most so many rows (a table shows 40 without it, the other formats all).' },
    { name: 'seconds', type: 'number', summary: 'Stops the statement after so many seconds.' },
    {
      name: 'explain-refusal',
      type: 'boolean',
      summary: 'Runs nothing and says whether the statement is refused, by which rule, and what is allowed instead.',
    },
  ],
  usage: [
    '  millrace sql "SELECT page, count(*) AS views FROM raw.events GROUP BY page ORDER BY views DESC"',
    '  millrace sql --format parquet --output orders.parquet "SELECT * FROM raw.orders"',
    `  millrace sql 'SELECT count(*) FROM raw.orders WHERE city = $city AND amount > $above' --param city=Seoul --param above=9.90`,
    '  A value is read as what it is compared with; anywhere else say what it is: $above::BIGINT. $1, $2 … are given as --param 1=…',
  ].join('\n'),
  async run(input, io) {
    const format = String(input.options['format']);
    const output = input.options['output'] as string | undefined;
    const limit = input.options['limit'] as number | undefined;
    if (limit !== undefined && limit < 0) fail('OPTION_VALUE', { option: '--limit', value: limit, problem: 'it can’t be negative' });
    if (format === 'parquet' && output === undefined && io.stdout.isTTY) {
      fail('OPTION_VALUE', { option: '--format', value: 'parquet', problem: 'a terminal can’t show it; name a file with --output' });
    }
    const rows = format === 'table' ? tableReach : limit;
    const statement = await statementOf(input.positionals[0], io);
    const explains = input.options['explain-refusal'] === true || /^\s*explain\b/i.test(statement);
    const request: QueryRequest = {
      sql: statement,
      ...(input.options['param'] !== undefined && { params: paramsOf(input.options['param'] as string[]) }),
      format: format === 'table' ? 'json' : (format as 'json'),
      ...(input.options['explain-refusal'] === true && { explain_refusal: true }),
      // Costs nothing where the statement calls no answer.
      ...(format === 'table' && !explains && { evidence: true }),
      limits: {
        ...(rows !== undefined && { rows }),
        ...(input.options['seconds'] !== undefined && { seconds: Number(input.options['seconds']) }),
      },
    };
    const answer = await connect(input, io).open('POST', '/v1/query', {
      body: Buffer.from(JSON.stringify(request)),
      headers: { 'content-type': 'application/json' },
    });
    if (answer.statusCode! >= 400) throw await errorOf(answer);
    if (format === 'table') {
      const width = output === undefined ? io.stdout.columns : undefined;
      const given = await readExactJson<QueryAnswer>(answer);
      const shown = answerText(given, limit ?? 40, { whole: explains, ...(width !== undefined && { width }) });
      await write([`${shown}\n`], output, io);
      io.stderr.write(evidenceText(given.evidence ?? []));
      return 0;
    }
    await write(answer, output, io);
    return 0;
  },
};

async function write(answer: Readable | string[], output: string | undefined, io: Io): Promise<void> {
  if (output === undefined) return pipeline(answer, io.stdout, { end: false });
  const file = createWriteStream(output);
  let unwritable: Error | null = null;
  file.once('error', (error) => (unwritable = error));
  await pipeline(answer, file).catch((thrown: unknown) => {
    if (unwritable !== thrown) throw thrown;
    const problem =
      (thrown as NodeJS.ErrnoException).code === 'ENOENT' ? 'its folder is not there' : problemOf(thrown as NodeJS.ErrnoException);
    fail('OPTION_VALUE', { option: '--output', value: output, problem }, thrown);
  });
}

/** `whole`: it explains, so that nothing of it is cut. */
function answerText(answer: QueryAnswer, limit: number, how: { readonly whole: boolean; readonly width?: number }): string {
  // The rows before the failure are no answer: shown, they would be taken for one.
  if (answer.error) throw errorFromBody(answer.error);
  const shown = answer.rows.slice(0, limit);
  const cut = shown.length < answer.rows.length || answer.truncated;
  const [only, ...more] = shown;
  const single = only !== undefined && more.length === 0 && !cut && isLong(only);
  const lines = how.whole
    ? aspects(answer.rows)
    : single
      ? aspects(answer.columns.map(({ name }, k) => [name, only[k]]))
      : table(answer.columns, shown, {
          ...(how.width !== undefined && { width: how.width }),
          ...(cut && { total: answer.truncated ? null : answer.rows.length }),
        });
  const count = answer.truncated ? `more than ${answer.rows.length.toLocaleString('en-US')}` : answer.rows.length.toLocaleString('en-US');
  return `${lines}\n${count} ${answer.rows.length === 1 ? 'row' : 'rows'} in ${answer.elapsed_ms.toLocaleString('en-US', { maximumFractionDigits: 0 })} ms`;
}

/** As "answer run" prints it; of several calls each under its name. */
function evidenceText(calls: NonNullable<QueryAnswer['evidence']>): string {
  const lines = calls.flatMap(({ answer, facts, error }) => [
    ...(calls.length > 1 ? [`answers.${answer}`] : []),
    ...facts.map(({ fact, value }) => `  ${fact}: ${value}`),
    ...(error === undefined ? [] : [`  evidence can’t be told: ${error.message} (${error.code})`]),
  ]);
  return lines.map((line) => `${line}\n`).join('');
}

function paramsOf(given: readonly string[]): Record<string, string> {
  const params: Record<string, string> = Object.create(null);
  for (const word of given) {
    const refuse = (problem: string) => fail('OPTION_VALUE', { option: '--param', value: `"${word}"`, problem });
    const [, name, value] = /^\$?(\w+)=(.*)$/s.exec(word) ?? refuse('it is NAME=VALUE');
    if (name! in params) refuse(`${name} was given before`);
    params[name!] = value!;
  }
  return params;
}

async function statementOf(word: string | undefined, { stdin }: Io): Promise<string> {
  if (word !== undefined && word !== '-') return word;
  if (stdin.isTTY) fail('OPTION_VALUE', { option: 'STATEMENT', value: 'absent', problem: 'give it as one word in quotes, or pipe it in' });
  return text(stdin);
}
