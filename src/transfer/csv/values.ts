/** Texts of a CSV file as exact texts of the warehouse's types, and as the canonical texts that checksums are made of. */
import { isTwofold, readTime, type Style } from './evidence.ts';

/** The text of the value; undefined where it is none of the type. */
export type Convert = (text: string) => string | undefined;

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = Object.fromEntries(
  (
    [
      ['TINYINT', 8],
      ['SMALLINT', 16],
      ['INTEGER', 32],
      ['BIGINT', 64],
    ] as const
  ).flatMap(([type, bits]) => [
    [type, [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n]],
    [`U${type}`, [0n, (1n << BigInt(bits)) - 1n]],
  ]),
);

/** Null where the text is taken as it is. */
export function converter(type: string, style: Style): Convert | null {
  const range = RANGES[type];
  if (range !== undefined) {
    return (text) => {
      if (!/^[-+]?\d{1,20}$/.test(text)) return undefined;
      const value = BigInt(text.replace('+', ''));
      return value >= range[0] && value <= range[1] ? String(value) : undefined;
    };
  }
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null)
    return (text) => {
      const point = withPoint(text, style);
      return point === undefined ? undefined : exactDecimal(point, Number(decimal[1]), Number(decimal[2]));
    };
  switch (type) {
    case 'BOOLEAN':
      return (text) => ({ true: '1', false: '0', 1: '1', 0: '0' })[text.toLowerCase()];
    case 'DOUBLE':
      return (text) => {
        const point = withPoint(text, style);
        return point !== undefined && /^-?\d+(\.\d+)?([eE][+-]?\d{1,3})?$/.test(point) && Number.isFinite(Number(point))
          ? point
          : undefined;
      };
    case 'DATE':
      return (text) => dateOnly(readTime(text, style.order ?? 'ymd'));
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return (text) => readTime(text, style.order ?? 'ymd') ?? undefined;
    default:
      return null;
  }
}

/** The number with a point before its decimals; undefined where the text may be two numbers. */
function withPoint(text: string, { mark }: Style): string | undefined {
  if (mark === null && isTwofold(text)) return undefined;
  return mark === 'point' ? text : text.replace(',', '.');
}

function dateOnly(time: string | null): string | undefined {
  return time !== null && time.length === 10 ? time : undefined;
}

/** With exactly `scale` digits after the point; undefined where that would lose a digit. */
function exactDecimal(text: string, precision: number, scale: number): string | undefined {
  const parts = /^([-+]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (parts === null || (parts[2] === '' && !parts[3])) return undefined;
  const whole = parts[2]!.replace(/^0+(?=\d)/, '') || '0';
  const fraction = (parts[3] ?? '').replace(/0+$/, '');
  if (fraction.length > scale || (whole === '0' ? 0 : whole.length) > precision - scale) return undefined;
  const digits = scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, '0')}`;
  return parts[1] === '-' && /[1-9]/.test(digits) ? `-${digits}` : digits;
}

/** The text that src/store/parity.ts makes of the value that `converter` gave. */
export function canonicalOf(type: string): (value: string) => string {
  switch (type) {
    case 'DOUBLE':
      return (value) => tenDigits(Number(value));
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return (value) => {
        const [time, fraction = ''] = (value.length === 10 ? `${value} 00:00:00` : value).split('.');
        return `${time}.${fraction.padEnd(6, '0')}`;
      };
    default:
      return (value) => value;
  }
}

/** The shortest text of a double, rounded half away from zero to ten digits after the point. */
function tenDigits(value: number): string {
  if (Math.abs(value) >= 1e27) return String(Math.sign(value));
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!;
  const shift = Number(exponent) - fraction!.length + 10;
  const digits = BigInt(whole! + fraction!);
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  const scaled = shift >= 0 ? digits * 10n ** BigInt(shift) : (digits + divisor / 2n) / divisor;
  const text = String(scaled).padStart(11, '0');
  return `${scaled === 0n ? '' : sign}${text.slice(0, -10)}.${text.slice(-10)}`;
}
