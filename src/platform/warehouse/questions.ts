/** The warehouse child's side of questions: queries and their jobs, answers, tables, views, loads. */
import { json } from 'node:stream/consumers';
import type { Analyst, Answers } from '#analyze';
import type { Store } from '#store';
import { rewriteInUtf8 } from '#transfer';
import { goneSignal, type Routes, send } from './http.ts';

interface Asked {
  readonly store: Store;
  readonly analyst: Analyst;
  readonly answers: Answers;
  readonly views: () => unknown;
}

export function questionRoutes({ store, analyst, answers, views }: Asked): Routes {
  return {
    'POST /query': async ({ who, request, response }) => {
      const asked = (await json(request)) as { sql: string };
      const signal = goneSignal(response);
      send(response, await analyst.ask({ ...asked, sql: await answers.expand(asked.sql, who), who, signal } as never));
    },
    'GET /answers': async () => ({ answers: answers.list() }),
    'GET /metrics': async () =>
      answers.metrics().map(({ name, title, table, time, dimensions, format }) => ({ name, title, table, time, dimensions, format })),
    'POST /answers/': async ({ who, name, request, response }) => {
      const { show, ...asked } = (await json(request)) as { show: boolean; options: Record<string, unknown> };
      if (show) return answers.show({ ...asked, answer: name, who });
      send(response, await answers.run({ ...asked, answer: name, who, signal: goneSignal(response) }));
      return undefined;
    },
    'GET /jobs': async () => analyst.jobs(),
    'GET /jobs/': async ({ name }) => analyst.job(name),
    'DELETE /jobs/': async ({ name }) => {
      const job = analyst.job(name);
      analyst.cancel(name);
      return job;
    },
    /** A CSV in another encoding (what Excel writes in Korea is CP949) is written anew beside itself: the engine reads UTF-8. */
    'POST /load': async ({ request }) => {
      const load = (await json(request)) as Parameters<Store['load']>[0];
      if (load.format === 'csv') await rewriteInUtf8(load.file);
      return store.load(load);
    },
    /** All of them for the front itself, what they may read for somebody. */
    'GET /tables': async ({ who }) => {
      const tables = await store.tables();
      if (who === null) return tables;
      const names = new Set(await analyst.readable(who));
      return tables.filter(({ schema, name }) => names.has(`${schema}.${name}`.toLowerCase()));
    },
    'GET /views': async () => views(),
    /** The newest batch, and the tables that were written after another. */
    'GET /written': async ({ query }) => {
      const batch = store.batch();
      const after = Number(query.get('after') ?? batch);
      const rows = after < batch ? await store.rows('SELECT DISTINCT target FROM millrace.batch WHERE batch > $1', [after]) : [];
      return { batch, targets: rows.map(({ target }) => String(target)) };
    },
    'GET /state': async () => ({
      positions: Object.fromEntries(store.positions()),
      batch: store.batch(),
      quarantined: Object.fromEntries(
        (await store.rows(`SELECT topic, count(*) AS n FROM millrace.quarantine WHERE replayed IS NULL GROUP BY topic`)).map((row) => [
          row['topic'],
          Number(row['n']),
        ]),
      ),
    }),
  };
}
