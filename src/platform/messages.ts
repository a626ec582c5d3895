/** What the front and the warehouse child say to each other over IPC; questions and bulk go over the child's socket instead. */
import type { ModelEntry } from '#analyze';
import type { Bytes, Position, Role, Topic, Weekday } from '#core';

/** Given to the child when it is forked. */
export interface ChildConfig {
  /** The user's folder, for the definitions of views. */
  readonly workspace: string;
  /** The workspace's, when Millrace started. */
  readonly timeZone: string;
  readonly weekStart: Weekday;
  readonly dataPath: string;
  readonly socket: string;
  readonly memory: Bytes;
  readonly threads: number;
  readonly limits: Readonly<Record<Role, { seconds: number; rows: number; concurrency: number }>>;
  /** Why questions that began before this process and have no end were lost, in words. */
  readonly lost: string;
}

export type ToChild =
  | { readonly kind: 'topics'; readonly topics: readonly Topic[] }
  | { readonly kind: 'durable'; readonly durable: Readonly<Record<string, Position>> }
  /** Memory is short: stop the largest query. */
  | { readonly kind: 'relieve' };

export type FromChild =
  | { readonly kind: 'delivered'; readonly topics: readonly { topic: string; to: Position; columns: readonly string[] }[] }
  /** After each change: all models that there are. */
  | { readonly kind: 'models'; readonly models: readonly ModelEntry[] }
  | { readonly kind: 'problem'; readonly message: string };

/** What the child says when it is ready. */
export interface ChildReady {
  readonly positions: Readonly<Record<string, Position>>;
  readonly models: readonly ModelEntry[];
}
