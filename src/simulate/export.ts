import { type Column, fail } from '#core';
import type { ExportKind } from './dataset.ts';
import { gaSessions } from './ga-sessions.ts';
import { ga4Events } from './ga4-events.ts';

const kinds: readonly ExportKind[] = [gaSessions, ga4Events];

/** Which kind of export a file is, by its columns alone. Errors: EXPORT_UNKNOWN. */
export function recogniseExport(file: string, columns: readonly Column[]): ExportKind {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const kind = kinds.find(({ marks }) => Object.entries(marks).every(([name, type]) => types.get(name)?.startsWith(type)));
  return (
    kind ??
    fail('EXPORT_UNKNOWN', {
      file,
      columns: columns
        .map(({ name }) => name)
        .join(', ')
        .slice(0, 500),
    })
  );
}
