import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { fail } from '#core';
import { openWorkspace, type Workspace } from '#workspace';
import { workspaceOption } from '../client.ts';
import type { Command, Io } from '../command.ts';
import { count, table, text } from '../print/table.ts';

/** Reads and writes the definition files themselves: it needs no running Millrace, and one that runs sees the change. */
export const topic: Command = {
  name: 'topic',
  summary: 'Lists, shows or adds the topics of a workspace.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: ['list', 'show', 'add'] },
    { name: 'TOPIC', summary: 'The topic’s name (show, add).' },
    { name: 'FILE', summary: 'add: the definition (YAML); - reads standard input. Default: an empty definition.' },
  ],
  options: [workspaceOption],
  usage: '  A definition is the file topics/TOPIC.yaml of the workspace; docs/definitions.md lists what it can say.',
  async run({ options, positionals }, io) {
    const [action, name, file] = positionals;
    const workspace = openWorkspace(String(options['workspace']));
    try {
      if (action === 'list') return list(workspace, io);
      if (name === undefined) fail('OPTION_VALUE', { option: 'TOPIC', value: 'absent', problem: `"topic ${action}" needs it` });
      return action === 'show' ? show(workspace, name, io) : await add(workspace, name, file, io);
    } finally {
      workspace.close();
    }
  },
};

function list(workspace: Workspace, io: Io): number {
  const rows = workspace
    .topics()
    .map(({ name, title, fields, id, time, drift }) => [name, title, fields.length, id, time?.field ?? null, drift]);
  const columns = [text('topic'), text('title'), count('fields'), text('id'), text('time'), text('drift')];
  io.stdout.write(`${table(columns, rows)}\n`);
  for (const { code, message } of workspace.problems()) io.stderr.write(`${code}  ${message}\n`);
  return workspace.problems().length === 0 ? 0 : 1;
}

function show(workspace: Workspace, name: string, io: Io): number {
  if (!workspace.topic(name)) fail('TOPIC_UNKNOWN', { topic: name });
  io.stdout.write(readFileSync(join(workspace.path, 'topics', `${name}.yaml`)));
  return 0;
}

async function add(workspace: Workspace, name: string, file: string | undefined, io: Io): Promise<number> {
  if (workspace.topic(name)) fail('OPTION_VALUE', { option: 'TOPIC', value: name, problem: 'it exists; edit its file in topics/' });
  workspace.saveTopic(name, await definition(file, io));
  io.stdout.write(`The topic ${name} is defined in ${join(workspace.path, 'topics', `${name}.yaml`)}\n`);
  return 0;
}

async function definition(file: string | undefined, { stdin }: Io): Promise<string> {
  if (file === undefined) return '{}\n';
  if (file === '-') return readText(stdin);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return fail('OPTION_VALUE', { option: 'FILE', value: file, problem: (error as Error).message }, error);
  }
}
