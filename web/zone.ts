/** The workspace's clock: its days are the days of every page, wherever the reader is. */
let zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Said once, when somebody has signed in. */
export function setZone(next: string): void {
  zone = next;
}

export const workspaceZone = (): string => zone;

/** Today there, as an ISO day. */
export function today(now = new Date()): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' }).format(now);
}
