import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzSql, silentCanaries } from './fuzz.ts';

test('each canary tells when it is touched', async () => {
  assert.deepEqual(await silentCanaries(), []);
});

test('three hundred statements over the grammar: what is admitted touches no canary file, server, setting or table of others', async () => {
  const { admitted, called, refused, heldBack } = await fuzzSql(300, 20_261_123);
  assert.ok(
    admitted > 30 && called > 3 && refused > 100 && heldBack > 0,
    `${admitted} admitted, ${called} with calls, ${refused} refused, ${heldBack} held back`,
  );
});
