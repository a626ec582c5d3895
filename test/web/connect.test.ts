import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { absent, startLoggedMariaDb, startMariaDb } from '../transfer/mariadb.ts';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';

const looks: readonly Look[] = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'ko', scheme: 'dark', width: 390 },
];
/** The core tells one story in each. */
const looksOf = (at: number): readonly Look[] => (process.env['MILLRACE_LONG'] === '1' ? looks : looks.slice(at, at + 1));
const words = {
  en: { connect: 'Connect a database', look: 'Look at its tables', save: 'Save', run: 'Run now' },
  ko: { connect: '데이터베이스 연결', look: '테이블 살펴보기', save: '저장', run: '지금 실행' },
};
const secret = 'p@ss/word: "1"';

test('a database is connected by a form: its tables are looked at, the transfer is written, and a run brings the rows', {
  skip: absent ?? withoutBrowser,
}, async (t) => {
  const db = await startMariaDb();
  t.after(() => db.stop());
  await db.ask('CREATE TABLE orders (id INT PRIMARY KEY, amount DECIMAL(10,2), updated_at DATETIME)');
  await db.ask("INSERT INTO orders VALUES (1, 10.50, '2026-11-01 10:00:00'), (2, 7.00, '2026-11-02 10:00:00')");
  await db.ask(`CREATE USER visitor@'%' IDENTIFIED BY '${secret}'`);
  await db.ask(`GRANT SELECT ON ${db.database}.* TO visitor@'%'`);
  const { address, adminToken, path } = await millrace(t);
  for (const look of looksOf(0)) {
    const name = `shop_${look.language}`;
    const says = words[look.language];
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data/connect`);
    await page.getByRole('heading', { name: says.connect }).waitFor();
    const fill = (label: RegExp, value: string) => page.getByLabel(label).first().fill(value);
    await fill(/^(Host|호스트)/, '127.0.0.1');
    await fill(/^(Port|포트)/, String(db.port));
    await fill(/^(Database|데이터베이스)( \*)?$/, db.database);
    await fill(/^(User|사용자)/, 'visitor');
    await fill(/^(Password|비밀번호)/, 'wrong');
    await fill(/^(Name of|전송 이름)/, name);
    await page.getByRole('button', { name: says.look }).click();
    await page.getByRole('alert').waitFor();
    await fill(/^(Password|비밀번호)/, secret);
    await page.getByRole('button', { name: says.look }).click();
    const file = page.getByLabel(`transfers/${name}.yaml`);
    await file.waitFor();
    const proposed = await file.inputValue();
    assert.match(proposed, new RegExp(`password: \\{ file: secrets/${name} \\}`));
    await file.fill(proposed.replace(`target: ${db.database}.orders`, `target: ${name}.orders`));
    await shot('connect');
    assert.deepEqual(await violations(), []);
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), look.width);
    await page.getByRole('button', { name: says.save, exact: true }).click();
    await page.getByRole('button', { name: says.run }).click();
    await page.locator('td', { hasText: /yes, 2 rows|2행/ }).waitFor();
    // The browser tells of the answer to the wrong password, and of nothing else.
    assert.deepEqual(
      complaints.filter((complaint) => !/status of 502/.test(complaint)),
      [],
    );
    assert.equal(readFileSync(join(path, 'secrets', name), 'utf8'), secret);
    assert.equal(statSync(join(path, 'secrets', name)).mode & 0o777, 0o600);
    assert.ok(!readFileSync(join(path, 'transfers', `${name}.yaml`), 'utf8').includes('p@ss'));
  }
});

test('a transfer that follows its source is compared while it goes on, and the page shows both sides', {
  skip: absent ?? withoutBrowser,
}, async (t) => {
  const db = await startLoggedMariaDb();
  t.after(() => db.stop());
  await db.ask('CREATE TABLE orders (id INT PRIMARY KEY, amount DECIMAL(10,2))');
  await db.ask('INSERT INTO orders VALUES (1, 10.50), (2, 7.00), (3, 1.25)');
  const { address, adminToken } = await millrace(t, (path) => {
    for (const folder of ['secrets', 'transfers']) mkdirSync(join(path, folder));
    writeFileSync(join(path, 'secrets', 'live'), db.password);
    const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { file: secrets/live }, database: ${db.database} }`;
    const file = `source: mysql\nconnection: ${connection}\ntables: { orders: { target: shop.orders, mode: cdc } }\n`;
    writeFileSync(join(path, 'transfers', 'live.yaml'), file);
  });
  for (const look of looksOf(1)) {
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data/transfers/live`);
    const compare = page.getByRole('button', { name: look.language === 'ko' ? '비교' : 'Compare' });
    const shown = page.locator('.card', {
      has: page.getByRole('heading', { name: /^(Compared while it follows|변경을 따라가며 비교한 결과)/ }),
    });
    // The first copy may still be under way: then it can't be compared yet, and says so.
    for (let tries = 0; tries < 40 && (await shown.locator('td', { hasText: /yes, 3 rows|3행/ }).count()) === 0; tries++) {
      await compare.click();
      await sleep(250);
    }
    await shown.locator('td', { hasText: /yes, 3 rows|3행/ }).waitFor();
    await page.getByRole('button', { name: look.language === 'ko' ? '멈춤' : 'Stop', exact: true }).waitFor();
    await page.getByRole('heading', { name: /^(Following the changes at the source|원본의 변경을 따라가는 중)$/ }).waitFor();
    await shot('compared-beside');
    assert.deepEqual(await violations(), []);
    assert.deepEqual(complaints, []);
  }
});

test('the page of a transfer says what begins its runs, and when the next one is due', { skip: withoutBrowser }, async (t) => {
  const { address, adminToken } = await millrace(t, (path) => {
    for (const folder of ['inbox', 'transfers']) mkdirSync(join(path, folder));
    for (const [name, schedule] of [
      ['inbox', '{ watch: true }'],
      ['daily', '{ cron: "0 6 * * *" }'],
    ]) {
      const file = `source: folder\nconnection: { path: inbox }\ntables: { files: { target: shop.${name}, mode: append } }\nschedule: ${schedule}\n`;
      writeFileSync(join(path, 'transfers', `${name}.yaml`), file);
    }
  });
  for (const look of looks) {
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data/transfers/inbox`);
    await page.getByText(/· (its folder is watched|폴더를 지켜보며)/).waitFor();
    await shot('watched');
    await page.goto(`${address}/data/transfers/daily`);
    await page.getByText(/· (runs at its times · next run .*6:00:00|정해진 때에 실행 · 다음 실행 .*6:00:00)/).waitFor();
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), look.width);
    assert.deepEqual([await violations(), complaints], [[], []]);
  }
});

test('who is no administrator connects nothing, names are no paths, and what is there is not overwritten', async (t) => {
  const { address, adminToken, path } = await millrace(t);
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  const made = await send(address, 'POST', '/v1/tokens', as(adminToken), { name: 'kim', role: 'editor' });
  const editor = made.json<{ token: string }>().token;
  const definition = 'source: csv\nconnection: { path: a.csv }\ntables:\n  a: { target: main.a, mode: full }\n';
  const body = { definition, password: 'x' };
  assert.equal((await send(address, 'PUT', '/v1/transfers/a', as(editor), body)).status, 403);
  assert.equal((await send(address, 'POST', '/v1/transfers/guess', as(editor), { address: 'mysql://a@b/c' })).status, 403);
  for (const name of ['..%2Fa', '%2e%2e', 'A', 'a.b', 'a%00', ''])
    assert.ok((await send(address, 'PUT', `/v1/transfers/${name}`, as(adminToken), body)).status >= 400, name);
  assert.equal((await send(address, 'PUT', '/v1/transfers/a', as(adminToken), { definition: 'source: nothing' })).status, 400);
  assert.equal((await send(address, 'PUT', '/v1/transfers/a', as(adminToken), { ...body, password: 1 })).status, 400);
  assert.equal((await send(address, 'PUT', '/v1/transfers/a', as(adminToken), body)).status, 200);
  const again = await send(address, 'PUT', '/v1/transfers/a', as(adminToken), { ...body, password: 'other' });
  assert.equal(again.json<{ error: { code: string } }>().error.code, 'TRANSFER_EXISTS');
  assert.equal(readFileSync(join(path, 'secrets', 'a'), 'utf8'), 'x');
  const guessed = await send(address, 'POST', '/v1/transfers/guess', as(adminToken), {
    address: 'mysql://u:hidden@127.0.0.1:1/shop',
    name: 'b',
  });
  assert.ok(guessed.status >= 400 && !guessed.text.includes('hidden'), guessed.text);
});

test('the runs of a folder name their files, and a row that differs is named', { skip: withoutBrowser }, async (t) => {
  const { address, adminToken } = await millrace(t, (path) => {
    for (const folder of ['transfers', 'inbox']) mkdirSync(join(path, folder));
    const file = 'source: folder\nconnection: { path: inbox }\ntables: { files: { target: main.inbox, mode: merge, key: [id] } }\n';
    writeFileSync(join(path, 'transfers', 'inbox.yaml'), file);
    for (const [k, text] of ['id,v\n1,a\n2,a\n', 'id,v\n2,b\n3,b\n'].entries()) {
      const csv = join(path, 'inbox', `${k + 1}월.csv`);
      writeFileSync(csv, text);
      // One that was just written may still grow.
      utimesSync(csv, 1e9 + k, 1e9 + k);
    }
  });
  const headers = { authorization: `Bearer ${adminToken}` };
  for (const look of looksOf(1)) {
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data/transfers/inbox`);
    const press = (name: RegExp) => page.getByRole('button', { name }).click();
    await press(/^(Run now|지금 실행)$/);
    const rows = page.locator('tbody tr');
    await rows
      .filter({ hasText: /yes, 3 rows|3행/ })
      .first()
      .waitFor();
    for (const name of ['1월.csv', '2월.csv'])
      await rows
        .filter({ hasText: `main.inbox ${name}` })
        .first()
        .waitFor();
    const sql = "UPDATE main.inbox SET v = 'x' WHERE id = 3";
    assert.equal((await send(address, 'POST', '/v1/query', headers, { sql })).status, 200);
    await press(/^(Compare|비교)$/);
    await rows
      .filter({ hasText: /3: (different|다름)/ })
      .first()
      .waitFor();
    await shot('merged-files');
    assert.deepEqual(await violations(), []);
    assert.deepEqual(complaints, []);
  }
});
