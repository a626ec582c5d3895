/** The blast radius: everything that reads a table, however many views deep, told before the table is dropped or loses a column. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DefinitionKind, definitionKinds, type Models } from '#analyze';
import { fail } from '#core';
import type { Keeper, Queries } from '#process';
import type { CreateStatement, Statement } from '#sql';
import { quoted, type Store } from '#store';
import { type DefinitionFolder, openDefinitions } from '#workspace';

/** `goes`: CASCADE drops it too; else it stays, and will say what it misses. */
export interface Affected {
  readonly kind:
    | 'materialized view'
    | 'view'
    | 'scheduled query'
    | 'dashboard'
    | 'question'
    | 'model'
    | 'metric'
    | 'journey'
    | 'experiment'
    | 'segment';
  readonly name: string;
  readonly goes: boolean;
}

export interface Blast {
  /** Of a table (schema.name); with `columns`, those only that name one of them or stand on something that does. */
  of(table: string, columns?: readonly string[]): Promise<readonly Affected[]>;
  /**
   * Before a statement: VIEW_READ for a drop without CASCADE of what something reads, VIEW_DRIFT for a CREATE OR REPLACE that takes away
   * or changes a column that a view or a scheduled query names.
   */
  check(statement: Statement): Promise<void>;
}

const KINDS: Readonly<Record<DefinitionKind, Affected['kind']>> = {
  metrics: 'metric',
  journeys: 'journey',
  experiments: 'experiment',
  segments: 'segment',
};

export function openBlast(input: {
  readonly workspace: string;
  readonly store: Store;
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly models: Models;
  readonly definitions: Readonly<Record<DefinitionKind, DefinitionFolder>>;
}): Blast {
  const { keeper, queries, store } = input;

  /** Definitions that are text, each with what it is. */
  function texts(): { kind: Affected['kind']; name: string; text: string }[] {
    const models = input.models.list().flatMap(({ name, versions }) => {
      const text = versions[0]?.query;
      return text === undefined ? [] : [{ kind: 'model' as const, name, text }];
    });
    const answers = definitionKinds.flatMap((kind) => input.definitions[kind].list().map((each) => ({ ...each, kind: KINDS[kind] })));
    const dashboards = filesOf(input.workspace, 'dashboards', '.yaml').map((each) => ({ ...each, kind: 'dashboard' as const }));
    const questions = filesOf(input.workspace, 'queries', '.sql')
      .filter(({ name }) => !name.includes('.'))
      .map((each) => ({ ...each, kind: 'question' as const }));
    return [...models, ...answers, ...dashboards, ...questions];
  }

  const textOf = (full: string): string => keeper.definitionOf(full) ?? queries.definitionOf(full) ?? '';

  async function of(asked: string, columns?: readonly string[]): Promise<readonly Affected[]> {
    const table = asked.toLowerCase();
    const views = keeper.readersOf(table);
    const plain = await keeper.plainReadersOf(table);
    const gone = [table, ...views.map((view) => view.toLowerCase()), ...plain];
    const list = (kind: Affected['kind'], names: readonly string[]) => names.map((name) => ({ kind, name, goes: true }));
    const all: Affected[] = [
      ...list('materialized view', views),
      ...list('view', plain),
      ...list('scheduled query', queries.readersOf(gone)),
      ...texts()
        .filter(({ text }) => gone.some((each) => mentions(text, each)))
        .map(({ kind, name }) => ({ kind, name, goes: false })),
    ];
    if (columns === undefined) return all;
    const plainTexts = await keeper.plainTexts();
    const known = new Map(texts().map(({ kind, name, text }) => [`${kind} ${name}`, text]));
    const hit = new Set([table]);
    return all.filter(({ kind, name }) => {
      const text = (kind === 'view' ? plainTexts.get(name) : (known.get(`${kind} ${name}`) ?? textOf(name))) ?? '';
      const all = ALL.test(text) && [...hit].some((each) => mentions(text, each));
      const affected = all || columns.some((column) => names(text, column));
      if (affected) hit.add(name.toLowerCase());
      return affected;
    });
  }

  async function check(statement: Statement): Promise<void> {
    if (statement.kind === 'drop' || statement.kind === 'drop_materialized_view') {
      if (statement.cascade === true) return;
      const table = `${statement.target.schema}.${statement.target.name}`;
      const affected = await of(table);
      if (affected.length > 0) fail('VIEW_READ', { table, readers: told(affected) });
    }
    if ((statement.kind === 'create_table_as' || statement.kind === 'create_view') && statement.replace) await checkColumns(statement);
  }

  async function checkColumns(statement: CreateStatement): Promise<void> {
    const table = `${statement.target.schema}.${statement.target.name}`;
    const stands = (await store.names()).has(table.toLowerCase());
    // The types of a question with parameters are known only with their values.
    if (!stands || statement.parameters.length > 0 || (await of(table)).length === 0) return;
    const before = await columnsOf(`FROM ${quoted(statement.target)}`);
    const after = await columnsOf(statement.body, statement.columns);
    const lost = [...before].flatMap(([column, type]) => (after.get(column) === type || column === '_batch' ? [] : [column]));
    if (lost.length === 0) return;
    const paused = new Set(keeper.states().flatMap(({ name, state }) => (state === 'paused' ? [name] : [])));
    const affected = (await of(table, lost)).filter(({ goes, name }) => goes && !paused.has(name));
    if (affected.length > 0) fail('VIEW_DRIFT', { table, columns: lost.join(', '), readers: told(affected) });
  }

  async function columnsOf(query: string, names: readonly string[] | null = null): Promise<Map<string, string>> {
    const rows = await store.rows(`DESCRIBE ${query}`);
    return new Map(rows.map((row, k) => [(names?.[k] ?? String(row['column_name'])).toLowerCase(), String(row['column_type'])]));
  }

  return { of, check };
}

function filesOf(workspace: string, folder: string, ending: string): readonly { name: string; text: string }[] {
  if (!existsSync(join(workspace, folder))) return [];
  const files = openDefinitions(workspace, folder, ending, () => {});
  try {
    return files.list();
  } finally {
    files.close();
  }
}

/** Does a text name the table? One of the schema main may be named without it, where a table stands. */
function mentions(text: string, table: string): boolean {
  const [schema, name] = table.split('.', 2) as [string, string];
  const quotable = (word: string) => `"?${word.replace(/[^a-z0-9_]/g, '\\$&')}"?`;
  const full = `(?<![\\w."])${quotable(schema)}\\s*\\.\\s*${quotable(name)}(?!\\w)`;
  const bare = schema === 'main' ? `|\\b(?:from|join|table:|,)\\s*${quotable(name)}(?![\\w.])` : '';
  return new RegExp(full + bare, 'i').test(text);
}

/** All columns of something are taken. */
const ALL = /(?:select|,|\.)\s*\*/i;

function names(text: string, column: string): boolean {
  return new RegExp(`(?<!\\w)${column.replace(/[^a-z0-9_]/gi, '\\$&')}(?!\\w)`, 'i').test(text);
}

/** "the materialized view mart.a; the dashboards shop, sales" */
function told(affected: readonly Affected[]): string {
  const kinds = [...new Set(affected.map(({ kind }) => kind))];
  return kinds
    .map((kind) => {
      const names = affected.flatMap((each) => (each.kind === kind ? [each.name] : []));
      const plural = kind.endsWith('y') && kind !== 'journey' ? `${kind.slice(0, -1)}ies` : `${kind}s`;
      return `the ${names.length === 1 ? kind : plural} ${names.join(', ')}`;
    })
    .join('; ');
}
