export { type Delivering, startDelivery } from './deliver.ts';
export type { Audited } from './views/audit.ts';
export type { Explained } from './views/explain.ts';
export { type Keeper, type KeeperOptions, openKeeper, type ViewFiles, type ViewState } from './views/keep.ts';
export { openQueries, type Queries, type QueriesOptions, type ScheduledQueryState } from './views/queries.ts';
export { type SessionFields, type SessionOptions, type SessionRule, sessionFields, sessionRules, sessionViews } from './views/sessions.ts';
