import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Drift } from '#core';
import { type Ground, openGround, tableOf } from './harness.ts';

let ground: Ground;
before(async () => {
  ground = await openGround();
});
after(() => ground?.close());

let tables = 0;
/** Loads both texts by key into one table; what the second run said and what stands there. */
async function twice(drift: Drift, first: string, second: string) {
  const target = `drift.t${++tables}`;
  const path = join(ground.folder, 'drift.csv');
  const transfer = (text: string) => {
    writeFileSync(path, text);
    return ground.run({
      name: `d${tables}`,
      source: 'csv',
      connection: { path },
      tables: [tableOf({ source: 'drift', target, mode: 'merge', key: ['id'], drift })],
    });
  };
  assert.equal((await transfer(first)).error, null);
  const { error, tables: reports } = await transfer(second);
  const columns = await ground.rows(
    `SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE schema_name = 'drift' AND table_name = 't${tables}' AND column_name <> '_batch' ORDER BY column_index`,
  );
  const rows = await ground.rows(`SELECT CAST(COLUMNS(* EXCLUDE _batch) AS VARCHAR) FROM ${target} ORDER BY id`);
  return { code: error?.code ?? null, quarantined: reports[0]?.quarantined ?? 0, columns: columns.flat(), rows };
}

const BEFORE = 'id,v\n1,10\n2,20\n';
type Case = [string, string, Record<Drift, { columns: string[]; rows: unknown[][]; quarantined?: number } | 'refused'>];
const same = {
  columns: ['id BIGINT', 'v BIGINT'],
  rows: [
    ['1', '10'],
    ['2', '20'],
  ],
};
const cases: Case[] = [
  [
    'added',
    'id,v,w\n2,21,x\n',
    {
      evolve: {
        columns: ['id BIGINT', 'v BIGINT', 'w VARCHAR'],
        rows: [
          ['1', '10', null],
          ['2', '21', 'x'],
        ],
      },
      discard: {
        columns: same.columns,
        rows: [
          ['1', '10'],
          ['2', '21'],
        ],
      },
      freeze: 'refused',
    },
  ],
  [
    'dropped',
    'id\n3\n',
    {
      evolve: { columns: same.columns, rows: [...same.rows, ['3', null]] },
      discard: { columns: same.columns, rows: [...same.rows, ['3', null]] },
      freeze: 'refused',
    },
  ],
  [
    'renamed',
    'id,value\n3,30\n',
    {
      evolve: {
        columns: [...same.columns, 'value BIGINT'],
        rows: [
          ['1', '10', null],
          ['2', '20', null],
          ['3', null, '30'],
        ],
      },
      discard: { columns: same.columns, rows: [...same.rows, ['3', null]] },
      freeze: 'refused',
    },
  ],
  [
    'widened',
    'id,v\n3,30.5\n',
    {
      evolve: {
        columns: ['id BIGINT', 'v DECIMAL(18,1)'],
        rows: [
          ['1', '10.0'],
          ['2', '20.0'],
          ['3', '30.5'],
        ],
      },
      discard: { columns: same.columns, rows: same.rows, quarantined: 1 },
      freeze: 'refused',
    },
  ],
  [
    'turned to text',
    'id,v\n3,many\n',
    {
      evolve: { columns: ['id BIGINT', 'v VARCHAR'], rows: [...same.rows, ['3', 'many']] },
      discard: { columns: same.columns, rows: same.rows, quarantined: 1 },
      freeze: 'refused',
    },
  ],
  [
    'reordered',
    'v,id\n30,3\n',
    {
      evolve: { ...same, rows: [...same.rows, ['3', '30']] },
      discard: { ...same, rows: [...same.rows, ['3', '30']] },
      freeze: { ...same, rows: [...same.rows, ['3', '30']] },
    },
  ],
  [
    'spelled in another case',
    'id,V\n3,30\n',
    {
      evolve: { ...same, rows: [...same.rows, ['3', '30']] },
      discard: { ...same, rows: [...same.rows, ['3', '30']] },
      freeze: { ...same, rows: [...same.rows, ['3', '30']] },
    },
  ],
  [
    'made NULL in some rows',
    'id,v\n3,\n4,40\n',
    {
      evolve: { ...same, rows: [...same.rows, ['3', null], ['4', '40']] },
      discard: { ...same, rows: [...same.rows, ['3', null], ['4', '40']] },
      freeze: { ...same, rows: [...same.rows, ['3', null], ['4', '40']] },
    },
  ],
];

for (const [what, second, expected] of cases) {
  describe(`a column that is ${what}`, () => {
    for (const drift of ['evolve', 'discard', 'freeze'] as const) {
      const wanted = expected[drift];
      test(`under ${drift} ${wanted === 'refused' ? 'refuses the run and leaves the table' : 'loses no row'}`, async () => {
        const { code, quarantined, columns, rows } = await twice(drift, BEFORE, second);
        if (wanted === 'refused') assert.deepEqual({ code, columns, rows }, { code: 'TRANSFER_DRIFT', ...same });
        else assert.deepEqual({ code, quarantined, columns, rows }, { code: null, quarantined: 0, ...wanted });
      });
    }
  });
}
