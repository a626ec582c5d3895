export type { Action, Reach } from './actions.ts';
export { actions, mayDo, policy } from './actions.ts';
export type { AuditEntry } from './audit.ts';
export type { Guard } from './guard.ts';
export { openGuard } from './guard.ts';
export { type Links, openLinks } from './links.ts';
export { checkListen } from './listen.ts';
export type { TokenInfo } from './tokens.ts';
