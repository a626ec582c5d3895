/**
 * The parity report of a table whose parts are merged, for all of them together: the rows of a part say nothing by themselves, since a
 * later one may have taken their places. The hash of each row is written down as its part is read, and the warehouse finds the last of each
 * key (src/store/merged.ts).
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes, TransferTable } from '#core';
import type { MergedCheck } from '#store';
import { MOST_SHOWN } from './parity.ts';
import { emptyReport, type TableReport } from './report.ts';
import { appendToSlice } from './rows.ts';
import type { PlannedTable, Warehouse } from './run.ts';
import type { Opened, Span } from './source.ts';

export interface Merging {
  readonly transfer: string;
  readonly definition: TransferTable;
  readonly source: Opened;
  readonly warehouse: Pick<Warehouse, 'merged'>;
  /** For the hashes, until the report is made. */
  readonly folder: string;
  /** Do all parts that stand at the source come? Otherwise only their keys are compared. */
  readonly all: boolean;
}

export interface MergedComparison {
  /** A part, in the columns that are here, and by which name at the source which run brought it last. Cost: one pass over it; memory: a little. */
  add(part: Pick<PlannedTable, 'table' | 'columns'>, span: Span, brought: { readonly source: string; readonly run: string }): Promise<void>;
  /** How many parts have been added. */
  readonly count: number;
  /** To be called once. */
  report(): Promise<TableReport>;
}

export function compareMerging({ transfer, definition, source, warehouse, folder, all }: Merging): MergedComparison {
  const file = join(folder, `${randomUUID()}.tsv`);
  const parts: MergedCheck['parts'][number][] = [];
  const layouts = new Map<string, number>();
  let rows = 0;
  let lines = '';
  let longest: Bytes = 0;
  const flush = () => {
    appendToSlice(file, Buffer.from(lines));
    lines = '';
  };
  return {
    get count() {
      return parts.length;
    },
    async add({ table, columns }, span, { source: name, run }) {
      const layout = JSON.stringify(columns.map((column) => ({ name: column.name, type: roomy(column.type), long: column.long })));
      if (!layouts.has(layout)) layouts.set(layout, layouts.size);
      const part = parts.push({ source: name, run, layout: layouts.get(layout)! }) - 1;
      await source.eachHash!(table, columns, span, definition.key, (values, hash) => {
        const line = `${++rows}\t${part}\t${hash}\t${JSON.stringify(values.map((value) => value?.toWellFormed() ?? null))}\n`;
        // A character has at most three bytes for each of its units.
        longest = Math.max(longest, 3 * line.length);
        lines += line;
        if (lines.length > LINES) flush();
      });
    },
    async report() {
      const began = performance.now();
      flush();
      try {
        const check = {
          transfer,
          table: definition.target,
          key: definition.key,
          parts,
          layouts: [...layouts.keys()].map((each) => JSON.parse(each)),
        };
        const { replaced, elsewhere, ...found } = await warehouse.merged({ ...check, all, longest, most: MOST_SHOWN }, file);
        const equal = found.source.rows === found.warehouse.rows && found.source.sum === found.warehouse.sum;
        const report = emptyReport(definition);
        if (replaced > 0)
          report.notes.push(`${replaced} rows of these files were replaced by what ${ELSEWHERE}: they are left out on both sides`);
        if (all && elsewhere > 0) report.notes.push(`${elsewhere} rows here have other keys and ${ELSEWHERE}: they are left out`);
        report.parity = { equal, ...found, after: null, up_to: null };
        report.seconds = (performance.now() - began) / 1000;
        return report;
      } finally {
        rmSync(file, { force: true });
      }
    },
  };
}

const ELSEWHERE = 'came from files that are gone or have changed since, from another transfer or from quarantine';

/** Characters of hashes that are written at once. */
const LINES = 1_000_000;

/** Files guess types by their values: numbers of any width have the same texts. */
function roomy(type: string): string {
  return /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type) ? 'HUGEINT' : type.replace(/^DECIMAL\(\d+,/, 'DECIMAL(38,');
}
