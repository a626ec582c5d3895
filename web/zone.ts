/** The workspace's clock: its days are the days of every page, wherever the reader is. */
let zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** Making one is dear, and every tile asks for the day. */
let days: Intl.DateTimeFormat | null = null;

/** Said once, when somebody has signed in. */
export function setZone(next: string): void {
  if (next !== zone) days = null;
  zone = next;
}

export const workspaceZone = (): string => zone;

/** Today there, as an ISO day. */
export function today(now = new Date()): string {
  days ??= new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' });
  return days.format(now);
}
