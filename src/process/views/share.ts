/** Shared scans: views that are due in one tick read the new rows of a table once, and only the columns that say what these touch. */
import { name, type Transaction } from '#store';
import { changeTables, type News, newsOf } from './refresh.ts';
import type { View } from './view.ts';

/** A view and the batch up to which it is right. */
export interface Due {
  readonly view: View;
  readonly batch: number | null;
}

/** Tables of which several of the views ask for the new rows. */
export function sharedTables(due: readonly Due[]): readonly string[] {
  const readers = new Map<string, number>();
  for (const { view } of due) for (const table of tablesAsked(view)) readers.set(table, (readers.get(table) ?? 0) + 1);
  return [...readers].filter(([, count]) => count > 1).map(([table]) => table);
}

const tablesAsked = (view: View): ReadonlySet<string> =>
  new Set(view.inputs.filter((input) => input.by !== 'whole' && !view.untold.has(input.table)).map((input) => input.table));

/** Reads the new rows of what the views share into temporary tables, each with the batch that brought it. `done` takes them away again. */
export async function shareNews(tx: Transaction, due: readonly Due[]): Promise<{ news: News; done: () => Promise<void> }> {
  const news = new Map<string, string>();
  const changed = await changeTables((sql) => tx.rows(sql));
  for (const [k, table] of sharedTables(due).entries()) {
    const readers = due.filter(({ view }) => tablesAsked(view).has(table));
    const asked = readers.flatMap(({ view }) => [
      ...view.inputs.flatMap((input) => (input.table === table ? input.asked : [])),
      ...(view.lookback === null ? [] : ['_time']),
    ]);
    const columns = [...new Set([...asked, '_batch'])].map(name).join(', ');
    const since = Math.min(...readers.map(({ batch }) => batch!));
    const selects = newsOf(table, changed).map((from) => `SELECT ${columns} FROM ${from} WHERE _batch > ${since}`);
    await tx.run(`CREATE OR REPLACE TEMP TABLE news${k} AS ${selects.join(' UNION ALL ')}`);
    news.set(table, `news${k}`);
  }
  return {
    news,
    async done() {
      for (const table of news.values()) await tx.run(`DROP TABLE ${table}`);
    },
  };
}
