import { fail } from '#core';
import type { LoginAnswer, TokenInfo } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { table, text } from '../print/table.ts';

export const token: Command = {
  name: 'token',
  summary: 'Makes, lists and withdraws tokens.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: ['create', 'list', 'revoke'] },
    { name: 'NAME', summary: 'The token’s name (create, revoke).' },
  ],
  options: [
    workspaceOption,
    {
      name: 'role',
      type: 'choice',
      choices: ['admin', 'editor', 'viewer', 'write'],
      summary: 'create: what the token may do; write can only send.',
      default: 'viewer',
    },
    { name: 'topics', type: 'list', summary: 'create: the topics that a write token may send to.' },
    { name: 'expires', type: 'text', summary: 'create: when it ends (ISO 8601). Default: never.' },
  ],
  usage: '  A new token is shown once: only its hash is kept.',
  async run(input, io) {
    const [action, name] = input.positionals;
    if (action === 'list') return list(input, io);
    if (name === undefined) fail('OPTION_VALUE', { option: 'NAME', value: 'absent', problem: `"token ${action}" needs it` });
    return action === 'create' ? create(name, input, io) : revoke(name, input, io);
  },
};

async function create(name: string, input: Input, io: Io): Promise<number> {
  const { role, topics, expires } = input.options;
  const made = await connect(input, io).json<LoginAnswer>('POST', '/v1/tokens', { name, role, topics, expires });
  io.stderr.write(`The token ${made.name} (${made.role}); it is shown only now:\n`);
  io.stdout.write(`${made.token}\n`);
  return 0;
}

async function list(input: Input, io: Io): Promise<number> {
  const tokens = await connect(input, io).json<TokenInfo[]>('GET', '/v1/tokens');
  const rows = tokens.map(({ name, role, topics, created, expires }) => [name, role, topics?.join(', ') ?? 'all', created, expires]);
  io.stdout.write(`${table([text('name'), text('role'), text('topics'), text('created'), text('expires')], rows)}\n`);
  return 0;
}

async function revoke(name: string, input: Input, io: Io): Promise<number> {
  await connect(input, io).json('DELETE', `/v1/tokens/${encodeURIComponent(name)}`);
  io.stdout.write(`The token ${name} is withdrawn.\n`);
  return 0;
}
