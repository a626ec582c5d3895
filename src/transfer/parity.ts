/** Is everything that the source has in the warehouse, and nothing else? Asked of both sides by sums, then narrowed down to the keys. */
import type { Check } from '#store';
import type { PlannedTable, Warehouse } from './run.ts';
import type { Hashed, Opened, Span, Sum } from './source.ts';

export interface Difference {
  /** The values of the key, as text. */
  readonly key: readonly (string | null)[];
  readonly kind: 'missing' | 'extra' | 'different';
}

export interface Parity {
  readonly equal: boolean;
  readonly source: { readonly rows: number; readonly sum: string };
  readonly warehouse: { readonly rows: number; readonly sum: string };
  /** The part that was compared: rows whose cursor is above `after` and at most `up_to`; null is no bound. */
  readonly after: string | null;
  readonly up_to: string | null;
  /** The first of them; empty where the table has no key. */
  readonly differences: readonly Difference[];
  /** How many of the 256 groups of keys differ and have too many rows to be listed; absent where none has. */
  readonly unlisted?: number;
}

export const MOST_SHOWN = 20;
const MOST_BUCKETS = 8;
/** Rows of a bucket that are listed, on each side: with keys of a hundred letters 32 MB of this process' heap. */
const MOST_LISTED = 50_000;

export interface Comparing {
  readonly plan: PlannedTable;
  readonly span: Span;
  /** An append without cursor adds the whole table each time: only the rows of this run are compared. */
  readonly run: string | null;
  readonly source: Opened;
  readonly warehouse: Pick<Warehouse, 'checksum' | 'hashes'>;
  /** Rows here that are left out. */
  readonly except?: NonNullable<Check['except']>;
  readonly mostListed?: number;
}

/** Cost: one pass over the span on both sides; where they differ three or more. Memory does not grow with the table. */
export async function compare({ plan, span, run, source, warehouse, except, mostListed = MOST_LISTED }: Comparing): Promise<Parity> {
  const { definition, table, columns, key } = plan;
  const check: Check = {
    table: definition.target,
    columns: columns.map(({ name, type, long }) => ({ name, type, long })),
    span,
    run: definition.mode === 'append' && plan.cursor === null ? run : null,
    source: definition.source,
    ...(except === undefined ? {} : { except }),
  };
  const [[theirs], [ours]] = await Promise.all([source.checksum(table, columns, span, null), warehouse.checksum(check, null)]);
  const equal = theirs!.rows === ours!.rows && theirs!.sum === ours!.sum;
  const isKeyed = key.length > 0 && key.every((name) => columns.some((column) => column.name === name));
  return {
    equal,
    source: { rows: theirs!.rows, sum: theirs!.sum },
    warehouse: { rows: ours!.rows, sum: ours!.sum },
    after: span.after,
    up_to: span.upTo,
    ...(equal || !isKeyed ? { differences: [] } : await differencesBy(key)),
  };

  async function differencesBy(names: readonly string[]): Promise<Pick<Parity, 'differences' | 'unlisted'>> {
    const [theirSums, ourSums] = await Promise.all([source.checksum(table, columns, span, names), warehouse.checksum(check, names)]);
    const buckets = differingBuckets(theirSums, ourSums);
    const listed = buckets.filter(({ rows }) => rows <= mostListed);
    const found: Difference[] = [];
    for (const { bucket } of listed.slice(0, MOST_BUCKETS)) {
      if (found.length >= MOST_SHOWN) break;
      const [theirRows, ourRows] = await Promise.all([
        source.hashes(table, columns, span, names, bucket),
        warehouse.hashes(check, names, bucket),
      ]);
      found.push(...differencesOf(theirRows, ourRows).slice(0, MOST_SHOWN - found.length));
    }
    const unlisted = buckets.length - listed.length;
    return { differences: found, ...(unlisted === 0 ? {} : { unlisted }) };
  }
}

/** Those whose sums are not the same, each with its rows on the side that has more. */
function differingBuckets(theirs: readonly Sum[], ours: readonly Sum[]): { bucket: number; rows: number }[] {
  const here = new Map(ours.map((each) => [each.bucket, each]));
  const there = new Map(theirs.map((each) => [each.bucket, each]));
  return [...new Set([...there.keys(), ...here.keys()])].flatMap((bucket) => {
    const [a, b] = [there.get(bucket), here.get(bucket)];
    return a?.rows === b?.rows && a?.sum === b?.sum ? [] : [{ bucket, rows: Math.max(a?.rows ?? 0, b?.rows ?? 0) }];
  });
}

/** A row that stands twice counts twice: it is extra, or missing, by its key. */
function differencesOf(theirs: readonly Hashed[], ours: readonly Hashed[]): Difference[] {
  const here = Map.groupBy(ours, ({ key }) => key);
  const there = Map.groupBy(theirs, ({ key }) => key);
  const found: Difference[] = [];
  for (const key of new Set([...there.keys(), ...here.keys()])) {
    const [a, b] = [hashesOf(there.get(key)), hashesOf(here.get(key))];
    if (a.join() === b.join()) continue;
    found.push({ key: JSON.parse(key), kind: a.length > b.length ? 'missing' : a.length < b.length ? 'extra' : 'different' });
  }
  return found;
}

const hashesOf = (rows: readonly Hashed[] = []): string[] => rows.map(({ hash }) => hash).sort();
