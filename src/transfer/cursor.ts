import type { Lookback } from '#core';

/** Where a run begins that looks back from a cursor, as text like the cursor's own. */
export function since(cursor: string, lookback: Lookback | null): string {
  if (lookback === null) return cursor;
  return 'millis' in lookback ? earlier(cursor, lookback.millis) : smaller(cursor, lookback.units);
}

/** `YYYY-MM-DD[ hh:mm:ss[.ffffff]]`; digits below a millisecond stay. */
function earlier(cursor: string, millis: number): string {
  const [, date, time = '00:00:00', milli = '', rest = ''] =
    /^(\d{4}-\d{2}-\d{2})(?: (\d{2}:\d{2}:\d{2})(?:\.(\d{1,3})(\d*))?)?$/.exec(cursor) ?? [];
  if (date === undefined) return cursor;
  const at = Date.parse(`${date}T${time}.${milli.padEnd(3, '0')}Z`) - millis;
  // A day that does not exist, which MySQL may keep.
  if (Number.isNaN(at)) return cursor;
  return `${new Date(at).toISOString().replace('T', ' ').slice(0, -1)}${rest}`;
}

function smaller(cursor: string, units: number): string {
  const [whole, fraction] = cursor.split('.') as [string, string | undefined];
  const scale = 10n ** BigInt(fraction?.length ?? 0);
  const less = BigInt(whole + (fraction ?? '')) - BigInt(units) * scale;
  if (fraction === undefined) return String(less);
  const digits = String(less < 0n ? -less : less).padStart(fraction.length + 1, '0');
  return `${less < 0n ? '-' : ''}${digits.slice(0, -fraction.length)}.${digits.slice(-fraction.length)}`;
}
