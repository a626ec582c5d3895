import type { Dashboard } from '#visualize';

export interface Draft {
  readonly base: Dashboard;
  /** null: it is written anew, since somebody removed it meanwhile. */
  readonly version: string | null;
  readonly now: Dashboard;
}

export const keyOf = (name: string) => `millrace.dashboard.${name}`;

/** An edit that was not saved, of this window: a reload or a lost connection takes nothing away. */
export function keptDraft(name: string): Draft | null {
  const text = sessionStorage.getItem(keyOf(name));
  return text === null ? null : (JSON.parse(text) as Draft);
}
