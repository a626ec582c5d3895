export { type Delivering, startDelivery } from './deliver.ts';
export { type Keeper, openKeeper, type ViewFiles, type ViewState } from './views/keep.ts';
export { type SessionFields, type SessionOptions, type SessionRule, sessionRules, sessionViews } from './views/sessions.ts';
