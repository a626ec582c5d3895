/** What the files of grants/ let somebody do over HTTP where no statement is asked. The warehouse reads them; an admin may all, also while it is away. */
import { MillraceError, type Principal } from '#core';
import type { Front } from '#platform';
import type { TransferReport, TransferRun } from './api.ts';
import { told } from './routes/pipe.ts';

/** Tables as schema.name; they need not be there. Errors: SQL_TABLE, SQL_WRITE, GRANTS_BROKEN. */
export async function demand(front: Front, who: Principal, tables: { read?: readonly string[]; write?: readonly string[] }): Promise<void> {
  if (who.role !== 'admin') await told(front, { who, path: '/rights', body: tables });
}

/** Of each list whether all its tables are theirs to read: not where it can't be told now. */
export async function readable(front: Front, who: Principal, lists: readonly (readonly string[])[]): Promise<boolean[]> {
  if (who.role === 'admin' || lists.length === 0) return lists.map(() => true);
  try {
    return (await told<{ readable: boolean[] }>(front, { who, path: '/rights/readable', body: { lists } })).readable;
  } catch {
    return lists.map(() => false);
  }
}

/** What a run tells to who may not read its tables: counts and the code, neither keys that differ nor words that may quote a value. */
export function withoutValues<Report extends TransferReport>(report: Report): Report {
  return {
    ...report,
    tables: report.tables.map(({ parity, ...table }) => ({
      ...table,
      notes: [],
      cursor: null,
      parity: parity && { ...parity, after: null, up_to: null, differences: [] },
    })),
    error: report.error && new MillraceError('GRANTS_UNTOLD', { code: report.error.code }).body,
  };
}

export const runWithoutValues = (run: TransferRun | null): TransferRun | null =>
  run && { ...run, report: run.report && withoutValues(run.report) };
