import type { StatusAnswer } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command } from '../command.ts';
import { count, table, text } from '../print/table.ts';

export const status: Command = {
  name: 'status',
  summary: 'Shows what a running Millrace takes in, how far it has delivered, and its memory.',
  options: [workspaceOption, { name: 'json', type: 'boolean', summary: 'Prints the answer as JSON.', default: false }],
  async run(input, io) {
    const answer = await connect(input, io).json<StatusAnswer>('GET', '/v1/status');
    io.stdout.write(input.options['json'] ? `${JSON.stringify(answer)}\n` : describe(answer));
    return 0;
  },
};

function describe({ workspace, version, uptime_s, warehouse, topics, memory }: StatusAnswer): string {
  const columns = [text('topic'), ...['accepted', 'per second', 'durable', 'delivered', 'lag ms', 'quarantined'].map(count)];
  const rows = topics.map((each) => [
    each.name,
    each.accepted,
    each.per_second,
    each.durable,
    each.delivered,
    each.lag_ms,
    each.quarantined,
  ]);
  return [
    `${workspace}: Millrace ${version}, up ${Math.round(uptime_s).toLocaleString('en-US')} s, warehouse ${warehouse}`,
    `memory: front ${megabytes(memory.front_bytes)}, warehouse ${megabytes(memory.warehouse_bytes)}`,
    '',
    table(columns, rows),
    '',
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString('en-US')} MB`;
}
