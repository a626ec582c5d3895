import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openSource, sources } from '#transfer';
import { guessDatabase } from '../../src/transfer/database.ts';
import { escaped, serial, workbookOf } from './files-fixture.ts';
import { connectionTo, openGround } from './harness.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';
import { type Postgres, absent as postgresAbsent, startPostgres } from './postgres-server.ts';
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
    const connection = connectionTo(db);
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

describe('the source postgres', { skip: postgresAbsent ?? false }, () => {
  let db: Postgres;
  before(async () => {
    db = await startPostgres();
    await db.ask(
      'CREATE TABLE goods (id BIGINT PRIMARY KEY, name TEXT, tag VARCHAR(20), price NUMERIC(12,2), day DATE, moment TIMESTAMP, weight DOUBLE PRECISION)',
    );
    const value = (each: string | null) => (each === null ? 'NULL' : `'${each.replaceAll("'", "''")}'`);
    await db.ask(`INSERT INTO goods VALUES ${ROWS.map((row) => `(${row.map(value).join(', ')})`).join(', ')}`);
  });
  after(() => db?.stop());
  contractOf('postgres', () => {
    const connection = connectionTo(db);
    const env = { PW: db.password };
    return {
      table: 'goods',
      types: {},
      connection,
      env,
      open: () => openSource({ source: 'postgres', connection }, { folder: '.', anywhere: false, env }),
    };
  });
});

const quoted = (value: string | null) =>
  value === null ? '' : /[",\n]/.test(value) || value === '' ? `"${value.replaceAll('"', '""')}"` : value;
const csvText = [COLUMNS, ...ROWS].map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
const NUMBERS: readonly string[] = ['id', 'price', 'weight'];
const jsonText = ROWS.map((row) => {
  const members = COLUMNS.map((name, k) => {
    const value = row[k] ?? null;
    return `"${name}": ${value !== null && !NUMBERS.includes(name) ? JSON.stringify(value) : value}`;
  });
  return `{${members.join(', ')}}\n`;
}).join('');

function sheetText(): string {
  const cell = (value: string | null, k: number) => {
    if (value === null) return '<c/>';
    const name = COLUMNS[k]!;
    if (NUMBERS.includes(name)) return `<c><v>${value}</v></c>`;
    if (name === 'day' || name === 'moment') return `<c s="${name === 'day' ? 1 : 2}"><v>${serial(value)}</v></c>`;
    return `<c t="inlineStr"><is><t>${escaped(value)}</t></is></c>`;
  };
  const header = COLUMNS.map((name) => `<c t="inlineStr"><is><t>${name}</t></is></c>`).join('');
  return [header, ...ROWS.map((row) => row.map(cell).join(''))].map((cells) => `<row>${cells}</row>`).join('');
}

/** A file of the rows, at a path that the source can be given. */
function fileContract(
  name: string,
  write: (folder: string) => Promise<{ table: string; connection: Record<string, unknown> }>,
  reach = {},
  inParts = false,
): void {
  describe(`the source ${name}`, () => {
    let folder: string;
    let file: { table: string; connection: Record<string, unknown> };
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'millrace-file-'));
      file = await write(folder);
    });
    after(() => rmSync(folder, { recursive: true, force: true }));
    contractOf(name, () => ({
      ...file,
      types: {},
      env: {},
      reach,
      inParts,
      open: () => openSource({ source: name, connection: file.connection as never }, { folder, anywhere: true, env: {}, ...reach }),
    }));
  });
}

async function written(folder: string, name: string, content: string | Buffer) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return { table: 'goods', connection: { path } };
}

fileContract('csv', (folder) => written(folder, 'goods.csv', csvText));
fileContract('json', (folder) => written(folder, 'goods.ndjson', jsonText));
fileContract('parquet', async (folder) => {
  const ground = await openGround();
  try {
    const { slices } = ground.store.folders;
    writeFileSync(join(slices, 'goods.csv'), csvText);
    const reader = await ground.store.reader();
    await reader.toParquet(
      `SELECT * FROM read_csv('${join(slices, 'goods.csv')}', header = true, allow_quoted_nulls = false, columns = {id: 'BIGINT', name: 'VARCHAR', tag: 'VARCHAR', price: 'DECIMAL(12,2)', day: 'DATE', moment: 'TIMESTAMP', weight: 'DOUBLE'})`,
      undefined,
      join(slices, 'goods.parquet'),
    );
    reader.close();
    return await written(folder, 'goods.parquet', readFileSync(join(slices, 'goods.parquet')));
  } finally {
    await ground.close();
  }
});
fileContract('xlsx', (folder) => written(folder, 'goods.xlsx', workbookOf({ goods: sheetText() })));

let server: Server;
fileContract(
  'http',
  async () => {
    server = createServer((_request, response) => response.end(csvText));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { table: 'goods', connection: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/goods.csv` } };
  },
  { rules: { downloadBytes: 1e8, downloadTime: 30_000, privateAddresses: ['127.0.0.1'], env: null, files: null } },
);
after(() => {
  server.closeAllConnections();
  server.close();
});
fileContract(
  'folder',
  async (folder) => {
    await written(folder, 'goods.csv', csvText);
    return { table: 'files', connection: { path: folder, settle: 0 } };
  },
  {},
  true,
);
test('store_reports adds columns of its own to what "folder" gives; test/transfer/folder.test.ts tries them', {
  skip: 'the suite wants exactly its own columns',
}, () => {});
covered.push('store_reports');

test('every source of the registry goes through the suite', () => {
  assert.deepEqual(
    covered,
    sources.map((source) => source.name),
  );
});

test('a percent sign in an address that stands for nothing stands for itself', () => {
  const found = guessDatabase('mysql://re%40der:100%25%@db.example.com/a%zz', ['mysql:'], 3306);
  assert.deepEqual(
    [found?.connection['user'], found?.connection['database'], Object.values(found!.secrets)],
    ['re@der', 'a%zz', ['100%%']],
  );
});

test('an address of IPv6, which stands in brackets in a URL, is a host without them', () => {
  const found = guessDatabase('postgres://reader:secret@[::1]:5433/shop', ['postgres:'], 5432);
  assert.deepEqual([found!.connection['host'], found!.connection['port']], ['::1', 5433]);
});
