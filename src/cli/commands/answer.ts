import { fail, type Option } from '#core';
import type { AnswersAnswer, QueryAnswer, ShopAnswer, ShownAnswer } from '#server';
import { connect, errorOf, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { readExactJson } from '../print/json.ts';
import { table, text } from '../print/table.ts';

const shownRows = 200;

export const answer: Command = {
  name: 'answer',
  summary: 'Answers the shop’s questions with evidence: reconciliation, placements, funnels, paths, retention, metrics.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: ['list', 'show', 'run'] },
    { name: 'NAME', summary: 'The answer; "answer list" has all of them.' },
    { name: 'OPTION=VALUE', summary: 'Options of the answer, as "answer show NAME" lists them.', many: true },
  ],
  options: [
    workspaceOption,
    { name: 'sql', type: 'boolean', summary: 'show: prints the statement that the answer is made of, to open and to change.' },
    { name: 'views', type: 'boolean', summary: 'show: prints the views that keep the answer fresh.' },
    { name: 'write', type: 'boolean', summary: 'show --views: makes them.' },
    { name: 'format', type: 'choice', choices: ['table', 'json'], summary: 'run: how the answer is written.', default: 'table' },
  ],
  usage: [
    '  millrace answer run funnel steps=view_item,add_to_cart,purchase window=1d',
    '  millrace answer run placements by=placement',
    '  millrace answer show reconcile --sql',
    '  millrace answer show segment segment=good --views --write',
  ].join('\n'),
  run(input, io) {
    const [action, name] = input.positionals;
    if (action === 'list') return list(input, io);
    if (name === undefined) fail('OPTION_VALUE', { option: 'NAME', value: 'absent', problem: '"millrace answer list" has the names' });
    return action === 'show' ? show(name, input, io) : run(name, input, io);
  },
};

async function list(input: Input, io: Io): Promise<number> {
  const { answers } = await connect(input, io).json<AnswersAnswer>('GET', '/v1/answers');
  const rows = answers.map((each) => [each.name, each.title, each.summary]);
  io.stdout.write(`${table([text('answer'), text('question'), text('what it shows')], rows, widthOf(io))}\n`);
  return 0;
}

async function show(name: string, input: Input, io: Io): Promise<number> {
  if (input.options['sql'] === true || input.options['views'] === true) {
    const server = connect(input, io);
    const shown = await server.json<ShownAnswer>('POST', pathOf(name), { show: true, options: optionsOf(input) });
    if (input.options['sql'] === true) io.stdout.write(`${shown.sql}\n`);
    else if (shown.views.length === 0)
      fail('OPTION_VALUE', {
        option: '--views',
        value: name,
        problem: 'it has none; put CREATE MATERIALIZED VIEW before what --sql prints',
      });
    else for (const sql of shown.views) await keep(sql);
    return 0;

    async function keep(sql: string): Promise<void> {
      if (input.options['write'] === true) await server.json<QueryAnswer>('POST', '/v1/query', { sql });
      io.stdout.write(input.options['write'] === true ? `made ${/ VIEW (\S+)/.exec(sql)![1]}\n` : `${sql};\n\n`);
    }
  }
  const { answers } = await connect(input, io).json<AnswersAnswer>('GET', '/v1/answers');
  const found =
    answers.find((each) => each.name === name) ??
    fail('ANSWER_UNKNOWN', { answer: name, answers: answers.map((each) => each.name).join(', ') });
  const rows = found.options.map((option) => [option.name, wordOf(option), option.summary]);
  io.stdout.write(`${found.title}\n${found.summary}\n\n${table([text('option'), text('value'), text('meaning')], rows, widthOf(io))}\n`);
  return 0;
}

function wordOf({ type, choices, default: absent, required }: Option): string {
  const word = choices?.join('|') ?? type;
  return required ? `${word}, required` : absent === undefined || absent === null ? word : `${word} (${absent})`;
}

async function run(name: string, input: Input, io: Io): Promise<number> {
  const response = await connect(input, io).open('POST', pathOf(name), {
    body: Buffer.from(JSON.stringify({ options: optionsOf(input) })),
    headers: { 'content-type': 'application/json' },
  });
  if (response.statusCode! >= 400) throw await errorOf(response);
  const given = await readExactJson<ShopAnswer>(response);
  if (input.options['format'] === 'json') {
    io.stdout.write(`${JSON.stringify(given)}\n`);
    return 0;
  }
  const rows = given.rows.slice(0, shownRows);
  const total = rows.length < given.rows.length ? { total: given.rows.length } : {};
  io.stdout.write(`${table(given.columns, rows, { ...widthOf(io), ...total })}\n`);
  for (const { fact, value } of given.evidence.facts) io.stderr.write(`  ${fact}: ${value}\n`);
  return 0;
}

function optionsOf({ positionals }: Input): Record<string, string> {
  const pairs = positionals.slice(2).map((word): [string, string] => {
    const at = word.indexOf('=');
    return at > 0
      ? [word.slice(0, at), word.slice(at + 1)]
      : fail('OPTION_VALUE', { option: 'OPTION=VALUE', value: `"${word}"`, problem: 'write option=value' });
  });
  return Object.fromEntries(pairs);
}

const pathOf = (name: string) => `/v1/answers/${encodeURIComponent(name)}`;
const widthOf = ({ stdout }: Io) => (stdout.columns === undefined ? {} : { width: stdout.columns });
