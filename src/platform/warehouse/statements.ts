import { type Models, modelStatement, type OwnStatements } from '#analyze';
import { type ErrorCode, MillraceError, type Principal } from '#core';
import type { Keeper, Queries, ViewState } from '#process';
import type { ExplainMaterializedViewStatement, Statement } from '#sql';
import type { Blast } from './blast.ts';
import type { Rights } from './rights.ts';
import { viewsFor } from './views.ts';

/** Statements about views, scheduled queries and models, as questions see them. */
export interface Owners {
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly models: Models;
  readonly blast: Blast;
  readonly rights: Pick<Rights, 'mayRead'>;
}

export function ownStatements(owners: Owners): OwnStatements {
  const { keeper, queries, blast } = owners;
  return Object.assign(carriedOut(owners), {
    async before(statement: Statement) {
      await blast.check(statement);
      await queries.before(statement, await alsoGone(keeper, statement));
      await keeper.before(statement);
    },
  });
}

/** What a drop with CASCADE takes along. */
async function alsoGone(keeper: Keeper, statement: Statement): Promise<readonly string[]> {
  if (statement.kind !== 'drop' && statement.kind !== 'drop_materialized_view') return [];
  const table = `${statement.target.schema}.${statement.target.name}`;
  return [...keeper.readersOf(table), ...(await keeper.plainReadersOf(table))].map((each) => each.toLowerCase());
}

function carriedOut({ keeper, queries, models, blast, rights }: Owners): OwnStatements {
  const text = (...names: string[]) => names.map((name) => ({ name, type: 'VARCHAR' }));
  return async (statement, who, asked) => {
    switch (statement.kind) {
      case 'create_materialized_view': {
        const sent = { ...statement, text: asked.text };
        await blast.check(sent);
        const view = await keeper.create(sent, asked.cancel);
        return {
          columns: text('view', 'mode', 'reasons'),
          rows: [[view.full, view.plan.column === null ? 'whole' : 'partitions', view.plan.reasons.join('; ')]],
        };
      }
      case 'refresh_materialized_view':
      case 'pause_materialized_view':
      case 'resume_materialized_view':
      case 'drop_materialized_view':
        await blast.check(statement);
        await queries.before(statement, await alsoGone(keeper, statement));
        await untold(() => keeper.command(statement), { who, rights, of: keeper.states(), name: nameOf(statement) });
        return { columns: text('statement', 'view'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      case 'explain_materialized_view':
        return {
          columns: text('aspect', 'detail'),
          rows: (await keeper.explain(asSent(statement, asked.text))).map(({ aspect, detail }) => [aspect, detail]),
        };
      case 'show_materialized_views':
        return { columns: shownColumns, rows: viewsFor(who, keeper.states(), rights).map(shown) };
      case 'create_scheduled_query':
        await queries.create({ ...statement, text: asked.text });
        return { columns: text('query'), rows: [[`${statement.target.schema}.${statement.target.name}`]] };
      case 'run_scheduled_query':
      case 'pause_scheduled_query':
      case 'resume_scheduled_query':
      case 'drop_scheduled_query':
        await untold(() => queries.command(statement), { who, rights, of: queries.states(), name: nameOf(statement) });
        return { columns: text('statement', 'query'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      case 'show_scheduled_queries':
        return {
          columns: text('query', 'cron', 'time_zone', 'write', 'state', 'next', 'last', 'outcome', 'error'),
          rows: queries.states().map((query) => [
            ...[query.name, query.cron, query.time_zone, query.write, query.state, query.next],
            ...[query.last?.due ?? null, query.last?.outcome ?? null],
            // It may quote a value of what the query read.
            query.last?.error == null || rights.mayRead(who, query.reads)
              ? (query.last?.error ?? null)
              : untoldOf('SCHEDULE_QUERY').message,
          ]),
        };
      case 'drop_model':
      case 'alter_model':
        await blast.check(statement);
        return modelStatement(models, statement, who, asked);
      default:
        return modelStatement(models, statement, who, asked);
    }
  };
}

const nameOf = ({ target }: { readonly target: { readonly schema: string; readonly name: string } }) => `${target.schema}.${target.name}`;

const untoldOf = (code: ErrorCode, cause?: unknown) => new MillraceError('GRANTS_UNTOLD', { code }, cause);

interface Telling {
  readonly who: Principal;
  readonly rights: Pick<Rights, 'mayRead'>;
  /** Of which one is `name`, with all that it reads. */
  readonly of: readonly { readonly name: string; readonly reads: readonly string[] }[];
  readonly name: string;
}

/** The engine's words of what went wrong may quote a value of what was read. */
async function untold(work: () => Promise<unknown>, { who, rights, of, name }: Telling): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const reads = of.find((each) => each.name.toLowerCase() === name.toLowerCase())?.reads ?? [];
    const quotes = !(thrown instanceof MillraceError) || 'problem' in thrown.params;
    if (!quotes || rights.mayRead(who, [name, ...reads])) throw thrown;
    throw untoldOf(thrown instanceof MillraceError ? thrown.code : 'SQL_FAILED', thrown);
  }
}

/** What was read had the queries of its calls of models in their place. */
const asSent = (statement: ExplainMaterializedViewStatement, text: string): ExplainMaterializedViewStatement =>
  statement.create === null ? statement : { ...statement, create: { ...statement.create, text } };

const shownColumns = [
  ...['view', 'source', 'mode', 'state', 'reasons', 'error', 'building', 'refreshed'].map((name) => ({ name, type: 'VARCHAR' })),
  ...['late_rows', 'audit_differences'].map((name) => ({ name, type: 'BIGINT' })),
  { name: 'models', type: 'VARCHAR' },
];

function shown(view: ViewState): (string | number | null)[] {
  const building = view.building === null ? null : `${view.building.done} of ${view.building.of} chunks`;
  const words = [view.reasons.join('; '), view.error?.message ?? null, building, view.refreshed];
  const models = view.models.map(({ spelled, version }) => `${spelled}: version ${version}`).join('; ') || null;
  return [view.name, view.source, view.mode, view.state, ...words, view.late?.rows ?? null, view.audit?.found ?? null, models];
}
