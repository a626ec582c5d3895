import { type MillraceError, nearest } from '#core';
import { functionFamilies, isAllowedFunction, tableFunctions } from './functions.ts';

/** Which rule of the allow-list speaks by which code. */
const rules: Readonly<Record<string, string>> = {
  SQL_KIND: 'the kind of statement: each role has a list of kinds',
  SQL_FUNCTION: 'functions: only those on the list compute from their arguments and reach nothing else',
  SQL_TABLE: 'tables: each that the statement reads, through views too, must exist and be yours to read',
  SQL_WRITE: 'targets: statements write to your own schemas only',
  SQL_CONSTRUCT: 'syntax: each node of the parsed statement must be of a known kind',
  SQL_SEVERAL: 'one statement at a time',
  SQL_LENGTH: 'the length of a statement',
  SQL_SYNTAX: 'the text must be one statement that can be parsed',
  SQL_EMPTY: 'the text must be one statement that can be parsed',
  SQL_PARAMETERS: 'parameters',
  TABLE_NAME: 'names of new tables',
};
const LONGEST_EXCERPT = 100;

/**
 * Why a statement is refused, or that it is not (`refused` null), as rows of aspect and detail; `readable` are the names (schema.name)
 * that the asker may read, for a hint at the one that was meant. Says nothing of tables beyond those.
 */
export function explainRefusal(
  refused: MillraceError | null,
  text: string,
  readable: readonly string[],
): [aspect: string, detail: string][] {
  if (refused === null)
    return [
      ['verdict', 'allowed'],
      ['note', 'nothing was run; what the engine itself may object to is only known when it is'],
    ];
  const rows: [string, string][] = [
    ['verdict', `refused: ${refused.message}`],
    ['code', refused.code],
    ['rule', rules[refused.code] ?? 'not of the allow-list: the statement itself'],
  ];
  const { line, column } = refused.params;
  if (typeof line === 'number' && typeof column === 'number') {
    rows.push(['place', `line ${line}, column ${column}`], ['text', excerpt(text, line, column)]);
  }
  const meant = meantBy(refused, readable);
  if (meant !== null) rows.push(['did you mean', meant]);
  rows.push(['allowed instead', refused.body.remedy]);
  return rows;
}

/** From the place on, to the end of its line. */
function excerpt(text: string, line: number, column: number): string {
  const rest = (text.split('\n')[line - 1] ?? '').slice(column - 1);
  return rest.length > LONGEST_EXCERPT ? `${rest.slice(0, LONGEST_EXCERPT)}…` : rest;
}

function meantBy({ code, params }: MillraceError, readable: readonly string[]): string | null {
  if (code === 'SQL_TABLE') return nearest(String(params['table']), [...readable, ...readable.map((name) => name.replace(/^main\./, ''))]);
  if (code !== 'SQL_FUNCTION') return null;
  const name = String(params['function']);
  if (isAllowedFunction(name, false))
    return `${name} in the list of columns: in FROM only ${tableFunctions.split(' ').join(', ')} may stand`;
  return nearest(
    name,
    Object.values(functionFamilies).flatMap((names) => names.split(' ')),
  );
}
