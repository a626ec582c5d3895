/** The warehouse child's side of questions: queries and their jobs, answers, tables, views, loads. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { type Analyst, type Answer, type Answers, traceOf } from '#analyze';
import { asMillraceError, MillraceError } from '#core';
import type { Store } from '#store';
import { goneSignal, type Routes, send } from './http.ts';

interface Asked {
  readonly store: Store;
  readonly analyst: Analyst;
  readonly answers: Answers;
  readonly views: () => unknown;
  readonly beforeLoad: (table: string) => void;
}

export function questionRoutes({ store, analyst, answers, views, beforeLoad }: Asked): Routes {
  return {
    'POST /query': async ({ who, request, response }) => {
      const asked = (await json(request)) as { sql: string };
      const signal = goneSignal(response);
      send(response, await analyst.ask({ ...asked, sql: await answers.expand(asked.sql, who), who, signal } as never));
    },
    /** Several at once: a line for each as it is done, `{"at": its place, "answer" or "error": …}`. */
    'POST /questions': async ({ who, request, response }) => {
      const { questions } = (await json(request)) as { questions: { sql: string }[] };
      const signal = goneSignal(response);
      const lines = newLines(response);
      const expanded = await Promise.all(
        questions.map(async (asked, at) => {
          try {
            return { at, asking: { ...asked, sql: await answers.expand(asked.sql, who), who, signal } };
          } catch (thrown) {
            lines.refusal(at, asMillraceError(thrown));
            return null;
          }
        }),
      );
      const left = expanded.filter((each) => each !== null);
      await analyst.together(
        left.map(({ asking }) => asking as never),
        (k, outcome) => {
          const { at } = left[k]!;
          if (outcome instanceof MillraceError) lines.refusal(at, outcome);
          else lines.answer(at, outcome);
        },
      );
      await lines.end();
      return undefined;
    },
    'POST /trace': async ({ who, request }) => {
      const { sql } = (await json(request)) as { sql: string };
      const whole = await answers.expand(sql, who);
      const reader = await store.reader();
      try {
        return await traceOf(whole, reader);
      } finally {
        reader.close();
      }
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
      beforeLoad(load.table);
      if (load.format === 'csv') {
        // With it come the clients of other databases, which would take 7 MB of every warehouse.
        const { rewriteInUtf8 } = await import('#transfer');
        await rewriteInUtf8(load.file);
      }
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

/** Answers as lines of JSON, one after the other however they come. */
function newLines(response: ServerResponse): {
  answer(at: number, answer: Answer): void;
  refusal(at: number, error: MillraceError): void;
  end(): Promise<void>;
} {
  let last: Promise<void> = Promise.resolve();
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const write = async (bytes: string | Buffer) => {
    if (!response.write(bytes) && !response.destroyed)
      await Promise.race([once(response, 'drain'), once(response, 'close')]).catch(() => {});
  };
  return {
    answer(at, { body }) {
      last = last.then(async () => {
        await write(`{"at":${at},"answer":`);
        // The line breaks of an answer stand between its rows; within texts they are written \n.
        for await (const piece of body) await write(Buffer.from(piece as Buffer).map((byte) => (byte === 10 ? 32 : byte)) as Buffer);
        await write('}\n');
      });
    },
    refusal(at, { body }) {
      last = last.then(() => write(`${JSON.stringify({ at, error: body })}\n`));
    },
    async end() {
      await last;
      response.end();
    },
  };
}
