/** What a column of texts can be, by evidence of all of its values: the narrowest type that loses none of them. */

export type DateOrder = 'ymd' | 'dmy' | 'mdy';
export type DecimalMark = 'point' | 'comma';

/** How texts of a column are read as values. */
export interface Style {
  readonly order: DateOrder | null;
  /** Null where nothing tells: a number that may have its thousands grouped is then none. */
  readonly mark: DecimalMark | null;
}

export interface Found {
  /** The warehouse's type. */
  readonly type: string;
  readonly style: Style;
  readonly note: string | null;
  /** Every value is written as the warehouse reads it: none has to be converted. */
  readonly asIs: boolean;
}

/** Longer texts are neither numbers nor times. */
const LONGEST = 48;

const INTEGER = /^-?(?:0|[1-9]\d{0,18})$/;
const DECIMAL = /^-?(0|[1-9]\d*)([.,])(\d+)$/;
/** A thousand and more, or a number with three decimals. */
const TWOFOLD = /^[-+]?[1-9]\d{0,2}[.,]\d{3}$/;
/** Marks that can only group: one that comes again, or stands before the other. */
const GROUPED = /^-?[1-9]\d{0,2}(?:(?:,\d{3})+(?:,\d{3}|\.\d+)|(?:\.\d{3})+(?:\.\d{3}|,\d+))$/;
const EXPONENT = /^-?\d+(?:\.\d+)?[eE][+-]?\d{1,3}$/;
const BOOLEAN = /^(?:true|false)$/i;
const TIME =
  /^(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?(?: ?([AaPp])[Mm])?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Times as the warehouse reads them. */
const ISO = /^\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?$/;

const MINUS = 0x2d;
const POINT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const SPACE = 0x20;

export class Evidence {
  values = 0;
  #asIs = true;
  /** Some values are quoted empty texts. */
  #text = false;
  #booleans = 0;
  #decimals = { point: 0, comma: 0 };
  /** Values in which the mark can only be the decimal one. */
  #proofs = { point: 0, comma: 0 };
  /** Values in which the mark can only group thousands. */
  #groups = { point: 0, comma: 0 };
  #exponents = 0;
  #digits = 0;
  #scale = 0;
  /** A DECIMAL has as many digits after the point in all of its values. */
  #leastScale = Number.POSITIVE_INFINITY;
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

  /** The same of a value that lies in a buffer: what is usual is judged without making a text of it. */
  addBytes(bytes: Buffer, from: number, to: number): void {
    if (this.#text || this.#isUsual(bytes, from, to)) this.values++;
    else this.add(bytes.toString('utf8', from, to));
  }

  #isUsual(bytes: Buffer, from: number, to: number): boolean {
    const length = to - from;
    if ((length === 10 || length === 19) && bytes[from + 4] === MINUS && bytes[from + 7] === MINUS)
      return this.#isUsualTime(bytes, from, to);
    let at = bytes[from] === MINUS ? from + 1 : from;
    const begin = at;
    // More than 15 digits may be too many for a double or 64 bits.
    if (at === to || to - at > 16) return false;
    let point = -1;
    for (; at < to; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit >= 0 && digit <= 9) continue;
      if (bytes[at] !== POINT || point >= 0) return false;
      point = at;
    }
    const whole = (point < 0 ? to : point) - begin;
    if (whole === 0 || whole > 15 || (bytes[begin] === ZERO && (whole > 1 || begin > from)) || point === to - 1) return false;
    if (whole > this.#digits) this.#digits = whole;
    const scale = point < 0 ? 0 : to - point - 1;
    if (point >= 0) {
      this.#decimals.point++;
      if (scale !== 3 || whole > 3 || bytes[begin] === ZERO) this.#proofs.point++;
    }
    this.#scaled(scale);
    return true;
  }

  #scaled(scale: number): void {
    if (scale > this.#scale) this.#scale = scale;
    if (scale < this.#leastScale) this.#leastScale = scale;
  }

  /** `YYYY-MM-DD` or `YYYY-MM-DD hh:mm:ss`. */
  #isUsualTime(bytes: Buffer, from: number, to: number): boolean {
    const two = (at: number) => {
      const [tens, ones] = [bytes[at]! - ZERO, bytes[at + 1]! - ZERO];
      return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : -1;
    };
    const [century, rest, month, day] = [two(from), two(from + 2), two(from + 5), two(from + 8)];
    if (century < 0 || rest < 0 || month < 1 || month > 12 || day < 1 || day > daysOf(100 * century + rest, month)) return false;
    if (to - from === 19) {
      if (bytes[from + 10] !== SPACE || bytes[from + 13] !== COLON || bytes[from + 16] !== COLON) return false;
      const [hour, minute, second] = [two(from + 11), two(from + 14), two(from + 17)];
      if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
    }
    if (!this.#orders.has('ymd')) return false;
    if (this.#orders.size > 1) this.#orders = new Set(['ymd']);
    if (to - from === 10) this.#dates++;
    else this.#times++;
    return true;
  }

  #isKnown(text: string): boolean {
    if (INTEGER.test(text)) {
      this.#digits = Math.max(this.#digits, text.length - (text[0] === '-' ? 1 : 0));
      this.#scaled(0);
      return BigInt.asIntN(64, BigInt(text)) === BigInt(text) && text !== '-0';
    }
    const decimal = DECIMAL.exec(text);
    if (decimal !== null) {
      const mark = decimal[2] === '.' ? 'point' : 'comma';
      this.#decimals[mark]++;
      if (!isTwofold(text)) this.#proofs[mark]++;
      if (decimal[2] === ',' || /^-[0.]+$/.test(text)) this.#asIs = false;
      this.#digits = Math.max(this.#digits, decimal[1]!.length);
      this.#scaled(decimal[3]!.length);
      if (this.#roundTrip) this.#roundTrip = isDouble(text.replace(',', '.'));
      return true;
    }
    if (EXPONENT.test(text)) {
      this.#exponents++;
      if (text.includes('.')) this.#proofs.point++;
      if (this.#roundTrip) this.#roundTrip = significant(text) <= 15;
      return true;
    }
    if (GROUPED.test(text)) {
      const [first, last] = [text.search(/[.,]/), Math.max(text.lastIndexOf('.'), text.lastIndexOf(','))];
      this.#groups[text[first] === '.' ? 'point' : 'comma']++;
      if (text[first] !== text[last]) this.#proofs[text[last] === '.' ? 'point' : 'comma']++;
      return true;
    }
    if (BOOLEAN.test(text)) return this.#booleans++ >= 0;
    const parts = TIME.exec(text);
    if (parts === null) return false;
    if (this.#asIs) this.#asIs = ISO.test(text);
    if (parts[5] === undefined) this.#dates++;
    else this.#times++;
    if (parts[10] !== undefined) this.#zoned++;
    for (const order of [...this.#orders]) if (readTime(text, order) === null) this.#orders.delete(order);
    return this.#orders.size > 0;
  }

  /**
   * `preferred` decides between dd/mm and mm/dd where no value of the column does; `mark` is what was chosen, `usual` the mark of the
   * file's other numbers, for columns in which no value shows it.
   */
  found(preferred: DateOrder | null, mark: DecimalMark | null, usual: DecimalMark | null = null): Found {
    const style: Style = { order: null, mark: mark ?? only(this.#proofs) ?? usual };
    const asIs = this.#asIs && this.#booleans === 0;
    const as = (type: string, note: string | null = null): Found => ({ type, style, note, asIs });
    if (this.values === 0) return as('VARCHAR', 'it has no values');
    if (this.#text) return as('VARCHAR');
    if (this.#booleans > 0) return this.#booleans === this.values ? as('BOOLEAN') : as('VARCHAR');
    if (this.#dates + this.#times > 0) return this.#time(preferred, style, as);
    return this.#number(style, as);
  }

  #number(style: Style, as: (type: string, note?: string) => Found): Found {
    if (this.#groups.point + this.#groups.comma > 0) return as('VARCHAR', 'its thousands are grouped');
    const { point, comma } = this.#decimals;
    if (this.#mixed) return as('VARCHAR', 'decimal points and commas are mixed');
    if (style.mark === null && point + comma > 0)
      return as(
        'VARCHAR',
        'no value of the file tells whether its marks stand before decimals or group thousands; the option "decimal" decides',
      );
    if (style.mark === 'point' ? comma > 0 : style.mark === 'comma' && point + this.#exponents > 0)
      return as('VARCHAR', 'its mark is not the decimal one of the file');
    if (this.#decimals.point + this.#decimals.comma + this.#exponents === 0) return as('BIGINT');
    if (this.#exponents > 0)
      return this.#roundTrip && this.#digits <= 15 ? as('DOUBLE') : as('VARCHAR', 'no type of number keeps all of its digits');
    if (this.#scale <= 6 && this.#digits + this.#scale <= 38) return this.#decimal(this.#digits + this.#scale <= 18 ? 18 : 38, as);
    if (this.#roundTrip && this.#digits <= 15) return as('DOUBLE');
    return this.#digits + this.#scale <= 38 ? this.#decimal(38, as) : as('VARCHAR', 'no type of number keeps all of its digits');
  }

  #decimal(precision: number, as: (type: string) => Found): Found {
    const found = as(`DECIMAL(${precision},${this.#scale})`);
    return { ...found, asIs: found.asIs && this.#leastScale === this.#scale };
  }

  #time(preferred: DateOrder | null, style: Style, as: (type: string, note?: string) => Found): Found {
    if (this.#dates + this.#times < this.values) return as('VARCHAR');
    const orders = [...this.#orders];
    const order = orders.length === 1 ? orders[0]! : orders.find((each) => each === preferred);
    if (order === undefined) return as('VARCHAR', 'no value tells whether the day or the month comes first; the option "dates" decides');
    if (this.#zoned > 0 && this.#zoned < this.values) return as('VARCHAR', 'some of its times have a zone and some have none');
    const type = this.#times === 0 ? 'DATE' : this.#zoned > 0 ? 'TIMESTAMP WITH TIME ZONE' : 'TIMESTAMP';
    return { ...as(type), style: { ...style, order } };
  }

  /** Some of its numbers are written with a point, others with a comma. */
  get #mixed(): boolean {
    const { point, comma } = this.#decimals;
    return comma > 0 && point + this.#exponents > 0;
  }

  /** What the column's numbers prove of the marks: which can only stand before decimals, and which can only group. */
  get marks(): { readonly decimal: readonly DecimalMark[]; readonly group: readonly DecimalMark[] } {
    const numbers = !this.#text && this.#booleans + this.#dates + this.#times === 0;
    return { decimal: numbers ? marksIn(this.#proofs) : [], group: numbers ? marksIn(this.#groups) : [] };
  }

  /** The order that the column's values prove, if they do. */
  get order(): DateOrder | null {
    return this.#dates + this.#times > 0 && !this.#text && this.#orders.size === 1 ? [...this.#orders][0]! : null;
  }
}

type Counts = Readonly<Record<DecimalMark, number>>;
const marksIn = (counts: Counts): DecimalMark[] => (['point', 'comma'] as const).filter((mark) => counts[mark] > 0);

function only(counts: Counts): DecimalMark | null {
  const [mark, other] = marksIn(counts);
  return other === undefined ? (mark ?? null) : null;
}

/** The decimal mark of a file's numbers; null where none shows it, or they are at odds. */
export function markOf(evidence: readonly (Evidence | undefined)[]): DecimalMark | null {
  const all = evidence.flatMap((each) => (each === undefined ? [] : [each.marks]));
  const decimal = [...new Set(all.flatMap((marks) => marks.decimal))];
  return decimal.length === 1 && !all.some(({ group }) => group.includes(decimal[0]!)) ? decimal[0]! : null;
}

/** Is it a number by either mark, and another one? */
export const isTwofold = (text: string): boolean => TWOFOLD.test(text);

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

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysOf(year: number, month: number): number {
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return DAYS[month - 1]! + (leap ? 1 : 0);
}

function inUtc(local: string, zone: string): string {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? [null, '+', '0', '0'];
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60_000 : 60_000);
  return new Date(Date.parse(`${local.replace(' ', 'T')}Z`) - offset).toISOString().slice(0, 19).replace('T', ' ');
}
