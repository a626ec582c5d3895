import type { ErrorCode, Millis } from '#core';
import type { Plan } from './plan.ts';
import { random } from './random.ts';
import type { Visit } from './visit.ts';

/** How a malformed record is broken, and the code that intake must answer with. */
export const malformed = {
  broken_json: 'RECORD_JSON',
  wrong_type: 'RECORD_FIELD',
  absurd_time: 'RECORD_TIME',
  duplicate_key: 'RECORD_DUPLICATE_KEY',
  missing_id: 'RECORD_FIELD_MISSING',
} as const satisfies Record<string, ErrorCode>;

export type Malformed = keyof typeof malformed;
const kinds = Object.keys(malformed) as Malformed[];

/** What happens to one event on its way: when it arrives, whether it arrives twice, and whether a broken copy under its own id comes along. */
export interface Fate {
  readonly arrival: Millis;
  readonly retried: Millis | null;
  readonly broken: Malformed | null;
}

const hour = 3_600_000;

/** The least delay that counts as late. */
export const late: Millis = hour;

/** The fates of a visit's events, by their index. A pure function, so that the records and the truth draw the same. */
export function fates(plan: Plan, visit: Visit): Fate[] {
  const draw = random(plan.seed, 4, visit.person.index, visit.number);
  return visit.events.map(({ time }) => {
    const delay = draw.chance(0.015) ? draw.integer(late, 120 * hour) : draw.integer(30, 2500);
    const arrival = time + delay;
    const retried = draw.chance(0.02) ? arrival + (draw.chance(0.1) ? draw.integer(hour, 30 * hour) : draw.integer(500, 60_000)) : null;
    return { arrival, retried, broken: draw.chance(0.003) ? draw.pick(kinds) : null };
  });
}

/** A record broken in that way, from the fields of a good one. Its id is its own: it replaces nothing. */
export function breakRecord(kind: Malformed, good: Readonly<Record<string, unknown>>): string {
  const record = { ...good, event_id: `broken-${good['event_id']}` };
  switch (kind) {
    case 'broken_json': {
      const text = JSON.stringify(record);
      return text.slice(0, Math.floor(text.length * 0.7));
    }
    case 'wrong_type':
      return JSON.stringify({ ...record, value: '만 이천 원' });
    case 'absurd_time':
      return JSON.stringify({
        ...record,
        ts: record.event_id.length % 2 === 0 ? '1970-01-01T00:00:00+00:00' : '2200-01-01T00:00:00+00:00',
      });
    case 'duplicate_key':
      return `{"event":"page_view",${JSON.stringify(record).slice(1)}`;
    case 'missing_id':
      return JSON.stringify({ ...record, event_id: undefined });
  }
}
