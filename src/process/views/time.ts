/** Which stretch of time a partition holds, where its expression says so: a refresh then reads that part of the history alone. */
import { find, isColumn, type Node, sameText } from '#sql';
import { type Engine, print, quotedName } from './engine.ts';

/** The partition that begins at p holds rows whose `column` is from p on and before p + `length`. */
export interface Time {
  /** Of the table, as SQL. */
  readonly column: string;
  /** The zone whose clocks p shows, as SQL; null where p is a moment, or both are without a zone. */
  readonly zone: string | null;
  /** An INTERVAL, as SQL. */
  readonly length: string;
  /** Such a one that is read beyond both ends: clocks are set back, and a month back and forth may lead a few days on. */
  readonly slack: string;
  /** Of date_trunc over the column as it stands, or null. */
  readonly unit: string | null;
}

/** A time column cut down to the beginning of its grain, an INTERVAL as SQL. */
interface Floor {
  readonly column: Node;
  readonly zone: Node | null;
  /** Is the beginning a moment again? */
  readonly back: boolean;
  readonly grain: string | Node;
  readonly unit: string | null;
}

/** A beginning, SQL of its type, as a moment. */
const moment = ({ zone }: Time, p: string): string => (zone === null ? p : `timezone(${zone}, CAST(${p} AS TIMESTAMP))`);

/** The times of the rows whose partitions are from one to another, as a condition; null is open. */
export function timesOf(time: Time, from: string | null, to: string | null): string {
  const bounds = [
    ...(from === null ? [] : [`${time.column} >= ${moment(time, from)} - ${time.slack}`]),
    ...(to === null ? [] : [`${time.column} < ${moment(time, to)} + ${time.slack}`]),
  ];
  return bounds.join(' AND ') || 'true';
}

/** When the partition that begins at p is over. */
export const endOf = (time: Time, p: string): string => moment(time, `${p} + ${time.length}`);

const UNITS = new Set(['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']);
const NONE = "INTERVAL '0' SECOND";

/**
 * Of `date_trunc('…', t)`, `time_bucket(<interval>, t)` and `t::DATE`, in another zone's clocks too (`t AT TIME ZONE '…'`), and of hopping
 * windows: a `list` of one of these and of the same less intervals, or `generate_series(t - <interval>, t, <step>)` of one of these or of a
 * time as it stands. Null for every other expression over `table`: its partitions may hold rows of any time.
 */
export async function timeOf(part: Node, list: Node | null, table: string, engine: Engine): Promise<Time | null> {
  const found = list === null ? { floor: floorOf(part), hops: [] } : hopsOf(list);
  if (found === null || found.floor === null) return null;
  const { column, zone, back, grain, unit } = found.floor;
  const sql = await print(column, engine);
  // A text would compare otherwise; and a time without a zone is no moment in one.
  const [described] = await engine.rows(`DESCRIBE SELECT ${sql} FROM ${quotedName(table)}`);
  if (!(zone === null ? /^(?:TIMESTAMP|DATE)/ : /^TIMESTAMP WITH TIME ZONE$/).test(String(described?.['column_type']))) return null;
  const hops = [NONE, ...(await Promise.all(found.hops.map((span) => print(span, engine))))].join(', ');
  const sized = engine.rows(
    `SELECT CAST(l AS VARCHAR) AS length, l > ${NONE} AND least(${hops}) >= ${NONE} AS forward,
       CASE WHEN longest < INTERVAL 1 DAY THEN 0 WHEN longest < INTERVAL 28 DAY THEN 24 ELSE 96 END AS slack
     FROM (SELECT greatest(${hops}) AS longest, longest + CAST(${typeof grain === 'string' ? grain : await print(grain, engine)} AS INTERVAL) AS l)`,
  );
  const [size] = await sized.catch((thrown: Error) => {
    // An interval that is none: whoever runs the query hears of it.
    if (thrown.message.startsWith('Conversion Error')) return [];
    throw thrown;
  });
  if (size?.['forward'] !== true) return null;
  return {
    column: sql,
    zone: zone === null || back ? null : await print(zone, engine),
    length: `INTERVAL '${String(size!['length'])}'`,
    slack: `INTERVAL ${Number(size!['slack']) + (zone === null ? 0 : CLOCKS)} HOUR`,
    unit: zone === null ? unit : null,
  };
}

/** By no more hours than this has a clock been set back since 1970. */
const CLOCKS = 3;

function floorOf(node: Node): Floor | null {
  const [first, second, third, ...more] = (node['children'] as readonly Node[] | undefined) ?? [];
  const plain = { back: false, unit: null };
  if (node['class'] === 'CAST') {
    const time = timeIn(node['child'] as Node);
    return time !== null && (node['cast_type'] as Node)['id'] === 'DATE' ? { ...plain, ...time, grain: 'INTERVAL 1 DAY' } : null;
  }
  if (first === undefined || second === undefined || more.length > 0) return null;
  const time = timeIn(second);
  switch (String(node['function_name'])) {
    case 'date_trunc': {
      const unit = String((first['value'] as Node | undefined)?.['value']).toLowerCase();
      return time !== null && third === undefined && UNITS.has(unit) ? { ...plain, ...time, grain: `INTERVAL 1 ${unit}`, unit } : null;
    }
    case 'time_bucket': {
      if (time === null || !isConstant(first) || (third !== undefined && !isConstant(third))) return null;
      // A third is an origin or a zone: then the bucket begins at a moment all the same, but may hold an hour more.
      return third === undefined || time.zone !== null
        ? { ...plain, ...time, grain: first }
        : { ...plain, ...time, zone: third, back: true, grain: first };
    }
    case 'timezone': {
      const local = floorOf(second);
      return local !== null && local.zone !== null && !local.back && sameText(local.zone) === sameText(first)
        ? { ...local, back: true }
        : null;
    }
    default:
      return null;
  }
}

/** A column, or a column in a zone's clocks. */
function timeIn(node: Node): Pick<Floor, 'column' | 'zone'> | null {
  if (isColumn(node)) return { column: node, zone: null };
  const [zone, column, ...more] = (node['children'] as readonly Node[] | undefined) ?? [];
  if (node['function_name'] !== 'timezone' || zone === undefined || column === undefined || more.length > 0) return null;
  return isConstant(zone) && isColumn(column) ? { column, zone } : null;
}

/** The newest window that a row belongs to, and how far back the others begin. */
function hopsOf(list: Node): { floor: Floor | null; hops: readonly Node[] } | null {
  const children = (list['children'] as readonly Node[] | undefined) ?? [];
  if (list['function_name'] === 'list_value') {
    const hops = children.map(lessOf);
    const [first] = hops;
    if (
      first === undefined ||
      hops.some(({ from, back }) => sameText(from) !== sameText(first.from) || (back !== null && !isConstant(back)))
    )
      return null;
    return { floor: floorOf(first.from), hops: hops.flatMap(({ back }) => (back === null ? [] : [back])) };
  }
  const [start, end, step, ...more] = children;
  if (list['function_name'] !== 'generate_series' || start === undefined || end === undefined || step === undefined || more.length > 0)
    return null;
  const { from, back } = lessOf(start);
  if (back === null || !isConstant(back) || !isConstant(step) || sameText(from) !== sameText(end)) return null;
  return { floor: isColumn(end) ? { column: end, zone: null, back: false, grain: step, unit: null } : floorOf(end), hops: [back] };
}

/** `x - y`, or x alone. */
function lessOf(node: Node): { from: Node; back: Node | null } {
  const [from, back, ...more] = (node['children'] as readonly Node[] | undefined) ?? [];
  return node['function_name'] === '-' && from !== undefined && back !== undefined && more.length === 0
    ? { from, back }
    : { from: node, back: null };
}

const isConstant = (node: Node): boolean => find(node, isColumn, true).length === 0;
