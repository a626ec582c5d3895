import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isBuilt, millrace, root, send } from './server.ts';

const skip = isBuilt() ? false : 'the console is not built (npm run build)';

let server: Awaited<ReturnType<typeof millrace>>;
let end = async () => {};
before(async () => {
  server = await millrace({ after: (fn) => (end = fn) });
});
after(() => end());

test('the page carries a strict policy with a nonce that is new each time, and no inline script', { skip }, async () => {
  const { address } = server;
  const pages = await Promise.all(['/', '/ask', '/dashboards/shop', '/data/mart/sessions'].map((path) => send(address, 'GET', path)));
  const nonces = new Set<string>();
  for (const { status, headers, text } of pages) {
    assert.equal(status, 200);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.doesNotMatch(policy, /unsafe/);
    const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
    assert.ok(text.includes(`content="${nonce}"`));
    nonces.add(nonce);
    assert.doesNotMatch(text, /<script(?![^>]* src=)|\son\w+=|<style/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
  assert.equal(nonces.size, pages.length);
});

test('assets are kept for ever, answered by their tag, and packed where the browser takes it', { skip }, async () => {
  const { address } = server;
  const name = readdirSync(join(root, 'web/dist/assets')).find((file) => /^start-.*\.js$/.test(file))!;
  const plain = await send(address, 'GET', `/assets/${name}`);
  assert.equal(plain.status, 200);
  assert.match(String(plain.headers['content-type']), /^text\/javascript/);
  assert.match(String(plain.headers['cache-control']), /immutable/);
  const again = await send(address, 'GET', `/assets/${name}`, { 'if-none-match': String(plain.headers['etag']) });
  assert.equal(again.status, 304);
  const response = await fetch(`${address}/assets/${name}`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(response.headers.get('content-encoding'), 'gzip');
  assert.equal(await response.text(), plain.text);
});

test('no path leads out of the folder of assets', { skip }, async () => {
  const { address } = server;
  for (const path of [
    '../index.html',
    '..%2findex.html',
    '%2e%2e%2f%2e%2e%2fpackage.json',
    '..\\index.html',
    '%00.js',
    '.',
    'no.js',
    'a/../../index.html',
    `${'a'.repeat(300)}.js`,
  ]) {
    const answer = await send(address, 'GET', `/assets/${path}`);
    assert.ok(answer.status === 404 || answer.status === 414, `${path}: ${answer.status}`);
    assert.doesNotMatch(answer.text, /<html|"name": "millrace"/);
  }
});

test('all that Home loads is at most 300 kB packed', { skip }, async () => {
  const { address } = server;
  const page = await (await fetch(`${address}/`)).text();
  const loaded = new Set([...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]!));
  // What the first script imports at once comes along.
  for (const path of loaded) {
    if (!path.endsWith('.js')) continue;
    const text = await (await fetch(address + path)).text();
    for (const [, name] of text.matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) loaded.add(`/assets/${name}`);
  }
  let bytes = 0;
  for (const path of loaded) bytes += Number((await send(address, 'GET', path, { 'accept-encoding': 'gzip' })).headers['content-length']);
  assert.ok(loaded.size >= 3);
  assert.ok(bytes < 300_000, `${bytes} bytes in ${[...loaded].join(' ')}`);
});
