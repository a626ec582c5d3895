/** The blast radius: everything that reads a table, however many views deep, told before the table is dropped or loses a column. */
import { type Column, fail, type Table } from '#core';
import type { Keeper, Queries } from '#process';
import { type CreateStatement, fullName, named, type Statement } from '#sql';
import { quoted, name as quotedPart, type Store } from '#store';
import type { Reader } from './readers.ts';

/** `goes`: CASCADE drops it too; else it stays, and will say what it misses. */
export interface Affected {
  readonly kind: 'materialized view' | 'view' | 'scheduled query' | Reader['kind'];
  readonly name: string;
  readonly goes: boolean;
}

export interface Blast {
  /** Of a table (schema.name); with `columns`, those only that name one of them or stand on something that does. */
  of(table: string, columns?: readonly string[]): Promise<readonly Affected[]>;
  /**
   * What a table would lose or change if it had these columns, and who names that. Without `drops` a column that is absent stays. Nothing of a
   * table that is not there.
   */
  ofDrift(table: string, columns: readonly Column[], drops: boolean): Promise<{ lost: readonly string[]; affected: readonly Affected[] }>;
  /** Of a model (schema.name): nothing that stands on it goes with it. */
  ofModel(model: string): Promise<readonly Affected[]>;
  /**
   * Before a statement: VIEW_READ for a drop without CASCADE of what something reads or calls, or another name for it, VIEW_DRIFT for a CREATE OR REPLACE that takes away
   * or changes a column that a view or a scheduled query names.
   */
  check(statement: Statement): Promise<void>;
}

export function openBlast(input: {
  readonly store: Store;
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly readers: () => readonly Reader[];
}): Blast {
  const { keeper, queries, store, readers } = input;

  const textOf = (full: string): string => keeper.definitionOf(full) ?? queries.definitionOf(full) ?? '';

  async function of(asked: string, columns?: readonly string[]): Promise<readonly Affected[]> {
    const table = asked.toLowerCase();
    const plain = await keeper.plainReadersOf(table);
    const tables = await store.tables();
    const definitions = readers();
    const all = standing([table], keeper.readersOf(table), plain, definitions, tables);
    if (columns === undefined) return all;
    const plainTexts = await keeper.plainTexts();
    const hit = [table];
    return all.filter(({ kind, name }) => {
      const own = definitions.find((each) => each.kind === kind && each.name === name);
      const text = own?.text ?? (kind === 'view' ? plainTexts.get(name) : textOf(name)) ?? '';
      const affected = (ALL.test(text) && readsOne(own?.sql ?? text, hit, tables)) || columns.some((column) => names(text, column));
      if (affected) hit.push(name.toLowerCase());
      return affected;
    });
  }

  async function ofDrift(asked: string, columns: readonly Column[], drops: boolean) {
    const table = asked.toLowerCase();
    if (!(await store.names()).has(table)) return { lost: [], affected: [] };
    const after = new Map(columns.map(({ name, type }) => [name.toLowerCase(), type]));
    const before = await columnsOf(`FROM ${table.split('.').map(quotedPart).join('.')}`);
    const lost = lostOf(before, after).filter((column) => drops || after.has(column));
    return { lost, affected: lost.length === 0 ? [] : await of(table, lost) };
  }

  async function ofModel(model: string): Promise<readonly Affected[]> {
    const views = keeper.readersOfModel(model);
    const plain = new Set((await Promise.all(views.map((view) => keeper.plainReadersOf(view)))).flat());
    const found = standing([], views, [...plain], readers(), await store.tables());
    const scheduled = (await queries.readersOfModel(model)).filter((name) => !found.some((each) => each.name === name));
    return [...found, ...scheduled.map((name) => ({ kind: 'scheduled query' as const, name }))].map((each) => ({ ...each, goes: false }));
  }

  /** What stands on some tables and on the views that were found to. */
  function standing(
    below: readonly string[],
    views: readonly string[],
    plain: readonly string[],
    definitions: readonly Reader[],
    tables: readonly Table[],
  ): Affected[] {
    const gone = [...below, ...views.map((view) => view.toLowerCase()), ...plain];
    const list = (kind: Affected['kind'], names: readonly string[]) => names.map((name) => ({ kind, name, goes: true }));
    return [
      ...list('materialized view', views),
      ...list('view', plain),
      ...list('scheduled query', queries.readersOf(gone)),
      ...definitions.filter(({ sql }) => readsOne(sql, gone, tables)).map(({ kind, name }) => ({ kind, name, goes: false })),
    ];
  }

  async function check(statement: Statement): Promise<void> {
    const takesModel =
      (statement.kind === 'drop_model' && statement.cascade !== true) || (statement.kind === 'alter_model' && statement.rename !== null);
    if (takesModel) {
      const model = `${statement.target.schema}.${statement.target.name}`;
      const affected = await ofModel(model);
      if (affected.length > 0) fail('VIEW_READ', { table: model, readers: told(affected) });
    }
    if (statement.kind === 'drop' || statement.kind === 'drop_materialized_view') {
      if (statement.cascade === true) return;
      const table = `${statement.target.schema}.${statement.target.name}`;
      const affected = await of(table);
      if (affected.length > 0) fail('VIEW_READ', { table, readers: told(affected) });
    }
    if ((statement.kind === 'create_table_as' || statement.kind === 'create_view') && statement.replace)
      if (statement.parameters.length === 0)
        // The types of a question with parameters are known only with their values.
        await checkColumns(statement, () => columnsOf(statement.body, statement.columns));
    if (statement.kind === 'create_materialized_view' && statement.replace)
      await checkColumns(statement, async () => {
        const query = await keeper.queryOf(statement);
        // What the engine would not run is refused when it is made, with its place.
        return columnsOf(query).catch(() => null);
      });
  }

  async function checkColumns(
    statement: Pick<CreateStatement, 'target'>,
    columnsAfter: () => Promise<Map<string, string> | null>,
  ): Promise<void> {
    const table = `${statement.target.schema}.${statement.target.name}`;
    const stands = (await store.names()).has(table.toLowerCase());
    if (!stands || (await of(table)).length === 0) return;
    const before = await columnsOf(`FROM ${quoted(statement.target)}`);
    const after = await columnsAfter();
    if (after === null) return;
    // A view's own batch comes back by itself.
    if (keeper.definitionOf(table) !== undefined) before.delete('_batch');
    const lost = lostOf(before, after);
    if (lost.length === 0) return;
    const paused = new Set(keeper.states().flatMap(({ name, state }) => (state === 'paused' ? [name] : [])));
    const affected = (await of(table, lost)).filter(({ goes, name }) => goes && !paused.has(name));
    if (affected.length > 0) fail('VIEW_DRIFT', { table, columns: lost.join(', '), readers: told(affected) });
  }

  async function columnsOf(query: string, names: readonly string[] | null = null): Promise<Map<string, string>> {
    const rows = await store.rows(`DESCRIBE ${query}`);
    return new Map(rows.map((row, k) => [(names?.[k] ?? String(row['column_name'])).toLowerCase(), String(row['column_type'])]));
  }

  return { of, ofDrift, ofModel, check };
}

/** Columns that are gone or have another type. */
const lostOf = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] =>
  [...before].flatMap(([column, type]) => (after.get(column) === type || column === '_batch' ? [] : [column]));

function readsOne(sql: string, gone: readonly string[], tables: readonly Table[]): boolean {
  return named(sql, tables).found.some((table) => gone.includes(fullName(table).toLowerCase()));
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
