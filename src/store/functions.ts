/** Functions of Millrace's own in the warehouse's SQL. Only SQL that Millrace made itself can name them: they are not on the allow-list. */
import {
  ARRAY,
  arrayValue,
  DOUBLE,
  type DuckDBArrayVector,
  type DuckDBConnection,
  type DuckDBDataChunk,
  DuckDBScalarFunction,
  VARCHAR,
} from '@duckdb/node-api';
import type { ArrayColumn } from './arrays.ts';

/** The same rows must get the same answer, whatever rows stand beside them. */
export interface OwnFunction {
  readonly name: string;
  /** Its parameters, DOUBLE (give NaN for NULL) or VARCHAR. */
  readonly takes: readonly ArrayColumn['kind'][];
  /** How many numbers it gives for a row, as an array; NaN becomes NULL. */
  readonly width: number;
  /** [rows × width], for up to 2,048 rows at once, on this thread, between other work. What it throws becomes the statement's error, by its message. */
  readonly answer: (columns: readonly ArrayColumn[], rows: number) => Float64Array;
}

/** `connection` must have nothing under way: the engine's catalog waits for it. */
export function addFunction(connection: DuckDBConnection, own: OwnFunction): void {
  connection.registerScalarFunction(
    DuckDBScalarFunction.create({
      name: own.name,
      parameterTypes: own.takes.map((kind) => (kind === 'number' ? DOUBLE : VARCHAR)),
      returnType: ARRAY(DOUBLE, own.width),
      // Without it a NULL in any parameter would be the answer.
      specialHandling: true,
      mainFunction(info, chunk, output) {
        try {
          write(
            output as DuckDBArrayVector,
            own.answer(
              own.takes.map((kind, k) => columnOf(chunk, k, kind)),
              chunk.rowCount,
            ),
            own.width,
          );
        } catch (thrown) {
          // Thrown from here it would end the process.
          info.setError((thrown as Error).message);
        }
      },
    }),
  );
}

function columnOf(chunk: DuckDBDataChunk, k: number, kind: ArrayColumn['kind']): ArrayColumn {
  const vector = chunk.getColumnVector(k);
  const name = String(k);
  const rows = Array.from({ length: chunk.rowCount }, (_, row) => vector.getItem(row));
  if (kind === 'text') return { name, kind, values: rows as (string | null)[] };
  return { name, kind, values: Float64Array.from(rows, (value) => (value as number | null) ?? Number.NaN) };
}

function write(output: DuckDBArrayVector, answers: Float64Array, width: number): void {
  for (let row = 0; row * width < answers.length; row++) {
    const own = [...answers.subarray(row * width, (row + 1) * width)];
    output.setItem(row, arrayValue(own.map((value) => (Number.isNaN(value) ? null : value))));
  }
  output.flush();
}
