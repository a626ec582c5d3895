import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzSql } from '../sql/fuzz.ts';

/** Another one each time; it stands in every message. */
const seed = Date.now() % 2 ** 31;

test(`forty thousand statements over the grammar (seed ${seed}): what is admitted touches no canary file, server, setting or table of others`, async () => {
  const { admitted, called, refused, heldBack } = await fuzzSql(40_000, seed);
  assert.ok(
    admitted > 4_000 && called > 400 && refused > 10_000 && heldBack > 200,
    `${admitted} admitted, ${called} with calls, ${refused} refused, ${heldBack} held back`,
  );
});
