import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openSource, sources } from '#transfer';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';
import { COLUMNS, ROWS, type Subject, sourceContract } from './source.contract.ts';

const covered: string[] = [];

function contractOf(name: string, subject: () => Subject): void {
  covered.push(name);
  sourceContract(name, subject);
}

describe('the source mysql', { skip: absent ?? false }, () => {
  let db: MariaDb;
  before(async () => {
    db = await startMariaDb();
    await db.ask('DROP TABLE IF EXISTS goods');
    await db.ask(
      'CREATE TABLE goods (id BIGINT PRIMARY KEY, name TEXT, tag VARCHAR(20), price DECIMAL(12,2), day DATE, moment DATETIME, weight DOUBLE) CHARACTER SET utf8mb4',
    );
    await db.ask('INSERT INTO goods VALUES ?', [ROWS as unknown[]]);
  });
  after(() => db?.stop());
  contractOf('mysql', () => {
    const connection = { host: db.host, port: db.port, user: db.user, password: { env: 'PW' }, database: db.database };
    const env = { PW: db.password };
    return {
      table: 'goods',
      types: {},
      connection,
      env,
      open: () => openSource({ source: 'mysql', connection }, { folder: '.', anywhere: false, env }),
    };
  });
});

describe('the source csv', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
    const quote = (value: string | null) =>
      value === null ? '' : /[",\n]/.test(value) || value === '' ? `"${value.replaceAll('"', '""')}"` : value;
    writeFileSync(join(folder, 'goods.csv'), [COLUMNS, ...ROWS].map((row) => `${row.map(quote).join(',')}\r\n`).join(''));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  contractOf('csv', () => {
    const connection = { path: join(folder, 'goods.csv') };
    return {
      table: 'goods',
      types: {},
      connection,
      env: {},
      open: () => openSource({ source: 'csv', connection }, { folder, anywhere: true, env: {} }),
    };
  });
});

test('every source of the registry goes through the suite', () => {
  assert.deepEqual(
    covered,
    sources.map((source) => source.name),
  );
});
