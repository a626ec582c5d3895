/** The parity report alone: both sides up to where the last run ended, without moving anything. */
import type { Transfer } from '#core';
import type { Check, TransferState } from '#store';
import { isSamePart } from './files/folder.ts';
import { compare } from './parity.ts';
import { emptyReport, type RunReport, type TableReport } from './report.ts';
import { decodeRows } from './rows.ts';
import { type PlannedTable, planned, type Warehouse } from './run.ts';
import type { Opened, Span } from './source.ts';

export interface Verifying {
  readonly run: string;
  readonly source: Opened;
  readonly warehouse: Pick<Warehouse, 'checksum' | 'hashes' | 'columns'>;
  /** Where the tables of all transfers stand. */
  readonly known: readonly TransferState[];
}

/** Errors: those of the source, and of the warehouse. */
export async function verifyTransfer(transfer: Transfer, verifying: Verifying): Promise<RunReport> {
  const began = new Date().toISOString();
  const { source } = verifying;
  const own = verifying.known.filter(
    // A part that is to be begun anew is nobody's.
    (state) => state.transfer === transfer.name && (source.parts === undefined || state.event !== 'edit'),
  );
  const tables: TableReport[] = [];
  for (const definition of source.parts?.(transfer.tables) ?? transfer.tables) {
    const state = own.find((each) => each.target === definition.target && isSamePart(each.source, definition.source)) ?? null;
    const report = emptyReport(definition);
    tables.push(report);
    if (source.parts !== undefined && definition.mode !== 'append')
      report.notes.push('rows of other parts stand in the table too: it is not compared with this one');
    else if (state === null) report.notes.push('no run has brought it yet: there is nothing to compare');
    else {
      const [plan] = await planned({ ...transfer, tables: [definition] }, source);
      await compareTable(plan!, state, verifying, report);
    }
  }
  const ended = new Date().toISOString();
  return { run: verifying.run, transfer: transfer.name, kind: 'verify', began, ended, outcome: 'done', tables, error: null };
}

async function compareTable(given: PlannedTable, state: TransferState, verifying: Verifying, report: TableReport): Promise<void> {
  const { source, warehouse } = verifying;
  const here = await warehouse.columns(given.definition.target);
  if (here.length === 0) {
    report.notes.push('its table is not here: there is nothing to compare');
    return;
  }
  // The next run brings what was added since, or leaves it out again.
  const [columns, others] = divided(given.columns, ({ name }) => here.some((own) => own.toLowerCase() === name.toLowerCase()));
  if (others.length > 0) report.notes.push(`not compared, since not here: ${others.map(({ name }) => `"${name}"`).join(', ')}`);
  const plan = { ...given, definition: { ...given.definition, source: state.source }, columns };
  const { span } = await source.snapshot(plan.table, plan.cursor, null);
  const upTo = plan.cursor === null ? null : state.cursor;
  report.cursor = upTo;
  const except = upTo === null || plan.definition.mode !== 'merge' ? null : await changedSince(plan, { ...span, after: upTo }, source);
  if (except !== null && except.keys.length > MOST_CHANGED)
    report.notes.push(`more than ${MOST_CHANGED} rows were changed since the last run; those of them that it brought are listed as extra`);
  report.parity = await compare({
    plan,
    span: { ...span, upTo },
    run: state.run,
    source,
    warehouse,
    ...(except === null || except.keys.length > MOST_CHANGED ? {} : { except }),
  });
}

const MOST_CHANGED = 100_000;

/** The keys of rows beyond the span: a row that was changed since the last run stands here as it was, and at the source beyond. */
async function changedSince(plan: PlannedTable, span: Span, source: Opened): Promise<NonNullable<Check['except']>> {
  const columns = plan.key.map((name) => plan.columns.find((column) => column.name === name)!);
  const keys: (string | null)[][] = [];
  const read = columns.includes(plan.cursor!) ? columns : [...columns, plan.cursor!];
  for await (const { bytes } of source.read(plan.table, read, span, { nulled: new Map() })) {
    keys.push(...decodeRows(bytes, Number.POSITIVE_INFINITY).map((cells) => cells.slice(0, columns.length)));
    if (keys.length > MOST_CHANGED) break;
  }
  return { columns: columns.map(({ name, type, long }) => ({ name, type, long })), keys };
}

function divided<T>(values: readonly T[], isFirst: (value: T) => boolean): [T[], T[]] {
  return [values.filter(isFirst), values.filter((value) => !isFirst(value))];
}
