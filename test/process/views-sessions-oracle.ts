/** Sessions by brute force, event after event as a person would count them: what the views must give. */

export interface Seen {
  readonly anonymous: string | null;
  readonly user: string | null;
  /** Another id of the same person. */
  readonly alias: string | null;
  readonly time: number;
  readonly position: number;
  readonly event: string | null;
  readonly page: string | null;
  readonly source: string | null;
  readonly medium: string | null;
  readonly campaign: string | null;
  readonly order: string | null;
  /** Cents. */
  readonly revenue: number | null;
}

export interface Session {
  readonly person: string;
  readonly started: number;
  ended: number;
  readonly number: number;
  events: Seen[];
  source: string;
  userSource: string;
  orders: number;
  revenue: number;
}

const MINUTE = 60_000_000;

export function sessionsOf(seen: readonly Seen[], rule: 'ga4' | 'posthog' | 'universal', zone: string): Session[] {
  const inTime = [...seen].sort((a, b) => a.time - b.time || a.position - b.position);
  const personOf = peopleOf(inTime);
  const people = new Map<string, Seen[]>();
  for (const one of inTime) {
    const person = personOf(one);
    if (person === null) continue;
    const own = people.get(person) ?? [];
    own.push(one);
    people.set(person, own);
  }
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone });
  const day = (micros: number) => format.format(new Date(micros / 1000));
  const all = [...people].flatMap(([person, events]) => personSessions(person, events, rule, day));
  countOrders(all);
  return all;
}

/** `inTime` is in the order of time. */
export function peopleOf(inTime: readonly Seen[]): (one: Seen) => string | null {
  const owners = new Map<string, string>();
  const groups = new Map<string, Set<string>>();
  for (const { anonymous, user, alias } of inTime) {
    const ids = [anonymous, alias].filter((id) => id !== null);
    if (user !== null) for (const id of ids) if (!owners.has(id)) owners.set(id, user);
    if (ids.length < 2) continue;
    const together = new Set(ids.flatMap((id) => [...(groups.get(id) ?? [id])]));
    for (const id of together) groups.set(id, together);
  }
  const firstUser = (group: ReadonlySet<string>) =>
    inTime.find(
      ({ anonymous, alias, user }) =>
        user !== null && ((anonymous !== null && group.has(anonymous)) || (alias !== null && group.has(alias))),
    )?.user;
  return ({ anonymous, user }) => {
    if (user !== null || anonymous === null) return user;
    const group = groups.get(anonymous) ?? new Set([anonymous]);
    return owners.get(anonymous) ?? firstUser(group) ?? [...group].sort()[0]!;
  };
}

function personSessions(person: string, events: readonly Seen[], rule: string, day: (micros: number) => string): Session[] {
  const sessions: Session[] = [];
  let known: string | null = null;
  let before: number | null = null;
  let lastTouch: { source: string; time: number } | null = null;
  for (const event of events) {
    const touch =
      event.source === null || ['(direct)', 'direct'].includes(event.source)
        ? null
        : JSON.stringify([event.source, event.medium, event.campaign]);
    const current = sessions.at(-1);
    const idle = before === null || event.time - before > 30 * MINUTE;
    const tooLong = rule === 'posthog' && current !== undefined && event.time - current.started > 24 * 60 * MINUTE;
    const midnight = rule === 'universal' && before !== null && day(event.time) !== day(before);
    const other = rule === 'universal' && before !== null && event.time > before && touch !== null && touch !== known;
    if (touch !== null) {
      known = touch;
      lastTouch = { source: event.source!, time: event.time };
    }
    if (idle || tooLong || midnight || other) {
      const alive = lastTouch !== null && event.time - lastTouch.time <= 90 * 24 * 60 * MINUTE;
      const source = alive ? lastTouch!.source : '(direct)';
      sessions.push({
        person,
        started: event.time,
        ended: event.time,
        number: sessions.length + 1,
        events: [],
        source,
        userSource: '',
        orders: 0,
        revenue: 0,
      });
    }
    sessions.at(-1)!.events.push(event);
    sessions.at(-1)!.ended = event.time;
    before = event.time;
  }
  const first = ownSource(sessions[0]!) ?? '(direct)';
  for (const session of sessions) {
    session.source = ownSource(session) ?? session.source;
    session.userSource = first;
  }
  return sessions;
}

function ownSource({ events }: Session): string | null {
  return events.find(({ source }) => source !== null && !['(direct)', 'direct'].includes(source))?.source ?? null;
}

function countOrders(sessions: readonly Session[]): void {
  const orders = new Map<string, { time: number; position: number; session: Session; value: number | null }>();
  for (const session of sessions) {
    for (const { order, revenue, time, position } of session.events) {
      if (order === null) continue;
      const best = orders.get(order);
      const earlier = best === undefined || time < best.time || (time === best.time && position < best.position);
      const value = Math.max(best?.value ?? Number.NEGATIVE_INFINITY, revenue ?? Number.NEGATIVE_INFINITY);
      orders.set(order, earlier ? { time, position, session, value } : { ...best, value });
    }
  }
  for (const { session, value } of orders.values()) {
    session.orders++;
    session.revenue += Number.isFinite(value) ? value! : 0;
  }
}
