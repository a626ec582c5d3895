/** Definitions that read tables but keep none: what each is, its text, and the SQL in it. */
import { type DefinitionKind, definitionKinds, type Models, parseMetric } from '#analyze';
import { MillraceError } from '#core';
import { parseDashboard } from '#visualize';
import type { DefinitionFolder } from '#workspace';

export interface Reader {
  readonly kind: 'model' | 'metric' | 'journey' | 'experiment' | 'segment' | 'dashboard' | 'question';
  readonly name: string;
  readonly text: string;
  /** Statements, or what names tables as they do. */
  readonly sql: string;
}

const KINDS: Readonly<Record<DefinitionKind, Reader['kind']>> = {
  metrics: 'metric',
  journeys: 'journey',
  experiments: 'experiment',
  segments: 'segment',
};

export function openReaders(input: {
  readonly models: Pick<Models, 'list'>;
  readonly definitions: Readonly<Record<DefinitionKind, DefinitionFolder>>;
  readonly dashboards: DefinitionFolder;
  readonly queries: DefinitionFolder;
}): () => readonly Reader[] {
  return () => [
    ...input.models.list().flatMap(({ name, versions }): Reader[] => {
      const text = versions[0]?.query;
      return text === undefined ? [] : [{ kind: 'model', name, text, sql: text }];
    }),
    ...definitionKinds.flatMap((folder) =>
      input.definitions[folder].list().map(({ name, file, text }): Reader => {
        const sql = folder === 'metrics' ? understood(() => tablesOf(name, text, file), text) : withoutQuotes(text);
        return { kind: KINDS[folder], name, text, sql };
      }),
    ),
    ...input.dashboards.list().map(({ name, file, text }): Reader => {
      const sql = understood(
        () =>
          parseDashboard(text, file)
            .tiles.flatMap((tile) => tile.sql ?? [])
            .join(';\n'),
        text,
      );
      return { kind: 'dashboard', name, text, sql };
    }),
    // A name with a schema is that of a scheduled query, which keeps a table.
    ...input.queries
      .list()
      .filter(({ name }) => !name.includes('.'))
      .map(({ name, text }): Reader => ({ kind: 'question', name, text, sql: text })),
  ];
}

function tablesOf(name: string, text: string, file: string): string {
  const { table, joins } = parseMetric(name, text, file);
  return [table, ...joins.map((join) => join.table)].map((each) => `FROM ${each}`).join('\n');
}

/** A file that can't be taken reads whatever it names. */
function understood(read: () => string, text: string): string {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return withoutQuotes(text);
  }
}

/** YAML quotes SQL; what stands in SQL's quotes would be taken for a text. */
const withoutQuotes = (text: string): string => text.replaceAll("'", ' ');
