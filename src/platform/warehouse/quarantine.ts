/** The warehouse child's side of quarantine: what was refused, and what of it was replayed. */
import { json } from 'node:stream/consumers';
import type { Principal } from '#core';
import { type Store, text } from '#store';
import type { Routes } from './http.ts';
import type { Rights } from './rights.ts';

/** Before the name of a transfer's target stands this where a record has its topic. */
const TRANSFER = 'transfer:';

export function quarantineRoutes(store: Store, rights: Pick<Rights, 'mayRead'>): Routes {
  /** The condition that a row was on its way to a table that the asker may read: its reason may quote a value. */
  async function readable(who: Principal | null): Promise<string> {
    if (who === null || who.role === 'admin') return 'true';
    const topics = (await store.rows('SELECT DISTINCT topic FROM millrace.quarantine')).map((row) => String(row['topic']));
    const theirs = topics.filter((topic) =>
      rights.mayRead(who, [topic.startsWith(TRANSFER) ? topic.slice(TRANSFER.length) : `raw.${topic}`]),
    );
    return `topic IN (${theirs.map(text).join(', ') || 'NULL'})`;
  }

  return {
    'GET /quarantine': async ({ who, query }) => quarantine(store, query, await readable(who)),
    'GET /quarantine/counts': async ({ who }) => ({
      counts: (
        await store.rows(
          `SELECT topic, code, count(*) FILTER (WHERE replayed IS NULL) AS waiting, count(replayed) AS replayed
           FROM millrace.quarantine WHERE ${await readable(who)} GROUP BY ALL ORDER BY topic, waiting DESC, code`,
        )
      ).map((row) => ({ ...row, waiting: Number(row['waiting']), replayed: Number(row['replayed']) })),
    }),
    'POST /quarantine/rows': async ({ request }) => replayable(store, (await json(request)) as Replaying),
    'POST /quarantine/replayed': async ({ request }) => {
      const { ids } = (await json(request)) as { ids: string[] };
      await store.write((tx) =>
        tx.run(`UPDATE millrace.quarantine SET replayed = now() WHERE id IN (${ids.map(text).join(', ') || "''"})`),
      );
      return {};
    },
    'POST /quarantine/expire': async ({ request }) => {
      const { before } = (await json(request)) as { before: string };
      const rows = await store.write(async (tx) => {
        const gone = await tx.run(`DELETE FROM millrace.quarantine WHERE received < ${text(before)}::TIMESTAMPTZ`);
        // Nothing waits behind a row that can't be replayed any more.
        await tx.run('DELETE FROM millrace.transfer_hold WHERE quarantine NOT IN (SELECT id FROM millrace.quarantine)');
        return gone;
      });
      return { rows };
    },
  };
}

interface Replaying {
  readonly topic?: string;
  readonly ids?: readonly string[];
  readonly after?: string;
  readonly limit: number;
}

/** Records with their bytes, in the order in which they arrived, that were not replayed yet; rows of transfers go another way. An id ends with a position, without leading zeros. */
async function replayable(store: Store, replaying: Replaying): Promise<unknown> {
  const conditions = ['replayed IS NULL', "NOT starts_with(topic, 'transfer:')"];
  if (replaying.topic !== undefined) conditions.push(`topic = ${text(replaying.topic)}`);
  if (replaying.ids !== undefined) conditions.push(`id IN (${replaying.ids.map(text).join(', ') || "''"})`);
  if (replaying.after !== undefined)
    conditions.push(
      `(received, length(id), id) > (SELECT (received, length(id), id) FROM millrace.quarantine WHERE id = ${text(replaying.after)} LIMIT 1)`,
    );
  const rows = await store.rows(
    `SELECT id, topic, record, to_base64(body) AS body FROM millrace.quarantine WHERE ${conditions.join(' AND ')} ORDER BY received, length(id), id LIMIT ${Math.floor(replaying.limit)}`,
  );
  return { rows };
}

async function quarantine(store: Store, query: URLSearchParams, readable: string): Promise<unknown> {
  const limit = Math.min(10_000, Math.max(1, Number(query.get('limit') ?? 100) || 100));
  const topic = query.get('topic');
  const body = query.get('bytes') === '1' ? `, coalesce(try(decode(body)), 'base64:' || to_base64(body)) AS body` : '';
  const rows = await store.rows(
    `SELECT id, topic, strftime(received, '%Y-%m-%dT%H:%M:%S.%gZ') AS received, code, reason${body}, strftime(replayed, '%Y-%m-%dT%H:%M:%S.%gZ') AS replayed
     FROM millrace.quarantine WHERE ${readable}${topic === null ? '' : ` AND topic = ${text(topic)}`} ORDER BY quarantine.received DESC, id LIMIT ${limit}`,
  );
  return { rows };
}
