import { MillraceError } from '#core';
import { isFatal } from '#store';

/** What DuckDB (1.5) and its client say of values that lack, or that nothing asks for. */
const PARAMETERS = new RegExp(
  `^(?:${[
    'Invalid Input Error: Values were not provided for the following prepared statement parameters: ',
    'Invalid Input Error: Expected \\d+ parameters, but none were supplied',
    'Failed to bind value: Invalid Input Error: Can not bind to parameter ',
    'Failed to retrieve bind parameter index',
    'Failed to extract statements: Not implemented Error: Mixing named and positional parameters',
    'Binder Error: Unexpected prepared parameter',
    'Binder Error: Could not determine type of parameters',
  ].join('|')})`,
);

/** DuckDB's error as the catalogue's, with the place in the user's text where the engine names one. */
export function queryError(thrown: unknown, sql: string): MillraceError {
  // No statement is to blame for it, and the process ends (see `onFatal`).
  if (isFatal(thrown)) return new MillraceError('STORE_UNAVAILABLE', {}, thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const problem = message
    .split('\n', 1)[0]!
    .replace(/^[A-Za-z ]*Error: /, '')
    .replace(/[.!\s]+$/, '')
    .slice(0, 1000);
  if (/^Out of Memory Error/i.test(message)) return new MillraceError('QUERY_MEMORY', {}, thrown);
  if (PARAMETERS.test(message)) return new MillraceError('SQL_PARAMETERS', { problem }, thrown);
  const code = /^Parser Error/i.test(message) ? 'SQL_SYNTAX' : 'SQL_FAILED';
  return new MillraceError(code, { problem: withHint(problem, message), ...placeOf(message, sql) }, thrown);
}

/** "Did you mean" and "Candidate" lines help; the rest of DuckDB's text repeats the statement. */
function withHint(problem: string, message: string): string {
  const hint = /(?:Did you mean|Candidate (?:bindings|tables|functions)|Candidate Entries):?[^\n]*/i.exec(message.slice(problem.length));
  return hint === null ? problem : `${problem}. ${hint[0].replace(/[.\s]+$/, '')}`;
}

/** DuckDB prints `LINE n: <text>` and a caret below the place; long lines are cut on the left with "...". */
function placeOf(message: string, sql: string): { line?: number; column?: number; position?: number } {
  const match = /\nLINE (\d+): (.*)\n( *)\^/.exec(message);
  if (match === null) return {};
  const line = Number(match[1]);
  const shown = match[2]!;
  const caret = match[3]!.length - `LINE ${line}: `.length;
  const source = sql.split('\n')[line - 1] ?? '';
  const cut = shown.startsWith('...') ? source.indexOf(shown.slice(3, Math.max(4, shown.length - 3))) - 3 : 0;
  const column = Math.max(1, caret + cut + 1);
  const position =
    sql
      .split('\n')
      .slice(0, line - 1)
      .reduce((sum, text) => sum + text.length + 1, 0) +
    column -
    1;
  return { line, column, position };
}
