export type { Chunk } from './cells.ts';
export type { Change, Row, Transaction } from './lane.ts';
export type { Load, Loaded, LoadFormat, LoadMode } from './load.ts';
export { name, OWN_SCHEMAS, parseTable, quoted, type TableName, text } from './names.ts';
export { isFatal, isOutOfMemory } from './open.ts';
export type { Reader, Result, Values } from './read.ts';
export type { Delivered, Delivery } from './records.ts';
export { openStore, type Store } from './store.ts';
