/** What a run tells of itself when it has ended. */
import type { Bytes, ErrorBody, TransferMode } from '#core';
import type { Parity } from './parity.ts';

export interface TableReport {
  readonly source: string;
  readonly target: string;
  readonly mode: TransferMode;
  /** Rows that were read, written (new or changed), and of these how many replaced one. */
  read: number;
  rows: number;
  replaced: number;
  quarantined: number;
  bytes: Bytes;
  seconds: number;
  /** Which side the other waited for. */
  slow: 'source' | 'warehouse' | null;
  readonly notes: string[];
  cursor: string | null;
  parity: Parity | null;
}

export interface RunReport {
  readonly run: string;
  readonly transfer: string;
  /** Of a comparison alone; a run has none. */
  readonly kind?: 'verify';
  readonly began: string;
  ended: string;
  outcome: 'done' | 'failed';
  readonly tables: TableReport[];
  error: ErrorBody | null;
}

export function emptyReport({ source, target, mode }: Pick<TableReport, 'source' | 'target' | 'mode'>): TableReport {
  return {
    source,
    target,
    mode,
    read: 0,
    rows: 0,
    replaced: 0,
    quarantined: 0,
    bytes: 0,
    seconds: 0,
    slow: null,
    notes: [],
    cursor: null,
    parity: null,
  };
}
