import { fail } from '#core';
import type { CatalogAnswer } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command } from '../command.ts';
import { count, table, text } from '../print/table.ts';

export const catalog: Command = {
  name: 'catalog',
  summary: 'Lists everything that has a name: tables, topics, transfers, models, metrics, dashboards …; or the columns of one table.',
  positionals: [{ name: 'TABLE', summary: 'schema.name: shows its columns.' }],
  options: [workspaceOption],
  async run(input, io) {
    const { tables, topics, named } = await connect(input, io).json<CatalogAnswer>('GET', '/v1/catalog');
    const wanted = input.positionals[0];
    const size = { ...(io.stdout.columns !== undefined && { width: io.stdout.columns }) };
    if (wanted !== undefined) {
      const found = tables.find(({ schema, name }) => `${schema}.${name}` === wanted || (schema === 'main' && name === wanted));
      if (!found) fail('TABLE_UNKNOWN', { table: wanted });
      io.stdout.write(
        `${table(
          [text('column'), text('type')],
          found.columns.map(({ name, type }) => [name, type]),
          size,
        )}\n`,
      );
      return 0;
    }
    const rows = tables.map((each) => [
      `${each.schema}.${each.name}`,
      each.kind,
      each.origin,
      each.rows,
      each.columns.length,
      each.comment ?? '',
    ]);
    io.stdout.write(
      `${table([text('table'), text('kind'), text('made by'), count('rows'), count('columns'), text('comment')], rows, size)}\n\n`,
    );
    io.stdout.write(
      `${table(
        [text('topic'), text('title'), count('fields')],
        topics.map((topic) => [topic.name, topic.title, topic.fields.length]),
        size,
      )}\n`,
    );
    if (named.length > 0) {
      const rows = named.map(({ kind, name }) => [kind, name]);
      io.stdout.write(`\n${table([text('also'), text('name')], rows, size)}\n`);
    }
    return 0;
  },
};
