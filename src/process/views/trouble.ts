/** Why a refresh or the run of a scheduled query failed, in words that say what to do about it. */
import { asMillraceError, MillraceError } from '#core';
import { isOutOfMemory } from '#store';

/** The engine's kinds of errors that lie in the rows, not in the machine. */
const VALUE = /^(?:Conversion|Out of Range|Invalid Input|Division by zero|Constraint|Overflow|Not implemented) Error: (.*)$/i;
const GONE = /^(?:Binder|Catalog) Error: (.*)$/;

/** The engine's kinds that lie in the machine (a full disk, a file that can't be read): the same refresh may pass later. */
const MACHINE = /\b(?:IO|TransactionContext) Error: /;

export function isOfMachine(error: MillraceError): boolean {
  return error.code === 'STORE_WRITE' && MACHINE.test(String(error.params['detail']));
}

/** The engine's own words, without the lines that show the query. */
const detailOf = (error: MillraceError): string => String(error.params['detail'] ?? '').split('\n', 1)[0]!;

/** `readersOf` gives those that wait for a view that has stopped. */
export function troubleOf(view: string, thrown: unknown, readersOf: (view: string) => readonly string[]): MillraceError {
  const error = asMillraceError(thrown);
  const gone = (problem: string) =>
    new MillraceError('VIEW_COLUMN', { view, readers: readersOf(view).join(', ') || 'none', problem }, thrown);
  // Its definition was read anew, and names a table that is there no more.
  if (error.code === 'SQL_TABLE') return gone(error.message.replace(/[.!]+$/, ''));
  if (error.code !== 'STORE_WRITE' && error.code !== 'INTERNAL') return error;
  const detail = detailOf(error);
  const missing = GONE.exec(detail);
  if (missing !== null) return gone(missing[1]!);
  const value = VALUE.exec(detail);
  if (value !== null) return new MillraceError('VIEW_VALUE', { view, problem: value[1]! }, thrown);
  return isOutOfMemory(thrown) ? new MillraceError('VIEW_MEMORY', { view, detail }, thrown) : error;
}

/** The same for the run of a scheduled query: what is the query's or its rows' fault is not Millrace's. */
export function troubleOfRun(query: string, thrown: unknown): MillraceError {
  const error = asMillraceError(thrown);
  if (error.code !== 'STORE_WRITE' && error.code !== 'INTERNAL') return error;
  if (isOutOfMemory(thrown)) return new MillraceError('QUERY_MEMORY', {}, thrown);
  const detail = detailOf(error);
  const own = GONE.exec(detail) ?? VALUE.exec(detail);
  return own === null ? error : new MillraceError('SCHEDULE_QUERY', { query, problem: own[1]!.replace(/[.!]+$/, '') }, thrown);
}
