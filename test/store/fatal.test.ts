import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStore } from '#store';
import { folder, opening } from './fixture.ts';

/** A column left out before one that is no UTF-8: DuckDB 1.5.6 fails an assertion there, and refuses everything from then on. */
const FATAL = (file: string) =>
  `CREATE TEMP TABLE x AS SELECT a, c FROM read_csv('${file}', columns = {'a': 'VARCHAR', 'b': 'VARCHAR', 'c': 'VARCHAR'}, delim = '\t', quote = '', escape = '', header = false, auto_detect = false)`;

test('an error after which the engine refuses everything is heard of, whoever meets it; words of a user about one are not', async (t) => {
  const heard: unknown[] = [];
  const store = await openStore({ ...opening(folder(t)), onFatal: (cause) => heard.push(cause) });
  t.after(() => store.close().catch(() => {}));
  const ask = async (sql: string) => {
    const reader = await store.reader();
    try {
      await (await reader.stream(sql)).next();
    } finally {
      reader.close();
    }
  };
  await assert.rejects(ask(`SELECT error('FATAL Error: database has been invalidated')`), /invalidated/);
  await assert.rejects(ask('SELECT "FATAL Error"'), /FATAL Error/);
  assert.deepEqual(heard, []);
  const file = join(store.folders.slices, 'bad.tsv');
  writeFileSync(file, Buffer.from('one\ttwo\t\xff\xfe\n', 'latin1'));
  await assert.rejects(store.write((tx) => tx.run(FATAL(file))));
  await assert.rejects(ask('SELECT 1'), /^Error: FATAL Error/);
  assert.ok(heard.length > 0);
});
