import type { QuarantineRow, ReplayAnswer } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { table, text } from '../print/table.ts';

export const quarantine: Command = {
  name: 'quarantine',
  summary: 'Lists the records that were rejected, or sends them through intake again.',
  positionals: [{ name: 'ACTION', summary: 'What to do.', required: true, choices: ['list', 'replay'] }],
  options: [
    workspaceOption,
    { name: 'topic', type: 'text', summary: 'Only records that were sent to this topic.' },
    { name: 'limit', type: 'integer', summary: 'list: at most so many, the newest first.', default: 50 },
    { name: 'ids', type: 'list', summary: 'replay: only these records. Default: all that were not replayed yet.' },
  ],
  usage: [
    '  Change the topic’s definition first; then "millrace quarantine replay --topic TOPIC" sends its records again.',
    '  Rows of a transfer stand under transfer:schema.name; its next run takes those that fit by then, and so does a replay.',
  ].join('\n'),
  run(input, io) {
    return input.positionals[0] === 'list' ? list(input, io) : replay(input, io);
  },
};

async function list(input: Input, io: Io): Promise<number> {
  const { topic, limit } = input.options;
  const query = new URLSearchParams({ ...(topic !== undefined && { topic: String(topic) }), limit: String(limit) });
  const { rows } = await connect(input, io).json<{ rows: QuarantineRow[] }>('GET', `/v1/quarantine?${query}`);
  const columns = [text('id'), text('topic'), text('received'), text('code'), text('reason'), text('replayed'), text('record')];
  const cells = rows.map((row) => [row.id, row.topic, row.received, row.code, row.reason, row.replayed, row.body ?? null]);
  io.stdout.write(`${table(columns, cells, io.stdout.columns === undefined ? {} : { width: io.stdout.columns })}\n`);
  return 0;
}

async function replay(input: Input, io: Io): Promise<number> {
  const { topic, ids } = input.options;
  const answer = await connect(input, io).json<ReplayAnswer>('POST', '/v1/quarantine/replay', { topic, ids });
  io.stdout.write(`${answer.tried} tried, ${answer.accepted} accepted, ${answer.rejected} rejected again\n`);
  return answer.rejected === 0 ? 0 : 1;
}
