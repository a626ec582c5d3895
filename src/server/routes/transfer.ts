import type { FastifyInstance } from 'fastify';
import { fail, isTableWord, isWatchedSource, type Transfer } from '#core';
import { type Front, secretFile } from '#platform';
import type {
  TransferAnswer,
  TransferGuessAnswer,
  TransferPlanAnswer,
  TransferRun,
  TransferRunAnswer,
  TransferRunsAnswer,
  TransferScheduleAnswer,
  TransferStateAnswer,
  TransfersAnswer,
} from '../api.ts';
import { demand, readable, runWithoutValues, withoutValues } from '../rights.ts';

const ROWS = 20;

export function transferRoutes(app: FastifyInstance, front: Front): void {
  const { transfers, warehouse, guard } = front;

  const scheduleOf = ({ name, schedule }: Transfer): TransferScheduleAnswer | null => {
    if (schedule === undefined) return null;
    const { cron } = schedule;
    const next = transfers.next(name);
    const kind = cron === 'always' ? 'follow' : cron === 'files' ? 'watch' : 'cron';
    return { kind, cron: kind === 'cron' ? cron : null, next: next === null ? null : new Date(next).toISOString() };
  };

  const targetsOf = ({ tables }: Transfer): string[] => tables.map(({ target }) => target);

  app.get('/v1/transfers', { config: { action: 'catalog' } }, async (request): Promise<TransfersAnswer> => {
    const { transfers: found, problems } = transfers.list();
    const theirs = await readable(front, request.principal, found.map(targetsOf));
    return {
      transfers: found.map((transfer, k) => ({
        name: transfer.name,
        source: transfer.source,
        tables: transfer.tables.length,
        schedule: scheduleOf(transfer),
        last: theirs[k]! ? transfers.last(transfer.name) : runWithoutValues(transfers.last(transfer.name)),
      })),
      problems,
    };
  });

  app.post<{ Body: { address?: unknown; name?: unknown } | null }>(
    '/v1/transfers/guess',
    { config: { action: 'connect' } },
    async ({ body }): Promise<TransferGuessAnswer> => {
      const { address, name } = body ?? {};
      if (typeof address !== 'string')
        return fail('QUERY_BODY', { problem: 'address is a text, like mysql://user:password@host/database' });
      const kept = name === undefined ? {} : { kept: secretFile(checkedName(name)) };
      return transfers.ask({
        kind: 'guess',
        folder: front.workspace.path,
        anywhere: false,
        address,
        ...kept,
      }) as Promise<TransferGuessAnswer>;
    },
  );

  app.put<{ Params: { name: string }; Body: { definition?: unknown; password?: unknown } | null }>(
    '/v1/transfers/:name',
    { config: { action: 'connect' } },
    async (request): Promise<TransferAnswer> => {
      const name = checkedName(request.params.name);
      const { definition, password = null } = request.body ?? {};
      if (typeof definition !== 'string') return fail('QUERY_BODY', { problem: 'definition is the text of transfers/NAME.yaml' });
      if (password !== null && typeof password !== 'string') return fail('QUERY_BODY', { problem: 'password is a text' });
      const made = transfers.create(name, definition, password);
      guard.audit({ who: request.principal.name, action: 'connect', on: `transfer ${name}`, outcome: 'done', from: request.ip });
      const { source, tables } = made;
      return { name, source, tables, schedule: scheduleOf(made), last: null, comparison: null };
    },
  );

  app.get<{ Params: { run: string } }>(
    '/v1/transfers/runs/:run',
    { config: { action: 'load' } },
    async ({ params, principal }): Promise<TransferRun> => {
      const run = (transfers.run(params.run) as TransferRun | null) ?? fail('TRANSFER_RUN_UNKNOWN', { run: params.run.slice(0, 50) });
      const [theirs] = await readable(front, principal, [(run.report?.tables ?? []).map(({ target }) => target)]);
      return theirs! ? run : runWithoutValues(run)!;
    },
  );

  app.get<{ Params: { name: string } }>(
    '/v1/transfers/:name',
    { config: { action: 'catalog' } },
    async ({ params, principal }): Promise<TransferAnswer> => {
      const transfer = transfers.get(params.name);
      const { name, source, tables } = transfer;
      const schedule = scheduleOf(transfer);
      const [theirs] = await readable(front, principal, [targetsOf(transfer)]);
      const shown = (run: TransferRun | null) => (theirs! ? run : runWithoutValues(run));
      return { name, source, tables, schedule, last: shown(transfers.last(name)), comparison: shown(transfers.comparison(name)) };
    },
  );

  app.post<{ Params: { name: string; verb: string } }>(
    '/v1/transfers/:name/:verb',
    { config: { action: 'load' } },
    async (request): Promise<TransferRunAnswer> => {
      const { name, verb } = request.params;
      if (verb !== 'run' && verb !== 'verify') return fail('ROUTE_UNKNOWN', { method: 'POST', path: request.url.slice(0, 200) });
      const targets = targetsOf(transfers.get(name));
      await demand(front, request.principal, verb === 'run' ? { write: targets } : { read: targets });
      const run = transfers.start(name, verb);
      guard.audit({ who: request.principal.name, action: 'load', on: `transfer ${name}: ${verb}`, outcome: 'done', from: request.ip });
      return { run };
    },
  );

  app.delete<{ Params: { name: string } }>('/v1/transfers/:name/run', { config: { action: 'load' } }, async ({ params }) => {
    const stopping = transfers.cancel(params.name);
    // One that runs is stopped whatever has become of its file.
    if (!stopping) transfers.get(params.name);
    return { stopping };
  });

  app.get<{ Params: { name: string }; Querystring: { rows?: string } }>(
    '/v1/transfers/:name/preview',
    { config: { action: 'load' } },
    async ({ params, query, principal }) => {
      const transfer = transfers.get(params.name);
      await demand(front, principal, { read: targetsOf(transfer) });
      const rows = Math.min(1000, Math.max(1, Number(query.rows ?? ROWS) || ROWS));
      return { tables: await transfers.ask({ kind: 'preview', folder: front.workspace.path, anywhere: false, transfer, rows }) };
    },
  );

  app.get<{ Params: { name: string } }>(
    '/v1/transfers/:name/plan',
    { config: { action: 'load' } },
    async ({ params, principal }): Promise<TransferPlanAnswer> => {
      const transfer = transfers.get(params.name);
      await demand(front, principal, { read: targetsOf(transfer) });
      const job = { kind: 'plan', folder: front.workspace.path, anywhere: false, transfer } as const;
      const tables = (await transfers.ask(job)) as Omit<TransferPlanAnswer['tables'][number], 'drift'>[];
      // A run under `discard` changes no column, and one under `freeze` is refused.
      const evolving = (target: string) => transfer.tables.some((each) => each.target === target && each.drift === 'evolve');
      const asked = tables.map(({ target, mode, columns }) => ({
        table: target,
        columns: evolving(target) ? columns : [],
        drops: evolving(target) && mode === 'full',
      }));
      const drift = await warehouse.json<TransferPlanAnswer['tables'][number]['drift'][]>('POST', '/views/drift', { tables: asked });
      return { tables: tables.map((table, k) => ({ ...table, drift: drift[k]! })) };
    },
  );

  app.get<{ Params: { name: string } }>(
    '/v1/transfers/:name/state',
    { config: { action: 'catalog' } },
    async ({ params, principal }): Promise<TransferStateAnswer> => {
      const transfer = transfers.get(params.name);
      const { states } = await warehouse.json<TransferStateAnswer>('GET', '/transfer/state');
      const [theirs] = await readable(front, principal, [targetsOf(transfer)]);
      // A cursor is a value of the newest row.
      return { states: states.flatMap((state) => (state.transfer !== transfer.name ? [] : theirs! ? state : { ...state, cursor: null })) };
    },
  );

  app.put<{ Params: { name: string }; Body: { table?: unknown; cursor?: unknown } | null }>(
    '/v1/transfers/:name/state',
    { config: { action: 'define' } },
    async (request) => {
      const { table, cursor } = request.body ?? {};
      const transfer = transfers.get(request.params.name);
      const found = transfer.tables.find((each) => each.source === table) ?? fail('TRANSFER_TABLE', { table: String(table).slice(0, 100) });
      if (cursor !== null && typeof cursor !== 'string')
        fail('REQUEST_INVALID', { problem: '"cursor" must be text, or null to begin anew' });
      await demand(front, request.principal, { write: [found.target] });
      const at = { transfer: transfer.name, source: found.source, target: found.target, mode: found.mode, cursor: found.cursor };
      const parts = isWatchedSource(transfer.source);
      if (parts && cursor !== null)
        fail('REQUEST_INVALID', { problem: 'each file has a state of its own; null (none) reads all of them again' });
      if (found.cursor === null && found.mode !== 'cdc' && cursor !== null)
        fail('REQUEST_INVALID', { problem: `"${found.source}" has no cursor; null (none) begins anew` });
      await warehouse.json('POST', parts ? '/transfer/anew' : '/transfer/cursor', parts ? { at } : { at, cursor });
      guard.audit({
        who: request.principal.name,
        action: 'define',
        on: `transfer ${transfer.name}: cursor`,
        outcome: 'done',
        from: request.ip,
      });
      return {};
    },
  );

  app.get<{ Params: { name: string } }>(
    '/v1/transfers/:name/runs',
    { config: { action: 'catalog' } },
    async ({ params, principal }): Promise<TransferRunsAnswer> => {
      const transfer = transfers.get(params.name);
      const { runs } = await warehouse.json<TransferRunsAnswer>('GET', `/transfer/runs?transfer=${encodeURIComponent(transfer.name)}`);
      const theirs = await readable(
        front,
        principal,
        runs.map(({ tables }) => [...targetsOf(transfer), ...tables.map(({ target }) => target)]),
      );
      return { runs: runs.map((run, k) => (theirs[k]! ? run : withoutValues(run))) };
    },
  );
}

/** It becomes a file's name. */
function checkedName(name: unknown): string {
  if (typeof name === 'string' && isTableWord(name)) return name;
  return fail('QUERY_BODY', { problem: 'the name of a transfer is letters (no capitals), digits and _, at most 63' });
}
