import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { openStore } from '#store';
import { topicOf } from '../collect/fixture.ts';
import { count, delivery, folder, freshStore, opening } from './fixture.ts';
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

test('a new file is made in the format of DuckDB 1.4 with blocks of 64 kB; one that was made before keeps its own', async (t) => {
  const kindOf = async (path: string) => {
    const instance = await DuckDBInstance.create(join(path, 'warehouse.duckdb'), { access_mode: 'READ_ONLY' });
    const connection = await instance.connect();
    const asked = `SELECT tags['storage_version'], (SELECT block_size FROM pragma_database_size()) FROM duckdb_databases() WHERE NOT internal`;
    const [kind] = (await connection.runAndReadAll(asked)).getRows();
    connection.closeSync();
    instance.closeSync();
    return kind!.map(String);
  };
  const fresh = folder(t);
  await (await openStore(opening(fresh))).close();
  assert.deepEqual(await kindOf(fresh), ['v1.4.0+', '65536']);
  const former = folder(t);
  const instance = await DuckDBInstance.create(join(former, 'warehouse.duckdb'));
  instance.closeSync();
  const before = await kindOf(former);
  assert.deepEqual(before, ['v1.0.0+', '262144']);
  const store = await openStore(opening(former));
  await store.deliver([delivery(topicOf('visits', 'fields: {page: text}'), 0, [{ json: '{"page":"a"}' }])]);
  assert.equal(await count(store, 'raw.visits'), 1);
  await store.close();
  assert.deepEqual(await kindOf(former), before);
});
