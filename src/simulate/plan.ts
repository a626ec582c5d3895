import { fail, isTimeZone, type Millis, utcOffset } from '#core';

/** What to simulate. `start` is a local date (YYYY-MM-DD) in `timeZone` (IANA); `currency` is an ISO 4217 code. */
export interface ShopOptions {
  readonly seed: number;
  /** Customers; crawlers and the shop's own staff come on top. */
  readonly users: number;
  readonly days: number;
  readonly start: string;
  readonly timeZone: string;
  readonly currency: string;
}

/** The options, checked, with what follows from them. */
export interface Plan extends ShopOptions {
  readonly staff: number;
  readonly bots: number;
  /** The period: [from, to) in epoch milliseconds. Visits begin within it; refunds and late records may come after it. */
  readonly from: Millis;
  readonly to: Millis;
  /** Decimal digits of the currency: 0 for KRW, 2 for USD. */
  readonly digits: number;
  readonly localDay: (at: Millis) => string;
  readonly localTime: (at: Millis) => string;
  /** Whole minor units of the currency for a price in won. */
  readonly price: (won: number) => number;
  /** Minor units as decimal text: 1290 → "12.90" in a currency with two digits. */
  readonly money: (minor: number) => string;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Errors: SIMULATE_OPTION. */
export function planShop(options: ShopOptions): Plan {
  const refuse = (option: string, value: string | number, problem: string) => fail('SIMULATE_OPTION', { option, value, problem });
  const whole = (option: 'seed' | 'users' | 'days', least: number, most: number) => {
    const value = options[option];
    if (!Number.isInteger(value) || value < least || value > most)
      refuse(option, value, `it must be a whole number from ${least} to ${most}`);
  };
  whole('seed', 0, 2 ** 31 - 1);
  whole('users', 1, 10_000_000);
  whole('days', 1, 3660);

  const utcMidnight = Date.parse(`${options.start}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(options.start) || Number.isNaN(utcMidnight))
    refuse('start', options.start, 'it must be a date, YYYY-MM-DD');
  if (!isTimeZone(options.timeZone)) refuse('timeZone', options.timeZone, 'it is no IANA time zone');
  const offset = keptOffset(options.timeZone);
  const digits = currencyDigits(options.currency) ?? refuse('currency', options.currency, 'it is no ISO 4217 code');

  const midnight = (utc: Millis) => utc - offset(utc - offset(utc));
  return {
    ...options,
    staff: Math.ceil(options.users / 100),
    bots: Math.ceil(options.users / 100),
    from: midnight(utcMidnight),
    to: midnight(utcMidnight + options.days * day),
    digits,
    localDay: (at) => dayText(Math.floor((at + offset(at)) / day)),
    localTime: (at) => localTime(at, offset(at)),
    price: (won) => (digits === 0 ? won : Math.round((won * 10 ** digits) / 1000)),
    money: (minor) => (digits === 0 ? String(minor) : (minor / 10 ** digits).toFixed(digits)),
  };
}

function currencyDigits(currency: string): number | null {
  if (!Intl.supportedValuesOf('currency').includes(currency)) return null;
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? null;
}

/** ISO 8601 with the offset. Twice as fast as Date.toISOString, which shows at two times a record. */
function localTime(at: Millis, offset: Millis): string {
  const local = at + offset;
  const days = Math.floor(local / day);
  const time = local - days * day;
  const [hours, minutes, seconds] = [Math.floor(time / hour), Math.floor(time / minute) % 60, Math.floor(time / second) % 60];
  return `${dayText(days)}T${padded(hours)}:${padded(minutes)}:${padded(seconds)}.${String(time % second).padStart(3, '0')}${offsetText(offset)}`;
}

const dayText = kept((days) => new Date(days * day).toISOString().slice(0, 10));
const padded = kept((value) => String(value).padStart(2, '0'));
const offsetText = kept((offset) => {
  const minutes = Math.abs(offset) / minute;
  return `${offset < 0 ? '-' : '+'}${padded(Math.floor(minutes / 60))}:${padded(minutes % 60)}`;
});

/** Remembers the text of each number; only for numbers of which there are few. */
function kept(write: (value: number) => string): (value: number) => string {
  const texts = new Map<number, string>();
  return (value) => {
    let text = texts.get(value);
    if (text === undefined) texts.set(value, (text = write(value)));
    return text;
  };
}

/** The zone's offset, kept by quarter hours: zones change their offset on those. */
function keptOffset(timeZone: string): (at: Millis) => Millis {
  const quarter = 15 * minute;
  const offsetAt = utcOffset(timeZone);
  const known = new Map<number, Millis>();
  return (at) => {
    const slot = Math.floor(at / quarter);
    const kept = known.get(slot) ?? offsetAt(slot * quarter);
    known.set(slot, kept);
    return kept;
  };
}
