import { type ColumnData, cell } from '../columns.ts';
import type { Plan } from '../plan.ts';
import { known, type Reading, timeOf } from '../read.ts';

/** Those of whom the future brings new ones. */
const WHO =
  'person|user|customer|cust|client|member|visitor|guest|patient|household|subscriber|shopper|buyer|passenger|student|employee|account|' +
  '고객|회원|사용자|이용자|유저|방문자|구매자|가입자|환자|학생|직원|사원|가구|세대|계정';
/** What comes once and has several rows. A bare name may be a kind of it (an event, a device), and a number may count it (a visit’s). */
const WHAT =
  'session|device|cookie|anonymous|distinct|pseudo|order|transaction|invoice|receipt|basket|cart|booking|reservation|visit|trip|ticket|claim|case|' +
  'event|request|contract|policy|loan|세션|기기|단말|주문|거래|송장|영수증|장바구니|예약|방문|계약|청구|접수';
const ID = 'id|uuid|guid|아이디|식별자|번호';
const START = '(?:^|_|(?<=[가-힣]))';
const ENTITY = new RegExp(
  `^(?:${WHO}|session|세션|${ID})$|${START}(?:${WHO})s?_?(?:pseudo_|anonymous_)?(?:${ID}|key|code|no|nr|number|코드|키)$|${START}(?:${WHAT})s?_?(?:${ID})$`,
);
const ANY_ID = new RegExp(`_(?:${ID})$|(?<=[가-힣])(?:${ID})$`);

/** Below this, a column is a handful of kinds. */
const LEAST_DISTINCT = 20;
/** Values that have fewer rows each, or of which the latest fifth of the rows brings so large a share of new ones, hardly come again. */
const FEW_ROWS_EACH = 3;
const NEW_ONES = 0.3;

/** userId, USER-ID and 회원ID as user_id, user_id and 회원_id. */
function wordsOf(name: string): string {
  return name
    .normalize('NFC')
    .trim()
    .replace(/([a-z\d가-힣])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .replace(/[\s_.-]+/g, '_')
    .toLowerCase();
}

/**
 * Whether the column names what has several rows and of which the future brings new ones: a customer, a session, an order. By its name; of a name that
 * only says id, by whether its values come again: a product’s or a place’s do, and are learned from.
 */
export function isEntity(column: ColumnData, reading: Reading, plan: Plan, time: ColumnData | null): boolean {
  if (column.name === plan.target || !repeats(column, reading)) return false;
  const name = wordsOf(column.name);
  if (ENTITY.test(name)) return true;
  return ANY_ID.test(name) && (rowsEach(reading) < FEW_ROWS_EACH || (time !== null && newAmongTheLatest(column, time) >= NEW_ONES));
}

/** The column by whose times rows are early or late; null without one. */
export const timeIn = (columns: readonly ColumnData[], readings: readonly Reading[]): ColumnData | null =>
  columns[readings.findIndex(({ role }) => role === 'time')] ?? null;

/** Whether it says id or names an entity, and repeats, whatever it is the id of. */
export function isIdentifier(column: ColumnData, reading: Reading, plan: Plan): boolean {
  const name = wordsOf(column.name);
  return column.name !== plan.target && (ENTITY.test(name) || ANY_ID.test(name)) && repeats(column, reading);
}

function repeats(column: ColumnData, reading: Reading): boolean {
  if (
    column.kind === 'time' ||
    (column.kind === 'number' && !column.values.every((value) => !Number.isFinite(value) || Number.isInteger(value)))
  )
    return false;
  return reading.distinct >= LEAST_DISTINCT && rowsEach(reading) >= 1.2 && reading.missing < reading.rows * 0.5;
}

const rowsEach = ({ rows, missing, distinct }: Reading): number => (rows - missing) / distinct;

/** Of the latest fifth of the rows, the share whose value no row before had. */
function newAmongTheLatest(column: ColumnData, time: ColumnData): number {
  const times = Float64Array.from(time.values.keys(), (row) => timeOf(cell(time, row)));
  const order = Uint32Array.from(times.keys()).filter((row) => !Number.isNaN(times[row]) && known(cell(column, row)) !== null);
  order.sort((a, b) => times[a]! - times[b]!);
  const before = Math.floor(order.length * 0.8);
  const seen = new Set(Array.from(order.subarray(0, before), (row) => known(cell(column, row))));
  const latest = order.subarray(before);
  return latest.filter((row) => !seen.has(known(cell(column, row)))).length / Math.max(1, latest.length);
}
