/** Would the engine run a query, and if not, why, and where in the query? None of its rows is read. */
import type { Row } from '#store';

export interface Objection {
  /** In the engine's words, without an end. */
  readonly problem: string;
  /** An index into the query, where the engine names a place. */
  readonly at: number | null;
  readonly thrown: unknown;
}

export async function objectionTo(query: string, rows: (sql: string) => Promise<Row[]>): Promise<Objection | null> {
  const asked = `DESCRIBE ${query}`;
  try {
    await rows(asked);
    return null;
  } catch (thrown) {
    const [, ...shown] = String((thrown as Error).message).split('\n');
    const at = indexShown(shown, asked);
    return { problem: problemIn(thrown), at: at === null ? null : at - 'DESCRIBE '.length, thrown };
  }
}

/** What the engine says without its kind of error and without the lines that show the query. */
export function problemIn(thrown: unknown): string {
  const [first] = String((thrown as Error).message).split('\n', 1);
  return first!.replace(/^(?:Binder|Catalog|Parser) Error: /, '').replace(/[.!]+$/, '');
}

/** Where in the statement the caret points to that DuckDB shows below the line, of which it cuts off both ends where it is long. */
function indexShown(shown: readonly string[], statement: string): number | null {
  const at = shown.findIndex((line) => line.startsWith('LINE '));
  const match = /^LINE (\d+): (\.\.\.)?(.*?)(\.\.\.)?$/.exec(shown[at] ?? '');
  const caret = shown[at + 1]?.indexOf('^') ?? -1;
  if (match === null || caret < 0) return null;
  const lines = statement.split('\n');
  const line = Number(match[1]) - 1;
  const cut = match[2] === undefined ? 0 : (lines[line] ?? '').indexOf(match[3]!) - match[2].length;
  const before = lines.slice(0, line).reduce((sum, each) => sum + each.length + 1, 0);
  return before + cut + caret - `LINE ${match[1]}: `.length;
}
