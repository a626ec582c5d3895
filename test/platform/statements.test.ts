import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError, type Principal } from '#core';
import { type Owners, ownStatements } from '../../src/platform/warehouse/statements.ts';

const who: Principal = { name: 'maker', role: 'editor', topics: null };

/** A view and a scheduled query, both of which read mart.codes and fail with these; everything else that is asked of them is a defect. */
function carriedOut(thrown: unknown, readable: readonly string[]): (kind: string, name: string) => Promise<unknown> {
  const failing = { states: () => [{ name: 'mart.coded', reads: ['mart.codes'] }], command: () => Promise.reject(thrown) };
  const owners = {
    keeper: failing,
    queries: { ...failing, before: async () => {} },
    blast: { check: async () => {} },
    models: {},
    rights: { mayRead: (_who: unknown, tables: readonly string[]) => tables.every((table) => readable.includes(table)) },
  } as unknown as Owners;
  const own = ownStatements(owners);
  return (kind, name) =>
    own({ kind, target: { schema: 'mart', name } } as never, who, { text: '', cancel: new AbortController().signal } as never).then(
      () => assert.fail(`${kind} did not fail`),
      (error: unknown) => error,
    );
}

const KINDS = ['refresh_materialized_view', 'resume_materialized_view', 'run_scheduled_query', 'resume_scheduled_query'];

test('what goes wrong in a statement about a view or a scheduled query quotes no value to who may not read all that it reads', async () => {
  const value = new MillraceError('VIEW_VALUE', { view: 'mart.coded', problem: "Could not convert string 'kim@example.com'" });
  const engine = new Error("Conversion Error: Could not convert string 'kim@example.com'");
  for (const kind of KINDS)
    for (const [thrown, code] of [
      [value, 'VIEW_VALUE'],
      [engine, 'SQL_FAILED'],
    ] as const) {
      const error = (await carriedOut(thrown, ['mart.coded'])(kind, 'Coded')) as MillraceError;
      assert.deepEqual([error.code, error.params], ['GRANTS_UNTOLD', { code }], kind);
      assert.doesNotMatch(JSON.stringify(error.body), /kim/);
      assert.equal(await carriedOut(thrown, ['mart.coded', 'mart.codes'])(kind, 'coded'), thrown, kind);
    }
});

test('what quotes nothing is told to all', async () => {
  const unknown = new MillraceError('VIEW_UNKNOWN', { view: 'mart.nope' });
  for (const kind of KINDS) assert.equal(await carriedOut(unknown, [])(kind, 'nope'), unknown);
});
