import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { openStore } from '#store';
import { folder, freshStore, opening } from './fixture.ts';
import { storeContract } from './store.contract.ts';

storeContract('DuckDB', (dataPath) => openStore(opening(dataPath)));

test('quarantine of before is kept, without the ids that nobody wrote down then', async (t) => {
  const path = folder(t);
  const instance = await DuckDBInstance.create(join(path, 'warehouse.duckdb'));
  const connection = await instance.connect();
  await connection.run(`CREATE SCHEMA millrace;
    CREATE TABLE millrace.quarantine (
      id VARCHAR NOT NULL, topic VARCHAR NOT NULL, received TIMESTAMPTZ NOT NULL, code VARCHAR NOT NULL, reason VARCHAR NOT NULL,
      sender VARCHAR, body BLOB, replayed TIMESTAMPTZ
    );
    INSERT INTO millrace.quarantine VALUES ('q-0', 'plain', now(), 'RECORD_JSON', 'no JSON', 'anna', encode('{'), NULL)`);
  connection.closeSync();
  instance.closeSync();
  const store = await freshStore(t, path);
  assert.deepEqual(await store.rows('SELECT id, sender, record FROM millrace.quarantine'), [{ id: 'q-0', sender: 'anna', record: null }]);
});
