/** Pauses of views and scheduled queries outlive the process: a pause counts as long as the definition is the one that was paused. */
import { type ErrorBody, MillraceError } from '#core';
import { type Row, type Store, text } from '#store';

export interface Pause {
  /** Null: somebody said PAUSE. */
  readonly error: ErrorBody | null;
}

export const PAUSE_TABLE = `CREATE TABLE IF NOT EXISTS millrace.pause (
  name VARCHAR NOT NULL, definition VARCHAR NOT NULL, paused TIMESTAMPTZ NOT NULL, code VARCHAR, params JSON)`;

export async function recordPause(store: Store, name: string, definition: string, error: ErrorBody | null): Promise<void> {
  const [code, params] = error === null ? ['NULL', 'NULL'] : [text(error.code), text(JSON.stringify(error.params))];
  await store.write(async (tx) => {
    await tx.run(`DELETE FROM millrace.pause WHERE name = ${text(name)}`);
    await tx.run(`INSERT INTO millrace.pause VALUES (${text(name)}, ${text(definition)}, now(), ${code}, ${params})`);
  });
}

export async function forgetPause(store: Store, name: string): Promise<void> {
  await store.write((tx) => tx.run(`DELETE FROM millrace.pause WHERE name = ${text(name)}`));
}

/** Null when it is not paused, or was by another definition. */
export async function pauseOf(rows: (sql: string) => Promise<Row[]>, name: string, definition: string): Promise<Pause | null> {
  const [row] = await rows(
    `SELECT code, params FROM millrace.pause WHERE name = ${text(name)} AND definition = ${text(definition)} ORDER BY paused DESC LIMIT 1`,
  );
  if (row === undefined) return null;
  if (row['code'] === null) return { error: null };
  return { error: new MillraceError(row['code'] as never, JSON.parse(String(row['params']))).body };
}
