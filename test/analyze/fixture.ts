import assert from 'node:assert/strict';
import { type Analyst, openAnalyst } from '#analyze';
import { MillraceError, type Principal } from '#core';
import type { Store } from '#store';

const who: Principal = { name: 'test', role: 'viewer', topics: null };
const limit = { seconds: 60, rows: 10_000_000, concurrency: 4 };

/** Closed after the test. */
export function opened(
  store: Store,
  t: { after: (fn: () => unknown) => void },
  rules: Partial<Pick<Parameters<typeof openAnalyst>[0], 'turns' | 'kept' | 'reach' | 'onProblem'>> = {},
): Analyst {
  const limits = { admin: limit, editor: limit, viewer: limit, write: limit };
  const analyst = openAnalyst({ store, limits, own: async () => null, ...rules });
  t.after(() => analyst.close());
  return analyst;
}

export type Values = Record<string, unknown>;
export const asking = (sql: string, values?: Values) => ({ who, sql, format: 'json' as const, ...(values && { values }) });

export interface Rows {
  columns: unknown;
  rows: unknown[][];
}

export async function alone(analyst: Analyst, sql: string, values?: Values): Promise<Rows | string> {
  try {
    const { columns, rows } = JSON.parse(String(Buffer.concat(await (await analyst.ask(asking(sql, values))).body.toArray()))) as Rows;
    return { columns, rows };
  } catch (thrown) {
    return (thrown as MillraceError).code;
  }
}

export async function together(analyst: Analyst, list: readonly string[], values?: Values): Promise<(Rows | string)[]> {
  const told: (Rows | string)[] = [];
  const reading: Promise<unknown>[] = [];
  await analyst.together(
    list.map((sql) => asking(sql, values)),
    (at, outcome) => {
      assert.equal(told[at], undefined, 'each is told once');
      if (outcome instanceof MillraceError) told[at] = outcome.code;
      else {
        told[at] = '';
        reading.push(
          outcome.body.toArray().then((pieces) => {
            const { columns, rows } = JSON.parse(String(Buffer.concat(pieces))) as Rows;
            told[at] = { columns, rows };
          }),
        );
      }
    },
  );
  await Promise.all(reading);
  return told;
}

/** Sums of doubles depend on the order of their adding. */
function near(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, at) => near(each, b[at]));
  return a === b;
}

export function assertSame(got: Rows | string, wanted: Rows | string, sql: string): void {
  if (typeof got === 'string' || typeof wanted === 'string') assert.equal(got, wanted, sql);
  else {
    assert.deepEqual(got.columns, wanted.columns, sql);
    if (!near(got.rows, wanted.rows)) assert.deepEqual(got.rows, wanted.rows, sql);
  }
}
