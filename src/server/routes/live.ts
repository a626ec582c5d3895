import type { FastifyInstance } from 'fastify';
import { fail, type Millis, type Table } from '#core';
import type { Front } from '#platform';
import { fullName, named } from '#sql';
import type { Dashboard } from '#visualize';
import type { LiveEvent, ViewsAnswer } from '../api.ts';
import { about } from './dashboards.ts';

const LOOK: Millis = 1_000;
const BEAT: Millis = 15_000;
/** Whoever opens it again shows that he still may. */
const LONGEST: Millis = 600_000;
const MOST_STREAMS = 200;

type Change = (changed: ReadonlySet<string>, tables: readonly Table[]) => void;

/** Server-sent streams that say which tiles of a dashboard read something new. One look a second serves them all, and none looks while none is open. */
export function liveRoutes(app: FastifyInstance, front: Front): void {
  const files = front.dashboards;
  const watch = watching(front);
  app.addHook('onClose', async () => watch.stop());

  app.get<{ Params: { name: string } }>('/v1/dashboards/:name/live', { config: { action: 'catalog' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    files.read(name);
    if (watch.count() >= MOST_STREAMS) fail('LIVE_BUSY', { streams: MOST_STREAMS });
    // From here on nothing is missed.
    await watch.begin();
    reply.hijack();
    const { raw } = reply;
    // Whoever left meanwhile has no end to be heard of any more, and would be told for ever.
    if (raw.closed || raw.destroyed) return;
    raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    raw.write('retry: 2000\n: here\n\n');
    const end = watch.tell(
      (changed, tables) => {
        const dashboard = files.names().includes(name) ? about(files, name, files.read(name)).dashboard : null;
        const tiles = dashboard === null ? [] : touched(dashboard, changed, tables);
        if (tiles.length > 0) raw.write(`event: changed\ndata: ${JSON.stringify({ tiles } satisfies LiveEvent)}\n\n`);
      },
      () => raw.end(),
    );
    const beat = setInterval(() => raw.write(': here\n\n'), BEAT);
    const last = setTimeout(() => raw.end(), LONGEST);
    raw.once('close', () => {
      clearInterval(beat);
      clearTimeout(last);
      end();
    });
  });
}

/** The tiles that read a changed table. What an answer or a view made by a statement reads is not known here: any change may be theirs. */
function touched({ tiles }: Dashboard, changed: ReadonlySet<string>, tables: readonly Table[]): number[] {
  return tiles.flatMap(({ sql }, at) => {
    if (sql === null) return [];
    const { found, called } = named(sql, tables);
    const any = called.length > 0 || found.some(({ kind, origin }) => kind === 'view' && origin !== 'view');
    return any || found.some((table) => changed.has(fullName(table))) ? [at] : [];
  });
}

/** One that can't look says so by ending the streams: the page shows that it is lost, and opens its own again. */
function watching(front: Front): {
  begin(): Promise<void>;
  tell(change: Change, lost: () => void): () => void;
  count(): number;
  stop(): void;
} {
  const told = new Map<Change, () => void>();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let seen: number | null = null;

  async function look(): Promise<void> {
    const after = seen === null ? '' : `?after=${seen}`;
    const { batch, targets } = await front.warehouse.json<{ batch: number; targets: string[] }>('GET', `/written${after}`);
    const from = seen ?? batch;
    seen = batch;
    if (batch <= from) return;
    const [{ views }, tables] = await Promise.all([
      front.warehouse.json<Pick<ViewsAnswer, 'views'>>('GET', '/views'),
      front.warehouse.json<Table[]>('GET', '/tables'),
    ]);
    const changed = new Set([...targets, ...views.flatMap((view) => ((view.batch ?? 0) > from ? view.name : []))]);
    for (const change of told.keys()) change(changed, tables);
  }

  function again(): void {
    timer = setTimeout(() => look().then(next, lose), LOOK);
    timer.unref();
  }

  function next(): void {
    timer = null;
    if (told.size > 0) again();
    else seen = null;
  }

  function lose(): void {
    for (const lost of told.values()) lost();
    told.clear();
    next();
  }

  return {
    async begin() {
      if (timer !== null) return;
      again();
      await look();
    },
    tell(change, lost) {
      told.set(change, lost);
      if (timer === null) again();
      return () => told.delete(change);
    },
    count: () => told.size,
    stop: () => {
      for (const lost of told.values()) lost();
      told.clear();
      if (timer !== null) clearTimeout(timer);
    },
  };
}
