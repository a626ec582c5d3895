import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import { mayDo } from '#guard';
import type { Front } from '#platform';
import type { ReplayAnswer } from '../api.ts';
import { pipe } from './pipe.ts';

const AT_ONCE = 500;

export function quarantineRoutes(app: FastifyInstance, front: Front): void {
  let last: Promise<unknown> = Promise.resolve();
  /** One replay after the other: two at once would both send what neither has marked yet, and count it twice. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };

  app.get<{ Querystring: { topic?: string; limit?: string } }>(
    '/v1/quarantine',
    { config: { action: 'quarantine_read' } },
    async (request, reply) => {
      const query = new URLSearchParams();
      for (const name of ['topic', 'limit'] as const) if (request.query[name] !== undefined) query.set(name, request.query[name]);
      if (mayDo(request.principal, 'quarantine_bytes')) query.set('bytes', '1');
      return pipe(front, request, reply, { method: 'GET', path: `/quarantine?${query}` });
    },
  );

  app.get('/v1/quarantine/counts', { config: { action: 'quarantine_read' } }, async (request, reply) =>
    pipe(front, request, reply, { method: 'GET', path: '/quarantine/counts' }),
  );

  app.post<{ Body: { topic?: unknown; ids?: unknown } | null }>(
    '/v1/quarantine/replay',
    { config: { action: 'replay' } },
    async (request): Promise<ReplayAnswer> => {
      const { topic, ids } = request.body ?? {};
      if (topic !== undefined && typeof topic !== 'string') fail('REQUEST_INVALID', { problem: '"topic" is not text' });
      if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === 'string')))
        fail('REQUEST_INVALID', { problem: '"ids" is not a list of texts' });
      const answer = await inTurn(() => replay(front, request.principal.name, topic as string | undefined, ids as string[] | undefined));
      front.guard.audit({ who: request.principal.name, action: 'replay', on: topic ?? '*', outcome: 'done', from: request.ip });
      return answer;
    },
  );
}

/** Errors: those for which a door takes no record now. */
function refuseWithoutRoom({ doors }: Front): void {
  const refusal = doors.refusal();
  if (refusal !== null) throw refusal;
}

/** Rows of transfers go back to their tables, records to intake. */
async function replay(front: Front, sender: string, topic: string | undefined, ids: string[] | undefined): Promise<ReplayAnswer> {
  refuseWithoutRoom(front);
  const asked = { ...(topic === undefined ? {} : { topic }), ...(ids === undefined ? {} : { ids }) };
  const rows = await front.warehouse.json<ReplayAnswer>('POST', '/transfer/replay', asked);
  const records = await replayRecords(front, sender, asked);
  return {
    tried: rows.tried + records.tried,
    accepted: rows.accepted + records.accepted,
    rejected: rows.rejected + records.rejected,
  };
}

/**
 * Sends quarantined records through intake again, in the order in which they came. A record without an id gets the one that it would
 * have had, or one from its place in quarantine, and only those accepted are marked as replayed: stopped in the middle, it can be run
 * again and nothing is stored twice.
 */
async function replayRecords(front: Front, sender: string, meant: { topic?: string; ids?: string[] }): Promise<ReplayAnswer> {
  const answer: ReplayAnswer = { tried: 0, accepted: 0, rejected: 0 };
  for (let after: string | undefined; ; ) {
    const asked = { ...meant, limit: AT_ONCE, ...(after === undefined ? {} : { after }) };
    const { rows } = await front.warehouse.json<{ rows: Row[] }>('POST', '/quarantine/rows', asked);
    if (rows.length === 0) return answer;
    refuseWithoutRoom(front);
    const outcomes = await Promise.all(rows.map((row) => again(front, sender, row)));
    const taken = rows.filter((_, k) => outcomes[k]).map((row) => row.id);
    if (taken.length > 0) await front.warehouse.json('POST', '/quarantine/replayed', { ids: taken });
    answer.tried += rows.length;
    answer.accepted += taken.length;
    answer.rejected += rows.length - taken.length;
    after = rows.at(-1)!.id;
  }
}

interface Row {
  readonly id: string;
  readonly topic: string;
  /** The id that the record would have had, if that is known. */
  readonly record: string | null;
  readonly body: string;
}

function again(front: Front, sender: string, row: Row): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const topic = front.workspace.topic(row.topic);
    if (topic === undefined) return resolve(false);
    const sending = { sender, idempotencyKey: null, replayOf: row.record ?? `replay:${row.id}` };
    front.intake.take(topic, Buffer.from(row.body, 'base64'), sending, (error, taken) => {
      if (error !== null) reject(error);
      else resolve(taken.rejected === 0);
    });
  });
}
