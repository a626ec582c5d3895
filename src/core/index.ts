export type { ErrorBody, ErrorCode, ErrorEntry, Parameters } from './errors.ts';
export { asMillraceError, catalogue, errorFromBody, fail, MillraceError } from './errors.ts';
export type { Outcome } from './outcome.ts';
export type { Principal, Role } from './principal.ts';
export type { Entry, Option } from './registry.ts';
export type { Bytes, Column, Drift, EventTime, Field, FieldType, Micros, Millis, Position, Table, TimeUnit, Topic } from './schema.ts';
export type { Lookback, Reference, Transfer, TransferMode, TransferTable } from './transfer.ts';
