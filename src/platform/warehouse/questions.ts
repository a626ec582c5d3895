/** The warehouse child's side of questions: queries and their jobs, answers, tables, views, loads. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { type Analyst, type Answer, type Answers, type Called, traceOf } from '#analyze';
import { asMillraceError, MillraceError, type Principal } from '#core';
import type { Store } from '#store';
import { goneSignal, type Routes, send } from './http.ts';
import type { Rights } from './rights.ts';

interface Asked {
  readonly store: Store;
  readonly analyst: Analyst;
  readonly answers: Answers;
  readonly rights: Pick<Rights, 'checkWrite'>;
  readonly views: (who: Principal | null) => unknown;
  readonly beforeLoad: (table: string) => void;
}

/** `evidence`: what its calls of answers stand on comes too, or comes alone. */
interface Question {
  readonly sql: string;
  readonly evidence?: boolean | 'only';
}

interface Expanded extends Question {
  readonly who: Principal;
  readonly signal: AbortSignal;
  readonly calls: readonly Called[];
}

export function questionRoutes({ store, analyst, answers, rights, views, beforeLoad }: Asked): Routes {
  const expand = async (asked: Question, who: Principal, signal: AbortSignal): Promise<Expanded> => ({
    ...asked,
    ...(await answers.expand(asked.sql, who)),
    who,
    signal,
  });

  function ask({ calls, evidence = false, ...asking }: Expanded): Promise<Answer> {
    const rows = () => analyst.ask(asking as never);
    if (evidence === false) return rows();
    return answers.withEvidence({ sql: asking.sql, calls }, evidence === 'only' ? asking : { ...asking, ask: rows });
  }

  return {
    'POST /query': async ({ who, request, response }) => {
      const asked = (await json(request)) as Question;
      send(response, await ask(await expand(asked, who, goneSignal(response))));
    },
    /** Several at once: a line for each as it is done, `{"at": its place, "answer" or "error": …}`. */
    'POST /questions': async ({ who, request, response }) => {
      const { questions } = (await json(request)) as { questions: Question[] };
      const signal = goneSignal(response);
      const lines = newLines(response);
      const expanded = await Promise.all(
        questions.map(async (asked, at) => {
          try {
            return { at, asking: await expand(asked, who, signal) };
          } catch (thrown) {
            lines.refusal(at, asMillraceError(thrown));
            return null;
          }
        }),
      );
      const all = expanded.filter((each) => each !== null);
      const hear = (at: number, outcome: Answer | MillraceError) =>
        outcome instanceof MillraceError ? lines.refusal(at, outcome) : lines.answer(at, outcome);
      const plain = all.filter(({ asking: { evidence = false } }) => evidence === false);
      await Promise.all([
        analyst.together(
          plain.map(({ asking }) => asking as never),
          (k, outcome) => hear(plain[k]!.at, outcome),
        ),
        inTurn(
          all.filter((each) => !plain.includes(each)),
          async ({ at, asking }) => hear(at, await ask(asking).catch(asMillraceError)),
        ),
      ]);
      await lines.end();
      return undefined;
    },
    'POST /trace': async ({ who, request }) => {
      const { sql } = (await json(request)) as { sql: string };
      const { sql: whole } = await answers.expand(sql, who);
      const reader = await store.reader();
      try {
        return { ...(await traceOf(whole, reader)), sql: whole };
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
    'POST /load': async ({ who, request }) => {
      const load = (await json(request)) as Parameters<Store['load']>[0];
      rights.checkWrite(who, [load.table]);
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
    'GET /views': async ({ who }) => views(who),
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

/** One after the other: evidence is dear, and the places are for rows. */
async function inTurn<T>(list: readonly T[], each: (one: T) => Promise<void>): Promise<void> {
  for (const one of list) await each(one);
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
