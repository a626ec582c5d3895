export { openSource, sourceOf, type World } from './connection.ts';
export { rewriteInUtf8 } from './csv/encoding.ts';
export { type FileChoice, type FileLook, type Guess, guess, lookAtFile, type Preview, preview } from './guess.ts';
export { compare, type Difference, type Parity } from './parity.ts';
export { emptyReport, type RunReport, type TableReport } from './report.ts';
export {
  type PlannedTable,
  type Progress,
  planned,
  type Running,
  runTransfer,
  type Warehouse,
} from './run.ts';
export type { Opened, Rules, Source, SourceColumn, SourceTable } from './source.ts';
export { sources } from './sources/index.ts';
export { verifyTransfer } from './verify.ts';
