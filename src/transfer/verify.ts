/** The parity report alone: both sides up to where the last run ended, without moving anything. */
import type { Transfer, TransferTable } from '#core';
import type { Check, TransferState } from '#store';
import { broughtWith, isSamePart } from './files/folder.ts';
import { compareMerging } from './merged.ts';
import { compare } from './parity.ts';
import { emptyReport, type RunReport, type TableReport } from './report.ts';
import { decodeRows } from './rows.ts';
import { type PlannedTable, planned, type Warehouse } from './run.ts';
import type { Opened, SourceColumn, Span } from './source.ts';

export interface Verifying {
  readonly run: string;
  readonly source: Opened;
  readonly warehouse: Pick<Warehouse, 'checksum' | 'hashes' | 'merged' | 'columns'>;
  /** A folder of its own. */
  readonly folder: string;
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
  for (const definition of transfer.tables) {
    if (source.parts !== undefined && definition.mode === 'merge')
      tables.push(...(await compareParts(transfer, definition, verifying, own)));
    else
      for (const part of source.parts?.([definition]) ?? [definition]) {
        const state = own.find((each) => each.target === part.target && isSamePart(each.source, part.source)) ?? null;
        const report = emptyReport(part);
        tables.push(report);
        if (state === null) report.notes.push(UNKNOWN);
        else {
          const [plan] = await planned({ ...transfer, tables: [part] }, source);
          await compareTable(plan!, state, verifying, report);
        }
      }
  }
  const ended = new Date().toISOString();
  return { run: verifying.run, transfer: transfer.name, kind: 'verify', began, ended, outcome: 'done', tables, error: null };
}

const UNKNOWN = 'no run has brought it yet: there is nothing to compare';
const ABSENT = 'its table, or a column of its key, is not here: there is nothing to compare';

/** All parts that stand in the folder and were brought together, and a report of each that was not. */
async function compareParts(
  transfer: Transfer,
  definition: TransferTable,
  { source, warehouse, folder }: Verifying,
  own: readonly TransferState[],
): Promise<TableReport[]> {
  const here = await warehouse.columns(definition.target);
  const has = here.length > 0 && definition.key.every((name) => isAmong(name, here));
  const whole = own.filter(({ target, event }) => target === definition.target && event === 'close').sort((a, b) => (a.at < b.at ? -1 : 1));
  const stateOf = broughtWith(whole);
  const merged = compareMerging({ transfer: transfer.name, definition, source, warehouse, folder, all: true });
  const reports: TableReport[] = [];
  const notes = new Set<string>();
  const taken = new Set<TransferState>();
  for (const part of source.parts!([definition])) {
    const state = stateOf(part.source);
    if (state === null) reports.push({ ...emptyReport(part), notes: [UNKNOWN] });
    if (!has || state === null || taken.has(state)) continue;
    taken.add(state);
    const [plan] = await planned({ ...transfer, tables: [part] }, source);
    const { columns, note } = standing(plan!, here);
    if (note !== null) notes.add(note);
    const { span } = await source.snapshot(plan!.table, plan!.cursor, null);
    await merged.add({ ...plan!, columns }, span, state);
  }
  const report = !has ? { ...emptyReport(definition), notes: [ABSENT] } : await merged.report();
  report.notes.unshift(...notes);
  return [report, ...reports];
}

const isAmong = (name: string, names: readonly string[]): boolean => names.some((each) => each.toLowerCase() === name.toLowerCase());

/** The next run brings what was added since, or leaves it out again. */
function standing({ columns }: PlannedTable, here: readonly string[]): { columns: SourceColumn[]; note: string | null } {
  const [own, others] = divided(columns, ({ name }) => isAmong(name, here));
  return {
    columns: own,
    note: others.length === 0 ? null : `not compared, since not here: ${others.map(({ name }) => `"${name}"`).join(', ')}`,
  };
}

async function compareTable(given: PlannedTable, state: TransferState, verifying: Verifying, report: TableReport): Promise<void> {
  const { source, warehouse } = verifying;
  const here = await warehouse.columns(given.definition.target);
  if (here.length === 0) {
    report.notes.push(ABSENT);
    return;
  }
  const { columns, note } = standing(given, here);
  if (note !== null) report.notes.push(note);
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
  // Who leaves a read in the middle loses the connection, which the comparison needs.
  for await (const { bytes } of source.read(plan.table, read, span, { nulled: new Map() }, MOST_CHANGED + 1))
    for (const cells of decodeRows(bytes, Number.POSITIVE_INFINITY)) keys.push(cells.slice(0, columns.length));
  return { columns: columns.map(({ name, type, long }) => ({ name, type, long })), keys };
}

function divided<T>(values: readonly T[], isFirst: (value: T) => boolean): [T[], T[]] {
  return [values.filter(isFirst), values.filter((value) => !isFirst(value))];
}
