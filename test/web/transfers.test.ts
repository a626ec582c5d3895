import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TransferReport } from '#server';
import { openStore, TRANSFER_TABLES } from '#store';
import { visit, withoutBrowser } from './browser.ts';
import { isBuilt, millrace, send } from './server.ts';

const skip = withoutBrowser || (isBuilt() ? false : 'the console is not built');

/** As a run of thirteen million rows leaves it, which no test could wait for. */
const DIFFERENT: TransferReport = {
  run: 'one',
  transfer: 'orders',
  began: '2026-01-05T00:00:00.000Z',
  ended: '2026-01-05T00:00:31.000Z',
  outcome: 'done',
  tables: [
    {
      source: 'a',
      target: 'shop.orders',
      mode: 'append',
      read: 13_000_000,
      rows: 13_000_000,
      replaced: 0,
      quarantined: 0,
      bytes: 1e9,
      seconds: 31,
      slow: 'source',
      notes: [],
      cursor: null,
      parity: {
        equal: false,
        source: { rows: 13_000_000, sum: '1' },
        warehouse: { rows: 12_999_999, sum: '2' },
        after: null,
        up_to: null,
        differences: [{ key: ['17'], kind: 'missing' }],
        unlisted: 2,
      },
    },
  ],
  error: null,
};

/** A transfer whose file is not there, and a run of it that left a difference. */
async function prepare(path: string): Promise<void> {
  mkdirSync(join(path, 'transfers'), { recursive: true });
  const definition = 'source: csv\nconnection: { path: none.csv }\ntables: { a: { target: shop.orders } }\n';
  writeFileSync(join(path, 'transfers', 'orders.yaml'), definition);
  const store = await openStore({ dataPath: join(path, '.millrace'), memory: 400_000_000, threads: 2 });
  await store.write(async (tx) => {
    await tx.run(TRANSFER_TABLES);
    await tx.run(
      `INSERT INTO millrace.transfer_run BY NAME SELECT 'one' AS run, 'orders' AS transfer, '${DIFFERENT.began}'::TIMESTAMPTZ AS began,
         '${DIFFERENT.ended}'::TIMESTAMPTZ AS ended, 'done' AS outcome, 0 AS rows, 0 AS replaced, 0 AS quarantined, false AS equal, $1 AS report`,
      [JSON.stringify(DIFFERENT)],
    );
  });
  await store.close();
}

test('a transfer’s page says why a run failed, and what a comparison could not list', { skip }, async (t) => {
  const { address, adminToken } = await millrace(t, prepare);
  const { page, enter, complaints, violations, shot } = await visit(t, { language: 'en', scheme: 'light', width: 390 });
  await enter(address, adminToken);
  await page.goto(`${address}/data/transfers/orders`);
  const runs = page.locator('table').last();
  const told = runs.getByText('17: missing here · too many rows to list all keys: 2 of 256 groups of keys differ');
  await told.waitFor();
  await page.getByRole('button', { name: 'Run now' }).click();
  await runs.getByText(/The file none\.csv can.t be read as csv: it is not there/).waitFor();
  const { height } = (await told.boundingBox())!;
  assert.ok(height < 120, `a sentence ${height} px high, a word a line`);
  assert.deepEqual([complaints, await violations()], [[], []]);
  await shot('transfer-runs');
});

test('who may not read a transfer’s table sees that a run failed and rows differ, neither why nor which', { skip }, async (t) => {
  const { address, adminToken } = await millrace(t, async (path) => {
    await prepare(path);
    mkdirSync(join(path, 'grants'), { recursive: true });
    writeFileSync(join(path, 'grants', 'partner.yaml'), 'token: partner\nread: [mart.sales]\n');
  });
  const admin = { authorization: `Bearer ${adminToken}` };
  const { token } = (await send(address, 'POST', '/v1/tokens', admin, { name: 'partner', role: 'viewer' })).json<{ token: string }>();
  await send(address, 'POST', '/v1/transfers/orders/run', admin, {});
  const { page, enter, complaints, violations, shot } = await visit(t, { language: 'ko', scheme: 'light', width: 390 });
  await enter(address, token);
  await page.goto(`${address}/data/transfers/orders`);
  const runs = page.locator('table').last();
  await runs
    .getByText('실패했습니다(TRANSFER_FILE). 무엇이 잘못되었는지는 관련 테이블을 모두 읽을 수 있는 사람에게만 알려 줍니다.')
    .waitFor();
  await runs.getByText('13,000,000').first().waitFor();
  assert.doesNotMatch((await page.locator('body').textContent())!, /none\.csv|17:|What went wrong/);
  assert.deepEqual([complaints, await violations()], [[], []]);
  await shot('transfer-withheld');
});
