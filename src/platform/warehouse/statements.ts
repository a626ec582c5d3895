import { type Models, type OwnStatements, toldOf } from '#analyze';
import type { Keeper } from '#process';

/** Statements about views and models, as questions see them. */
export function ownStatements(keeper: Keeper, models: Models): OwnStatements {
  const text = (...names: string[]) => names.map((name) => ({ name, type: 'VARCHAR' }));
  return async (statement, who, asked) => {
    switch (statement.kind) {
      case 'create_materialized_view': {
        const view = await keeper.create(statement);
        return {
          columns: text('view', 'mode', 'reasons'),
          rows: [[view.full, view.plan.column === null ? 'whole' : 'partitions', view.plan.reasons.join('; ')]],
        };
      }
      case 'refresh_materialized_view':
      case 'pause_materialized_view':
      case 'resume_materialized_view':
      case 'drop_materialized_view':
        await keeper.command(statement);
        return { columns: text('statement', 'view'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      case 'show_materialized_views':
        return {
          columns: text('view', 'source', 'mode', 'state', 'reasons', 'error'),
          rows: keeper
            .states()
            .map((view) => [view.name, view.source, view.mode, view.state, view.reasons.join('; '), view.error?.message ?? null]),
        };
      case 'create_model': {
        const created = await models.create(statement, { ...asked, who: who.name });
        return created === null
          ? { columns: text('model'), rows: [[`${statement.target.schema}.${statement.target.name}`]] }
          : toldOf(created);
      }
      case 'drop_model':
        await models.drop(statement);
        return { columns: text('statement', 'model'), rows: [[statement.kind, `${statement.target.schema}.${statement.target.name}`]] };
      default:
        return null;
    }
  };
}
