import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type ErrorCode, MillraceError } from '#core';
import { type Guard, openGuard } from '#guard';

let folder = '';
let guard: Guard;
let now = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  now = Date.UTC(2026, 2, 1);
  guard = openGuard(folder, { clock: () => now });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(run: () => unknown): ErrorCode | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
}

test('ten wrong tokens from one address are told so, the next must wait', () => {
  const codes = Array.from({ length: 12 }, () => codeOf(() => guard.authenticate('mr_wrong', '10.0.0.1')));
  assert.deepEqual(codes, [...Array<string>(10).fill('TOKEN_INVALID'), 'TOKEN_TRIES', 'TOKEN_TRIES']);
  assert.equal(
    codeOf(() => guard.authenticate('mr_wrong', '10.0.0.2')),
    'TOKEN_INVALID',
  );
});

test('a right token passes however many wrong ones came from its address', () => {
  const token = guard.createToken({ name: 'shop', role: 'viewer' });
  for (let i = 0; i < 100; i++) codeOf(() => guard.authenticate('mr_wrong', '10.0.0.1'));
  assert.equal(guard.mayTry('10.0.0.1'), false);
  assert.equal(guard.authenticate(token, '10.0.0.1').name, 'shop');
});

test('guesses of the one-time token have to wait, and then the right one is taken', () => {
  for (let i = 0; i < 10; i++)
    assert.equal(
      codeOf(() => guard.login('mr_guess', '10.0.0.1')),
      'SETUP_TOKEN',
    );
  const setup = guard.setupToken()!;
  assert.equal(
    codeOf(() => guard.login(setup, '10.0.0.1')),
    'TOKEN_TRIES',
  );
  now += 1_000;
  assert.equal(guard.login(setup, '10.0.0.1').role, 'admin');
});

test('each further failure doubles the wait, from one second up to one minute', () => {
  const waits: number[] = [];
  for (let failures = 1; failures <= 20; failures++) {
    guard.failed('10.0.0.1');
    const start = now;
    while (!guard.mayTry('10.0.0.1')) now += 500;
    waits.push((now - start) / 1_000);
  }
  assert.deepEqual(waits, [...Array<number>(9).fill(0), 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
});

test('ten minutes without a failure forget all', () => {
  for (let i = 0; i < 30; i++) guard.failed('10.0.0.1');
  now += 600_000;
  guard.failed('10.0.0.1');
  assert.equal(guard.mayTry('10.0.0.1'), true);
});

test('an IPv6 network of one host counts as one address, and IPv4 written as IPv6 as itself', () => {
  for (let i = 0; i < 10; i++) guard.failed(`2001:db8:0:7::${i}`);
  assert.equal(guard.mayTry('2001:db8::7:1:2:3:4'), false);
  assert.equal(guard.mayTry('2001:0DB8:0000:0007:ffff::1%eth0'), false);
  assert.equal(guard.mayTry('2001:db8:0:8::1'), true);
  for (let i = 0; i < 10; i++) guard.failed('::ffff:10.0.0.9');
  assert.equal(guard.mayTry('10.0.0.9'), false);
  assert.equal(guard.mayTry('::ffff:10.0.0.8'), true);
});

test('at most ten thousand addresses are remembered, those that failed last', () => {
  const from = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  for (let n = 0; n < 10_001; n++) for (let i = 0; i < 10; i++) guard.failed(from(n));
  assert.equal(guard.mayTry(from(0)), true);
  assert.equal(guard.mayTry(from(1)), false);
  assert.equal(guard.mayTry(from(10_000)), false);
});
