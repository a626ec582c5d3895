import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, MillraceError, type Role } from '#core';
import { type Guard, openGuard } from '#guard';

let folder = '';
let now = Date.UTC(2026, 2, 1);
const open = (): Guard => openGuard(join(folder, '.millrace'), { clock: () => now });
const guardFile = () => join(folder, '.millrace', 'guard.json');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  now = Date.UTC(2026, 2, 1);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function refused(code: ErrorCode) {
  return (error: unknown) => error instanceof MillraceError && error.code === code;
}

/** Everything that the guard has written to disk. */
function onDisk(): string {
  const data = join(folder, '.millrace');
  return readdirSync(data)
    .map((name) => readFileSync(join(data, name), 'utf8'))
    .join('\n');
}

test('a created token names its holder, as a header and bare, the first time and after', () => {
  const guard = open();
  const token = guard.createToken({ name: 'shop', role: 'write', topics: ['orders', 'clicks'] });
  for (const sent of [token, `Bearer ${token}`, `bearer ${token}`, token]) {
    assert.deepEqual(guard.authenticate(sent), { name: 'shop', role: 'write', topics: ['orders', 'clicks'] });
  }
  assert.match(token, /^mr_[A-Za-z0-9_-]{43}$/);
});

test('a request without a token and one with a wrong token get different codes', () => {
  const guard = open();
  assert.throws(() => guard.authenticate(undefined), refused('TOKEN_MISSING'));
  assert.throws(() => guard.authenticate(''), refused('TOKEN_MISSING'));
  assert.throws(() => guard.authenticate('mr_wrong'), refused('TOKEN_INVALID'));
});

test('nothing but a token that was given out opens the door', () => {
  const guard = open();
  const token = guard.createToken({ name: 'root', role: 'admin' });
  const hash = createHash('sha256').update(token).digest('hex');
  const close = [
    ` ${token}`,
    `${token} `,
    `${token}\n`,
    token.slice(0, -1),
    token.toUpperCase(),
    `Bearer  ${token}`,
    `Basic ${token}`,
    hash,
    `mr_${hash}`,
    '__proto__',
    'constructor',
    'mr_',
    'Bearer ',
  ];
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom(...close), fc.string({ unit: 'binary' })), (sent) => {
      assert.throws(
        () => guard.authenticate(sent),
        (error) => refused('TOKEN_INVALID')(error) || (sent === '' && refused('TOKEN_MISSING')(error)),
      );
    }),
    { examples: close.map((sent): [string] => [sent]) },
  );
});

test('only hashes of tokens stand on disk', () => {
  const guard = open();
  const setup = guard.setupToken()!;
  const tokens = [setup, guard.localToken(), guard.login(setup).token, guard.createToken({ name: 'v', role: 'viewer' })];
  assert.throws(() => guard.authenticate(`${tokens[3]}x`, '10.0.0.1'));
  guard.audit({ who: `by mistake ${tokens[3]}`, action: 'query', on: tokens[2], outcome: 'done' });
  guard.close();
  const disk = onDisk();
  assert.match(disk, /by mistake/);
  for (const token of tokens) assert.ok(!disk.includes(token.slice(3)));
  assert.ok(disk.includes(createHash('sha256').update(tokens[3]!).digest('hex')));
});

test('its files and its folder are for nobody but their owner, also where they were left open', () => {
  const first = open();
  first.createToken({ name: 'a', role: 'admin' });
  first.audit({ who: 'a', action: 'tokens', outcome: 'done' });
  const data = join(folder, '.millrace');
  assert.equal(statSync(data).mode & 0o777, 0o700);
  const files = readdirSync(data).sort();
  assert.deepEqual(files, ['audit.log', 'guard.json']);
  for (const name of files) assert.equal(statSync(join(data, name)).mode & 0o777, 0o600, name);
  for (const name of files) chmodSync(join(data, name), 0o666);
  open();
  for (const name of files) assert.equal(statSync(join(data, name)).mode & 0o777, 0o600, name);
});

test('a revoked token is refused at once, also one that was in use, and after a restart', () => {
  const guard = open();
  const gone = guard.createToken({ name: 'gone', role: 'editor' });
  const kept = guard.createToken({ name: 'kept', role: 'editor' });
  guard.authenticate(gone);
  guard.revokeToken('gone');
  assert.throws(() => guard.authenticate(gone), refused('TOKEN_INVALID'));
  assert.equal(guard.authenticate(kept).name, 'kept');
  const next = open();
  assert.throws(() => next.authenticate(gone), refused('TOKEN_INVALID'));
  assert.equal(next.authenticate(kept).name, 'kept');
  assert.throws(() => next.revokeToken('gone'), refused('TOKEN_UNKNOWN'));
});

test('a token that can not be struck from the file is refused all the same, and the admin is told', () => {
  const guard = open();
  const token = guard.createToken({ name: 'gone', role: 'editor' });
  block();
  assert.throws(() => guard.revokeToken('gone'), refused('GUARD_FILE'));
  assert.throws(() => guard.authenticate(token), refused('TOKEN_INVALID'));
});

test('a token that can not be written is not given out', () => {
  const guard = open();
  block();
  assert.throws(() => guard.createToken({ name: 'a', role: 'admin' }), refused('GUARD_FILE'));
  assert.deepEqual(guard.listTokens(), []);
  assert.notEqual(guard.setupToken(), null);
});

test('tokens outlive a restart; the local token and the one-time token do not', () => {
  const first = open();
  const setup = first.setupToken()!;
  const local = first.localToken();
  assert.deepEqual(first.authenticate(local), { name: 'local', role: 'admin', topics: null });
  const second = open();
  assert.throws(() => second.authenticate(local), refused('TOKEN_INVALID'));
  assert.throws(() => second.login(setup), refused('SETUP_TOKEN'));
  const admin = second.login(second.setupToken()!);
  const third = open();
  assert.deepEqual(third.authenticate(admin.token), { name: 'admin', role: 'admin', topics: null });
  assert.equal(third.setupToken(), null);
});

test('the one-time token makes one admin and is void after', () => {
  const guard = open();
  const setup = guard.setupToken()!;
  assert.throws(() => guard.authenticate(setup), refused('TOKEN_INVALID'));
  assert.throws(() => guard.login('mr_wrong'), refused('SETUP_TOKEN'));
  assert.throws(() => guard.login(undefined as unknown as string), refused('SETUP_TOKEN'));
  const { name, role, token } = guard.login(setup);
  assert.deepEqual([name, role, guard.authenticate(token).role], ['admin', 'admin', 'admin']);
  assert.throws(() => guard.login(setup), refused('SETUP_TOKEN'));
  assert.equal(guard.setupToken(), null);
});

test('the one-time token is void once an admin was made another way', () => {
  const guard = open();
  const setup = guard.setupToken()!;
  guard.createToken({ name: 'viewer', role: 'viewer' });
  assert.equal(guard.setupToken(), setup);
  guard.createToken({ name: 'root', role: 'admin' });
  assert.throws(() => guard.login(setup), refused('SETUP_TOKEN'));
});

test('the first admin gets a name of its own', () => {
  const guard = open();
  guard.createToken({ name: 'admin', role: 'viewer' });
  assert.equal(guard.login(guard.setupToken()!).name, 'admin-2');
});

test('a workspace whose only admin has expired or was revoked prints a one-time token again', () => {
  const first = open();
  first.createToken({ name: 'root', role: 'admin', expires: '2026-03-02T00:00:00+09:00' });
  assert.equal(open().setupToken(), null);
  now = Date.UTC(2026, 2, 1, 15);
  const second = open();
  assert.notEqual(second.setupToken(), null);
  const { name } = second.login(second.setupToken()!);
  second.revokeToken(name);
  assert.notEqual(open().setupToken(), null);
});

test('a token ends at its instant, also one that was in use', () => {
  const guard = open();
  const token = guard.createToken({ name: 'short', role: 'viewer', expires: '2026-03-01T01:00:00Z' });
  now = Date.UTC(2026, 2, 1, 1) - 1;
  assert.equal(guard.authenticate(token).name, 'short');
  now += 1;
  assert.throws(() => guard.authenticate(token), refused('TOKEN_INVALID'));
  assert.throws(() => guard.authenticate(token), refused('TOKEN_INVALID'));
});

test('tokens are listed by name without their hashes', () => {
  const guard = open();
  guard.createToken({ name: 'b', role: 'write', topics: ['orders'], expires: '2027-01-01T00:00:00Z' });
  guard.createToken({ name: 'a', role: 'viewer' });
  assert.deepEqual(guard.listTokens(), [
    { name: 'a', role: 'viewer', topics: null, created: '2026-03-01T00:00:00.000Z', expires: null },
    { name: 'b', role: 'write', topics: ['orders'], created: '2026-03-01T00:00:00.000Z', expires: '2027-01-01T00:00:00.000Z' },
  ]);
});

const badTokens: readonly [string, unknown][] = [
  ['no name', { name: '', role: 'viewer' }],
  ['a name with a line break', { name: 'a\nb', role: 'viewer' }],
  ['a name of 64 characters', { name: 'a'.repeat(64), role: 'viewer' }],
  ['the name of the local token', { name: 'local', role: 'viewer' }],
  ['a name that is taken', { name: 'taken', role: 'viewer' }],
  ['a name that is no text', { name: 7, role: 'viewer' }],
  ['an unknown role', { name: 'x', role: 'root' }],
  ['a role from the prototype', { name: 'x', role: 'constructor' }],
  ['a write key without topics', { name: 'x', role: 'write' }],
  ['a write key with no topic', { name: 'x', role: 'write', topics: [] }],
  ['a write key for a system topic', { name: 'x', role: 'write', topics: ['_quarantine'] }],
  ['topics that are no list', { name: 'x', role: 'write', topics: 'orders' }],
  ['topics for a viewer', { name: 'x', role: 'viewer', topics: ['orders'] }],
  ['an end that has passed', { name: 'x', role: 'viewer', expires: '2020-01-01T00:00:00Z' }],
  ['an end without an offset', { name: 'x', role: 'viewer', expires: '2030-01-01T00:00:00' }],
  ['an end that is no text', { name: 'x', role: 'viewer', expires: 5 }],
];

for (const [what, of] of badTokens) {
  test(`a token with ${what} is not made`, () => {
    const guard = open();
    guard.createToken({ name: 'taken', role: 'viewer' });
    assert.throws(() => guard.createToken(of as { name: string; role: Role }), refused('TOKEN_NAME'));
    assert.equal(guard.listTokens().length, 1);
  });
}

test('a damaged guard.json is refused as a whole and left as it is', () => {
  const guard = open();
  guard.createToken({ name: 'root', role: 'admin' });
  guard.createToken({ name: 'key', role: 'write', topics: ['orders'] });
  const good = readFileSync(guardFile(), 'utf8');
  const damaged = [
    '',
    'null',
    '[]',
    '{}',
    good.slice(0, -10),
    good.replace('"version": 1', '"version": 2'),
    good.replace('"write"', '"admin"'),
    good.replace('"key"', '"root"'),
    good.replace('"orders"', '"../x"'),
    good.replace(/"hash": "../, '"hash": "'),
    good.replace('"expires": null', '"expires": "never"'),
    good.replace('"expires": null', '"expires": null, "more": 1'),
    good.replace('"role": "admin",', ''),
  ];
  for (const text of damaged) {
    assert.notEqual(text, good);
    writeFileSync(guardFile(), text);
    assert.throws(open, refused('GUARD_FILE'), JSON.stringify(text));
    assert.equal(readFileSync(guardFile(), 'utf8'), text);
  }
  writeFileSync(guardFile(), good);
  assert.equal(open().listTokens().length, 2);
});

test('a guard.json that is anything else opens no door', () => {
  open();
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      writeFileSync(guardFile(), text);
      assert.throws(open, refused('GUARD_FILE'));
    }),
    { numRuns: 200 },
  );
});

/** Makes guard.json impossible to replace, for root too: a folder stands in its place. */
function block(): void {
  rmSync(guardFile(), { force: true });
  mkdirSync(guardFile());
}
