import type { ErrorCode } from './errors.ts';
import type { Position } from './schema.ts';

/** What became of one record at a door: a closed set. A rejected record stands in quarantine unless `kept` is false (its topic is unknown, say). */
export type Outcome =
  | { readonly kind: 'accepted'; readonly position: Position }
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly reason: string };
