import { fail } from '#core';
import type { QueryAnswer } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { table, text } from '../print/table.ts';

interface ViewsAnswer {
  readonly views: readonly {
    readonly name: string;
    readonly source: string;
    readonly mode: string;
    readonly state: string;
    readonly partition: string | null;
    readonly reasons: readonly string[];
    readonly plan: readonly string[];
    readonly refreshes: number;
    readonly last_ms: number | null;
    readonly error: { readonly message: string } | null;
  }[];
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}

const ACTIONS = ['list', 'show', 'refresh', 'pause', 'resume', 'drop'];

/** The definitions are the files views/SCHEMA.VIEW.sql of the workspace; this shows how they are kept, and acts on them. */
export const view: Command = {
  name: 'view',
  summary: 'Lists, explains, refreshes, pauses, resumes or drops materialized views.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: ACTIONS },
    { name: 'VIEW', summary: 'schema.view (all but list).' },
  ],
  options: [workspaceOption],
  usage: '  A definition is the file views/SCHEMA.VIEW.sql of the workspace; docs/views.md says what it can say.',
  async run(input, io) {
    const [action, name] = input.positionals;
    if (action === 'list') return list(input, io);
    if (name === undefined || !/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(name))
      fail('OPTION_VALUE', { option: 'VIEW', value: name ?? 'absent', problem: `"view ${action}" needs a name such as mart.sessions` });
    if (action === 'show') return show(input, io, name);
    await connect(input, io).json<QueryAnswer>('POST', '/v1/query', { sql: `${action!.toUpperCase()} MATERIALIZED VIEW ${name}` });
    io.stdout.write(`${name}: ${action} is done\n`);
    return 0;
  },
};

async function list(input: Input, io: Io): Promise<number> {
  const { views, problems } = await connect(input, io).json<ViewsAnswer>('GET', '/v1/views');
  const columns = ['view', 'reads', 'kept', 'state', 'why'].map(text);
  const rows = views.map((one) => [one.name, one.source, one.mode, one.state, one.error?.message ?? one.reasons.join('; ')]);
  io.stdout.write(`${table(columns, rows, io.stdout.columns === undefined ? {} : { width: io.stdout.columns })}\n`);
  for (const { code, message } of problems) io.stderr.write(`${code}  ${message}\n`);
  return problems.length === 0 ? 0 : 1;
}

async function show(input: Input, io: Io, name: string): Promise<number> {
  const { views } = await connect(input, io).json<ViewsAnswer>('GET', '/v1/views');
  const found = views.find((one) => one.name === name) ?? fail('VIEW_UNKNOWN', { view: name });
  const lines = [
    `${name} is ${found.state}, kept ${found.mode === 'whole' ? 'as a whole' : `by partition ${found.partition}`}`,
    ...found.reasons.map((reason) => `  because ${reason}`),
    ...found.plan.map((line) => `  ${line}`),
    `${found.refreshes} refreshes since the start${found.last_ms === null ? '' : `, the last one took ${found.last_ms} ms`}`,
    ...(found.error === null ? [] : [`paused: ${found.error.message}`]),
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}
