export { combinations } from './combinations.ts';
export type { ErrorEntry, Parameters } from './errors/entry.ts';
export type { ErrorBody, ErrorCode } from './errors.ts';
export { asMillraceError, catalogue, errorFromBody, fail, MillraceError } from './errors.ts';
export { newLine } from './line.ts';
export type { ModelCalls, UsedModel } from './model-calls.ts';
export { nearest } from './nearest.ts';
export type { Outcome } from './outcome.ts';
export type { Principal, Role } from './principal.ts';
export type { Entry, Option } from './registry.ts';
export type { Bytes, Column, Drift, EventTime, Field, FieldType, Micros, Millis, Position, Table, TimeUnit, Topic } from './schema.ts';
export { isTableWord } from './schema.ts';
export { sha256 } from './sha256.ts';
export {
  isWatchedSource,
  type Lookback,
  type Reference,
  type Transfer,
  type TransferMode,
  type TransferSchedule,
  type TransferTable,
  type WatchedFolder,
  watchedFolder,
  watchedSources,
} from './transfer.ts';
export { periodSql, type Weekday, weekdays } from './week.ts';
export { type Clock, clockOf, isTimeZone, utcOffset } from './zone.ts';
