/** The warehouse child's side of views: the ready-made definitions, as text or as files of the workspace. */
import { json } from 'node:stream/consumers';
import type { Models } from '#analyze';
import { type Column, fail, MillraceError, type Principal } from '#core';
import { type Keeper, sessionFields, sessionViews, type ViewState } from '#process';
import { type Store, text } from '#store';
import type { Blast } from './blast.ts';
import type { Routes } from './http.ts';
import type { Rights } from './rights.ts';

interface AskedSessions {
  readonly topic: string;
  readonly rule: string;
  readonly time_zone?: string;
  readonly schema?: string;
  readonly lateness?: string;
  readonly fields?: Readonly<Record<string, string | null>>;
  readonly page_views?: readonly string[];
  readonly key_events?: readonly string[];
  readonly write?: boolean;
}

/** The states as somebody may know them: what went wrong in a view, only where all that it reads is theirs. */
export function viewsFor(who: Principal | null, states: readonly ViewState[], rights: Pick<Rights, 'mayRead'>): ViewState[] {
  return states.map((view) =>
    view.error === null || rights.mayRead(who, [view.name, ...view.reads])
      ? view
      : { ...view, error: new MillraceError('GRANTS_UNTOLD', { code: view.error.code }).body },
  );
}

export function viewRoutes(input: {
  readonly store: Store;
  readonly keeper: Keeper;
  readonly blast: Blast;
  readonly models: Pick<Models, 'list'>;
  readonly rights: Rights;
  readonly timeZone: string;
}): Routes {
  const { store, keeper, blast, models, rights } = input;
  return {
    'POST /views/sessions': async ({ who, request }) => {
      const asked = (await json(request)) as AskedSessions;
      // Which columns a topic has is told to who may read it.
      rights.checkRead(who, [`raw.${asked.topic}`]);
      const columns = (
        await store.rows(
          `SELECT column_name AS c FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = ${text(asked.topic)} AND NOT starts_with(column_name, '_')`,
        )
      ).map((row) => String(row['c']));
      if (columns.length === 0) fail('TOPIC_UNKNOWN', { topic: asked.topic });
      const fields = sessionFields(columns, asked.fields ?? {});
      const views = sessionViews({
        topic: asked.topic,
        rule: (asked.rule === 'ua' ? 'universal' : asked.rule) as 'universal',
        timeZone: asked.time_zone ?? input.timeZone,
        fields,
        ...(asked.schema !== undefined && { schema: asked.schema }),
        ...(asked.lateness !== undefined && { lateness: asked.lateness }),
        ...(asked.page_views !== undefined && { pageViews: asked.page_views }),
        ...(asked.key_events !== undefined && { keyEvents: asked.key_events }),
      });
      if (asked.write === true) {
        rights.checkWrite(
          who,
          views.map(({ name }) => name),
        );
        await keeper.adopt(views);
      }
      return { views, fields, written: asked.write === true };
    },
    'POST /views/blast': async ({ request }) => {
      const { table, columns } = (await json(request)) as { table: string; columns?: readonly string[] };
      if ((await store.names()).has(table.toLowerCase())) return { table, affected: await blast.of(table, columns) };
      if (!models.list().some(({ name }) => name === table.toLowerCase())) fail('TABLE_UNKNOWN', { table });
      return { table, affected: await blast.ofModel(table) };
    },
    'POST /views/drift': async ({ request }) => {
      const { tables } = (await json(request)) as { tables: readonly { table: string; columns: readonly Column[]; drops: boolean }[] };
      return Promise.all(tables.map(({ table, columns, drops }) => blast.ofDrift(table, columns, drops)));
    },
    'POST /views/cancel/': async ({ name }) => {
      keeper.cancel(name);
      return { view: name };
    },
    'POST /views/audit/': async ({ name }) => ({ view: name, audited: await keeper.audit(name) }),
  };
}
