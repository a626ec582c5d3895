import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzDoor } from './door.fuzz.ts';

test('three thousand hostile bodies: each record is accepted or rejected with a code, and the log holds exactly what was said', async (t) => {
  const { accepted, rejected, refused, codes } = await fuzzDoor(t, 3_000, 20_261_123);
  // The generator reaches what it is for: most kinds of refusal come up, and so do sound records.
  assert.ok(accepted > 3_000 && rejected > 1_000, `${accepted} accepted, ${rejected} rejected`);
  assert.deepEqual(
    ['BODY_EMPTY', 'BODY_ENCODING', 'BODY_GZIP', 'BODY_TOO_LARGE'].filter((code) => !refused.has(code)),
    [],
  );
  const hoped = ['RECORD_JSON', 'RECORD_NOT_OBJECT', 'RECORD_DUPLICATE_KEY', 'RECORD_TOO_DEEP', 'RECORD_TOO_LARGE', 'RECORD_SURROGATE'];
  hoped.push('RECORD_ENCODING', 'RECORD_NUL', 'RECORD_ID', 'RECORD_FIELD', 'BATCH_TOO_LONG');
  assert.deepEqual(
    hoped.filter((code) => !codes.has(code)),
    [],
  );
});
