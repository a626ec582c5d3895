import type { Millis } from './schema.ts';

/** Whether this is the IANA name of a time zone. An offset (+09:00) is none: it knows no daylight saving time. */
export function isTimeZone(zone: string): boolean {
  if (!/^[A-Z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** How far the zone's wall clock is ahead of UTC at an instant, in whole seconds. Asking Intl costs 1 µs or more: callers remember. */
export function utcOffset(timeZone: string): (instant: Millis) => Millis {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (instant) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value);
    const wall = Date.UTC(part['year']!, part['month']! - 1, part['day']!, part['hour']!, part['minute']!, part['second']!);
    return wall - Math.floor(instant / 1000) * 1000;
  };
}
