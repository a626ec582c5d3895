/** What a column of texts can be, by evidence of all of its values: the narrowest type that loses none of them. */

export type DateOrder = 'ymd' | 'dmy' | 'mdy';
export type DecimalMark = 'point' | 'comma';

/** How texts of a column are read as values. */
export interface Style {
  readonly order: DateOrder | null;
  readonly mark: DecimalMark;
}

export interface Found {
  /** The warehouse's type. */
  readonly type: string;
  readonly style: Style;
  readonly note: string | null;
}

/** Longer texts are neither numbers nor times. */
const LONGEST = 48;

const INTEGER = /^-?(?:0|[1-9]\d{0,18})$/;
const DECIMAL = /^-?(0|[1-9]\d*)([.,])(\d+)$/;
const EXPONENT = /^-?\d+(?:\.\d+)?[eE][+-]?\d{1,3}$/;
const BOOLEAN = /^(?:true|false)$/i;
const TIME =
  /^(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?(?: ?([AaPp])[Mm])?(Z|[+-]\d{2}:?\d{2})?)?$/;

export class Evidence {
  values = 0;
  /** Some values are quoted empty texts. */
  #text = false;
  #booleans = 0;
  #decimals = { point: 0, comma: 0 };
  #exponents = 0;
  #digits = 0;
  #scale = 0;
  #roundTrip = true;
  #dates = 0;
  #times = 0;
  #zoned = 0;
  #orders = new Set<DateOrder>(['ymd', 'dmy', 'mdy']);

  /** Is it decided that only text keeps every value? Then further ones change nothing. */
  get decided(): boolean {
    return this.#text;
  }

  add(text: string): void {
    this.values++;
    if (this.#text) return;
    if (text.length === 0 || text.length > LONGEST || !this.#isKnown(text)) this.#text = true;
  }

  #isKnown(text: string): boolean {
    if (INTEGER.test(text)) {
      this.#digits = Math.max(this.#digits, text.length - (text[0] === '-' ? 1 : 0));
      return BigInt.asIntN(64, BigInt(text)) === BigInt(text) && text !== '-0';
    }
    const decimal = DECIMAL.exec(text);
    if (decimal !== null) {
      this.#decimals[decimal[2] === '.' ? 'point' : 'comma']++;
      this.#digits = Math.max(this.#digits, decimal[1]!.length);
      this.#scale = Math.max(this.#scale, decimal[3]!.length);
      if (this.#roundTrip) this.#roundTrip = isDouble(text.replace(',', '.'));
      return true;
    }
    if (EXPONENT.test(text)) {
      this.#exponents++;
      if (this.#roundTrip) this.#roundTrip = significant(text) <= 15;
      return true;
    }
    if (BOOLEAN.test(text)) return this.#booleans++ >= 0;
    const parts = TIME.exec(text);
    if (parts === null) return false;
    if (parts[5] === undefined) this.#dates++;
    else this.#times++;
    if (parts[10] !== undefined) this.#zoned++;
    for (const order of [...this.#orders]) if (readTime(text, order) === null) this.#orders.delete(order);
    return this.#orders.size > 0;
  }

  /** `preferred` decides between dd/mm and mm/dd where no value of the column does. */
  found(preferred: DateOrder | null, mark: DecimalMark | null): Found {
    const style: Style = { order: null, mark: mark ?? (this.#decimals.comma > this.#decimals.point ? 'comma' : 'point') };
    const as = (type: string, note: string | null = null): Found => ({ type, style, note });
    if (this.values === 0) return as('VARCHAR', 'it has no values');
    if (this.#text) return as('VARCHAR');
    if (this.#booleans > 0) return this.#booleans === this.values ? as('BOOLEAN') : as('VARCHAR');
    if (this.#dates + this.#times > 0) return this.#time(preferred, style, as);
    return this.#number(style, as);
  }

  #number(style: Style, as: (type: string, note?: string) => Found): Found {
    const other = style.mark === 'point' ? this.#decimals.comma : this.#decimals.point;
    if (other > 0 || (this.#exponents > 0 && style.mark === 'comma')) return as('VARCHAR', 'decimal points and commas are mixed');
    if (this.#decimals.point + this.#decimals.comma + this.#exponents === 0) return as('BIGINT');
    if (this.#exponents > 0)
      return this.#roundTrip && this.#digits <= 15 ? as('DOUBLE') : as('VARCHAR', 'no type of number keeps all of its digits');
    if (this.#scale <= 6 && this.#digits + this.#scale <= 38)
      return as(`DECIMAL(${this.#digits + this.#scale <= 18 ? 18 : 38},${this.#scale})`);
    if (this.#roundTrip && this.#digits <= 15) return as('DOUBLE');
    return this.#digits + this.#scale <= 38 ? as(`DECIMAL(38,${this.#scale})`) : as('VARCHAR', 'no type of number keeps all of its digits');
  }

  #time(preferred: DateOrder | null, style: Style, as: (type: string, note?: string) => Found): Found {
    if (this.#dates + this.#times < this.values) return as('VARCHAR');
    const orders = [...this.#orders];
    const order = orders.length === 1 ? orders[0]! : orders.find((each) => each === preferred);
    if (order === undefined) return as('VARCHAR', 'no value tells whether the day or the month comes first; the option "dates" decides');
    if (this.#zoned > 0 && this.#zoned < this.values) return as('VARCHAR', 'some of its times have a zone and some have none');
    const type = this.#times === 0 ? 'DATE' : this.#zoned > 0 ? 'TIMESTAMP WITH TIME ZONE' : 'TIMESTAMP';
    return { type, style: { ...style, order }, note: null };
  }

  /** The order that the column's values prove, if they do. */
  get order(): DateOrder | null {
    return this.#dates + this.#times > 0 && !this.#text && this.#orders.size === 1 ? [...this.#orders][0]! : null;
  }
}

function isDouble(text: string): boolean {
  return significant(text) <= 15 || String(Number(text)) === text;
}

function significant(text: string): number {
  return text
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '').length;
}

/** A date or time as ISO text (instants in UTC), null where it is none in that order. */
export function readTime(text: string, order: DateOrder): string | null {
  const parts = TIME.exec(text);
  if (parts === null) return null;
  const [, a, , b, c, hour, minute, second, fraction, half, zone] = parts;
  const [year, month, day] = order === 'ymd' ? [a!, b!, c!] : order === 'dmy' ? [c!, b!, a!] : [c!, a!, b!];
  if (year.length !== 4 || month.length > 2 || day.length > 2) return null;
  const [m, d] = [Number(month), Number(day)];
  if (m < 1 || m > 12 || d < 1 || d > daysOf(Number(year), m)) return null;
  const date = `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`;
  if (hour === undefined) return date;
  let h = Number(hour);
  if (half !== undefined) {
    if (h < 1 || h > 12) return null;
    h = (h % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
  }
  if (h > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return null;
  const local = `${date} ${String(h).padStart(2, '0')}:${minute}:${second ?? '00'}`;
  const rest = fraction === undefined ? '' : `.${fraction}`;
  return zone === undefined ? local + rest : inUtc(local, zone) + rest;
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function inUtc(local: string, zone: string): string {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? [null, '+', '0', '0'];
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60_000 : 60_000);
  return new Date(Date.parse(`${local.replace(' ', 'T')}Z`) - offset).toISOString().slice(0, 19).replace('T', ' ');
}
