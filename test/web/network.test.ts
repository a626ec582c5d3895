import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMillrace } from '#server';
import { initWorkspace } from '#workspace';
import { visit, withoutBrowser } from './browser.ts';
import { ready } from './server.ts';

const own = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
const skip = withoutBrowser || (own === undefined && 'this machine is in no network');

test('over plain HTTP in the shop’s own network one asks and copies, where the browser gives pages neither ids nor the clipboard', {
  skip,
}, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'millrace-web-'));
  initWorkspace(path, { name: 'network', timeZone: 'Asia/Seoul', currency: 'KRW' }).close();
  const started = await startMillrace({ workspace: path, log: null, host: '0.0.0.0', insecureHttp: true });
  t.after(async () => {
    await started.stop();
    rmSync(path, { recursive: true, force: true });
  });
  const address = `http://${own}:${new URL(started.address).port}`;
  await ready(address);
  const { page, enter, complaints } = await visit(t, { language: 'en', scheme: 'light', width: 1440 });
  await enter(address, started.adminToken);
  assert.equal(await page.evaluate('isSecureContext || "randomUUID" in crypto || "clipboard" in navigator'), false);
  await page.goto(`${address}/ask#${new URLSearchParams({ sql: "SELECT 43 AS n, 'a' AS word" })}`);
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('cell', { name: '43' }).waitFor();
  await page.getByRole('button', { name: 'Copy as TSV' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Control+v');
  assert.deepEqual(await page.locator('.cm-line').allTextContents(), ['n\tword', '43\ta']);
  // Chromium says of every such page that this header does nothing there.
  assert.deepEqual(
    complaints.filter((complaint) => !complaint.startsWith('The Cross-Origin-Opener-Policy header has been ignored')),
    [],
  );
});
