/** What is asked in any case is asked for when the page's first script runs, before the console's code is read. */

/** Who is there, and the dashboard that the address names. A token in the address is traded for a session first. */
const signedIn = location.hash === '' && location.pathname !== '/shared';

/** A part of an address; null where it is none, as a lone % is. */
export function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

const named = /^\/dashboards\/([^/]+)$/.exec(location.pathname)?.[1] ?? '';
/** The name of the dashboard, as it stands in the address. */
export const namedDashboard = signedIn && decoded(named) ? named : undefined;

/** Answers to `GET path` that were asked for by then; each is taken once. */
export const begun = new Map<string, Promise<Response>>();
if (signedIn) begun.set('/v1/session', fetch('/v1/session'));
if (namedDashboard !== undefined) begun.set(`/v1/dashboards/${namedDashboard}`, fetch(`/v1/dashboards/${namedDashboard}`));
// Whoever takes it hears that it failed.
for (const answer of begun.values()) answer.catch(() => {});
