/** Tables as learning reads them: which of the warehouse's types become numbers, texts and times. */
import { type Column, fail } from '#core';
import type { ColumnData } from '#learn';
import { type ArrayBlock, name } from '#store';
import type { Input } from './model.ts';

const NUMBERS = /^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|UTINYINT|USMALLINT|UINTEGER|UBIGINT|UHUGEINT|FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TIMES = /^(DATE|TIMESTAMP|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS|TIMESTAMP WITH TIME ZONE)$/;
const TEXTS = /^(VARCHAR|JSON|UUID|TIME|ENUM\(.*\))$/;

/** The kind of a column, or null for types without single values (lists, structs, bytes). */
export function kindOf(type: string): Input['kind'] | null {
  if (NUMBERS.test(type) || type === 'BOOLEAN') return 'number';
  if (TIMES.test(type)) return 'time';
  return TEXTS.test(type) ? 'text' : null;
}

/** Columns to learn from. MODEL_COLUMN for one that can't be read. */
export function inputsOf(columns: readonly Column[]): Input[] {
  return columns.map((column) => {
    const kind = kindOf(column.type) ?? fail('MODEL_COLUMN', { column: column.name, type: column.type });
    return { name: column.name, type: column.type, kind };
  });
}

/** An expression for the column as DOUBLE or VARCHAR. `as` is what the model was trained on: flags that were text stay text. */
export function expressionOf(column: Column, as: Input['kind'], quoted = name(column.name)): string {
  const kind = kindOf(column.type) ?? fail('MODEL_COLUMN', { column: column.name, type: column.type });
  if (kind === 'time') return `CASE WHEN isfinite(${quoted}) THEN epoch_ms(${quoted}::TIMESTAMP)::DOUBLE END`;
  if (column.type === 'BOOLEAN' && as === 'number') return `${quoted}::INTEGER::DOUBLE`;
  return kind === 'number' && column.type !== 'BOOLEAN' ? `${quoted}::DOUBLE` : `${quoted}::VARCHAR`;
}

/** One of the model's inputs that the table has. Its `kind` is that of the table's column; `sql` gives it as a DOUBLE or VARCHAR. */
export interface Selected {
  readonly input: Input;
  readonly sql: string;
  readonly as: 'number' | 'text';
}

/** In the model's order. `spelled` is how the SQL names each column. MODEL_COLUMN. */
export function selectedInputs(inputs: readonly Input[], columns: readonly Column[], spelled: readonly string[] = []): Selected[] {
  return inputs.flatMap((input): Selected[] => {
    const column =
      columns.find((each) => each.name === input.name) ?? columns.find((each) => each.name.toLowerCase() === input.name.toLowerCase());
    if (column === undefined) return [];
    const sql = expressionOf(column, input.kind, spelled[columns.indexOf(column)]);
    const kind = kindOf(column.type) ?? 'text';
    return [{ input: { ...input, kind }, sql, as: sql.endsWith('::VARCHAR') ? 'text' : 'number' }];
  });
}

/** `SELECT` list that gives the inputs that the table has, under the model's names, in the model's order. */
export function selectInputs(inputs: readonly Input[], columns: readonly Column[]): { list: string; found: Input[] } {
  const selected = selectedInputs(inputs, columns);
  return {
    list: selected.map(({ sql, input }) => `${sql} AS ${name(input.name)}`).join(', '),
    found: selected.map(({ input }) => input),
  };
}

/** A block of arrays as columns: times are numbers until here. */
export function dataOf(block: Pick<ArrayBlock, 'columns'>, inputs: readonly Input[]): ColumnData[] {
  return block.columns.map((column, k): ColumnData => {
    if (column.kind === 'text') return column;
    return { ...column, name: inputs[k]!.name, kind: inputs[k]!.kind === 'time' ? 'time' : 'number' };
  });
}
