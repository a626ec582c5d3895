import type { Look } from './theme.ts';

type Format = (value: number | null) => string;
const known = new Map<string, Intl.NumberFormat>();

/** Numbers as the reader's language writes them, with the unit. `short` is for axes and big numbers: 1.2M. */
export function formatter(look: Look, unit: string | undefined, short = false): Format {
  const options: Intl.NumberFormatOptions = short
    ? // Korean counts in ten thousands, so that four digits are usual: 1,247.8만.
      { notation: 'compact', maximumFractionDigits: 1, useGrouping: true }
    : { maximumFractionDigits: unit === '%' ? 1 : 2 };
  if (unit === '%') return wrap(numbers(look.locale, { style: 'percent', maximumFractionDigits: 1 }));
  if (unit !== undefined && isCurrency(unit))
    return wrap(
      numbers(look.locale, {
        ...options,
        style: 'currency',
        currency: unit,
        currencyDisplay: 'narrowSymbol',
        ...(short ? {} : cents(unit)),
      }),
    );
  const large = wrap(numbers(look.locale, options));
  const small = wrap(numbers(look.locale, { maximumSignificantDigits: 3 }));
  // Below one the digits that count come after the zeros: an axis of hundredths would read 0, 0, 0.
  const plain: Format = (value) => (value !== null && value !== 0 && Math.abs(value) < 1 ? small(value) : large(value));
  return unit === undefined ? plain : (value) => (value === null ? '–' : `${plain(value)} ${unit}`);
}

function wrap(format: Intl.NumberFormat): Format {
  return (value) => (value === null ? '–' : format.format(value));
}

/** Whole amounts without cents read calmer; the digits that a currency has come back where a value needs them. */
function cents(unit: string): Intl.NumberFormatOptions {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency: unit }).resolvedOptions().maximumFractionDigits ?? 2;
  return { minimumFractionDigits: 0, maximumFractionDigits: digits };
}

function isCurrency(unit: string): boolean {
  return /^[A-Z]{3}$/.test(unit);
}

/** Making an Intl format costs more than a thousand uses of it. */
function numbers(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const made = known.get(key) ?? new Intl.NumberFormat(locale, options);
  known.set(key, made);
  return made;
}

/** An instant (ms) as its day, with the time where the values have one. In UTC: moments were moved to their zone's clock before. */
export function dayFormatter(look: Look, withTime: boolean): (at: number) => string {
  const format = dates(look.locale, { dateStyle: 'medium', ...(withTime ? { timeStyle: 'short' } : {}) });
  return (at) => format.format(at);
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** In UTC; kept like numbers' formats: an axis asks for each of its ticks, several times. */
export function dates(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const made = clocks.get(key) ?? new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options });
  clocks.set(key, made);
  return made;
}
