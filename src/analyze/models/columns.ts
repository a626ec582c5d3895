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
export function expressionOf(column: Column, as: Input['kind']): string {
  const quoted = name(column.name);
  const kind = kindOf(column.type) ?? fail('MODEL_COLUMN', { column: column.name, type: column.type });
  if (kind === 'time') return `CASE WHEN isfinite(${quoted}) THEN epoch_ms(${quoted}::TIMESTAMP)::DOUBLE END`;
  if (column.type === 'BOOLEAN' && as === 'number') return `${quoted}::INTEGER::DOUBLE`;
  return kind === 'number' && column.type !== 'BOOLEAN' ? `${quoted}::DOUBLE` : `${quoted}::VARCHAR`;
}

/** `SELECT` list that gives the inputs that the table has, under the model's names, in the model's order. */
export function selectInputs(inputs: readonly Input[], columns: readonly Column[]): { list: string; found: Input[] } {
  const found: Input[] = [];
  const list: string[] = [];
  for (const input of inputs) {
    const column =
      columns.find((each) => each.name === input.name) ?? columns.find((each) => each.name.toLowerCase() === input.name.toLowerCase());
    if (column === undefined) continue;
    found.push({ ...input, kind: kindOf(column.type) ?? 'text' });
    list.push(`${expressionOf(column, input.kind)} AS ${name(input.name)}`);
  }
  return { list: list.join(', '), found };
}

/** A block of arrays as columns: times are numbers until here. */
export function dataOf(block: ArrayBlock, inputs: readonly Input[]): ColumnData[] {
  return block.columns.map((column, k): ColumnData => {
    if (column.kind === 'text') return column;
    return { ...column, name: inputs[k]!.name, kind: inputs[k]!.kind === 'time' ? 'time' : 'number' };
  });
}
