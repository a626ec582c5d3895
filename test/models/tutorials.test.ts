import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHouse } from './fixture.ts';

/** BigQuery ML's tutorials as files: statements one after the other. One behind "-- holds" gives one row, in which every column is true. */
const folder = join(import.meta.dirname, 'tutorials');
const statementsOf = (file: string) =>
  readFileSync(join(folder, file), 'utf8')
    .split(/;\s*$/m)
    .map((sql) => sql.trim())
    .filter((sql) => sql !== '');

for (const file of readdirSync(folder))
  test(`the tutorial ${file.replace('.sql', '')} goes through, statement by statement`, { timeout: 60_000 }, async () => {
    const house = await openHouse();
    try {
      let held = 0;
      for (const sql of statementsOf(file)) {
        const rows = await house.ask(sql);
        if (!/^-- holds$/m.test(sql)) continue;
        held++;
        assert.equal(rows.length, 1, sql);
        assert.deepEqual(
          Object.entries(rows[0]!).filter(([, value]) => value !== true),
          [],
          sql,
        );
      }
      assert.ok(held >= 4, `${file} holds nothing`);
    } finally {
      await house.close();
    }
  });
