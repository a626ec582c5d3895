import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planCalls } from '../../src/analyze/models/answer.ts';
import { ctesBefore, findCalls } from '../../src/analyze/models/calls.ts';

const lines = (text: string): number[] => [...text].flatMap((letter, at) => (letter === '\n' ? [at] : []));

test('replacing calls moves nothing: neither what follows nor a line', () => {
  const filler = fc.stringMatching(/^[a-z0-9 ,\n'"()$-]{0,30}$/);
  const call = fc.constantFrom(
    'ML.WEIGHTS(MODEL m)',
    'ml . predict(\nMODEL\nm, (SELECT $1\n, 2))',
    'ML.PREDICT(MODEL s.m@2, TABLE t, STRUCT(0.5 AS threshold))',
    'ML.ROC_CURVE(MODEL m, (SELECT [1, 2]), GENERATE_ARRAY(0.1, 0.9, 0.1))',
    'ML.ROC_CURVE(MODEL m, [0.1,\n0.5])',
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(filler, call), { minLength: 1, maxLength: 3 }), (parts) => {
      // Each call stands on a line of its own behind a closed string, so that the filler can't swallow it by a quote that is open.
      const text = parts.map(([before, each]) => `${before.replaceAll(/['"$-]/g, '')}\n${each}\n`).join('');
      const planned = planCalls(text);
      assert.equal(planned.steps.length, parts.length);
      assert.equal(planned.text.length, text.length);
      assert.deepEqual(
        lines(planned.text).filter((at) => !planned.steps.some(({ call: { start, end } }) => at >= start && at < end)),
        lines(text).filter((at) => !planned.steps.some(({ call: { start, end } }) => at >= start && at < end)),
      );
      for (const { call: each, as } of planned.steps) assert.equal(planned.text.slice(each.start, each.start + as.length), as);
    }),
  );
});

test('calls in strings, comments and quoted names are text', () => {
  for (const text of [
    "SELECT 'ML.PREDICT(MODEL m, TABLE t)'",
    '-- ML.PREDICT(MODEL m)',
    '/* ML.WEIGHTS(MODEL m) */ SELECT 1',
    'SELECT "ML"."WEIGHTS"(MODEL m)',
    '$$ML.WEIGHTS(MODEL m)$$',
  ])
    assert.deepEqual(findCalls(text), [], text);
});

test('a parenthesis in a string or comment of the inner query does not close the call', () => {
  const [call] = findCalls("SELECT * FROM ML.PREDICT(MODEL m, (SELECT ')' AS x /* ) */ FROM t -- )\n)) WHERE 1");
  assert.equal(call!.input!.kind, 'query');
  assert.equal("SELECT * FROM ML.PREDICT(MODEL m, (SELECT ')' AS x /* ) */ FROM t -- )\n)) WHERE 1".slice(call!.end), ' WHERE 1');
});

test('the CTEs that a query sees are those complete before it in the outermost WITH', () => {
  const seen = (text: string) => {
    const found = ctesBefore(text, text.indexOf('HERE'));
    return found && text.slice(found.start, found.end);
  };
  assert.equal(seen('SELECT HERE'), null);
  assert.equal(seen('WITH a AS (SELECT 1) SELECT HERE'), 'WITH a AS (SELECT 1)');
  assert.equal(
    seen('WITH a (x, y) AS (SELECT 1), b AS NOT MATERIALIZED (SELECT (2)) SELECT f(1) AS z, (3) FROM HERE'),
    'WITH a (x, y) AS (SELECT 1), b AS NOT MATERIALIZED (SELECT (2))',
  );
  assert.equal(seen('WITH a AS (SELECT 1), b AS (SELECT HERE) SELECT 1'), 'WITH a AS (SELECT 1)');
  assert.equal(seen('WITH a AS (SELECT HERE) SELECT 1'), null);
  assert.equal(seen('CREATE TABLE t AS WITH RECURSIVE a AS (SELECT 1) SELECT HERE'), 'WITH RECURSIVE a AS (SELECT 1)');
});
