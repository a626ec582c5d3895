/** Rows of a table → the model's answers, block by block. */
import type { Column } from '#core';
import type { ColumnData } from '#learn';
import { name, type Reader } from '#store';
import { dataOf, selectInputs } from './columns.ts';
import type { Input, ModelFile, Workshop } from './model.ts';

/** A table that only the reader sees, or a query in parentheses. */
export interface Source {
  readonly from: string;
  readonly columns: readonly Column[];
}

export interface Scored {
  /** The model's inputs, as they were read. */
  readonly inputs: readonly ColumnData[];
  /** [rows × width]: class probabilities in the model's order, or values. */
  readonly answers: Float64Array;
  readonly width: number;
  /** The target's column, where it was asked for and the table has it. */
  readonly truth: ColumnData | null;
}

/** Rows of one block: enough to unpack the model for, few enough that delivery beside it waits milliseconds. */
const BLOCK = 8192;
/** The same where each row is explained, which costs some hundred predictions. */
export const EXPLAINED_BLOCK = 128;

export async function sourceOf(reader: Reader, from: string): Promise<Source> {
  const result = await reader.stream(`SELECT * FROM ${from} LIMIT 0`);
  const { columns } = result;
  await result.next();
  return { from, columns };
}

/** What the model reads: the table itself, or its TRANSFORM, which is worked out once. */
export async function transformed(reader: Reader, file: ModelFile, table: string): Promise<Source> {
  if (file.transform === null) return sourceOf(reader, name(table));
  const made = `${table}_t`;
  await reader.own(`CREATE OR REPLACE TEMP TABLE ${name(made)} AS SELECT ${file.transform.join(', ')} FROM ${name(table)}`);
  return sourceOf(reader, name(made));
}

/** Errors: MODEL_INPUT for a column that is absent or of another type, MODEL_COLUMN. `pause` runs between blocks and may throw. */
export async function* score(
  reader: Reader,
  file: ModelFile,
  source: Source,
  withTruth: boolean,
  answerer: Workshop['answerer'],
  pause: () => Promise<void>,
  most = BLOCK,
): AsyncGenerator<Scored> {
  const { model } = file;
  const answer = answerer(file);
  const wanted: Input[] = withTruth ? [...file.inputs, file.target] : [...file.inputs];
  const { list, found } = selectInputs(wanted, source.columns);
  // Without any of its columns the model says itself what it misses.
  if (found.length === 0) answer([]);
  const width = model.classes?.length ?? 1;
  for await (const block of reader.arrays(`SELECT ${list} FROM ${source.from}`, most)) {
    const columns = dataOf(block, found);
    const truth = withTruth && found.at(-1)?.name === file.target.name ? columns.at(-1)! : null;
    yield { inputs: columns, answers: answer(columns), width, truth };
    await pause();
  }
}
