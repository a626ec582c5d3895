import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MillraceError } from '#core';
import { type Guard, openGuard } from '#guard';
import { smallDisk } from '../small-disk.ts';

let folder = '';
let guard: Guard;
let now = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  now = Date.UTC(2026, 2, 1);
  guard = openGuard(folder, { clock: () => now });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function lines(name = 'audit.log'): Record<string, unknown>[] {
  return readFileSync(join(folder, name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('an entry is one JSON line with the instant, whatever its texts hold', () => {
  guard.audit({ who: 'kim', action: 'tokens', on: 'a "b"\n{"who":"root"}', outcome: 'done', from: '10.0.0.1' });
  assert.deepEqual(lines(), [
    { at: '2026-03-01T00:00:00.000Z', who: 'kim', action: 'tokens', on: 'a "b"\n{"who":"root"}', outcome: 'done', from: '10.0.0.1' },
  ]);
});

test('what the guard refuses and who logs in is audited without being asked', () => {
  assert.throws(() => guard.authenticate('mr_wrong', '10.0.0.1'), MillraceError);
  assert.throws(() => guard.login('mr_wrong', '10.0.0.1'), MillraceError);
  guard.login(guard.setupToken()!, '10.0.0.2');
  const viewer = { name: 'kim', role: 'viewer', topics: null } as const;
  assert.throws(() => guard.decide(viewer, 'send', 'orders'), { code: 'NOT_ALLOWED' });
  guard.decide(viewer, 'query');
  assert.deepEqual(
    lines().map(({ who, action, on, outcome, from }) => [who, action, on, outcome, from]),
    [
      ['unknown', 'authenticate', undefined, 'refused', '10.0.0.1'],
      ['setup', 'login', undefined, 'refused', '10.0.0.1'],
      ['admin', 'login', undefined, 'done', '10.0.0.2'],
      ['kim', 'send', 'orders', 'refused', undefined],
    ],
  );
});

test('a flood of refusals is counted, not listed, and hides nothing that was done', () => {
  const refuse = (times: number) => {
    for (let i = 0; i < times; i++) guard.audit({ who: 'mallory', action: 'query', outcome: 'refused' });
  };
  refuse(5_000);
  guard.audit({ who: 'kim', action: 'tokens', outcome: 'done' });
  assert.equal(lines().length, 101);
  assert.equal(lines().at(-1)!['who'], 'kim');
  now += 3_600_000;
  refuse(103);
  assert.equal(lines()[101]!['refusals_not_listed'], 4_900);
  assert.equal(lines().length, 202);
  guard.close();
  assert.equal(lines().at(-1)!['refusals_not_listed'], 3);
});

test('long texts are cut', () => {
  guard.audit({ who: 'x'.repeat(1e6), action: 'query', on: 'y'.repeat(1e6), outcome: 'failed' });
  assert.ok(statSync(join(folder, 'audit.log')).size < 1_000);
});

test('the log turns over at 10 MiB and keeps four older files, the newest lines last', () => {
  const long = '가'.repeat(100);
  const entry = { who: long, action: long, on: long, outcome: 'done' } as const;
  // A line has about 1,000 bytes: this fills more than six files.
  const count = 7 * 10_000;
  for (let i = 0; i < count; i++) guard.audit({ ...entry, from: String(i) });
  guard = openGuard(folder, { clock: () => now });
  guard.audit({ ...entry, from: 'after a restart' });
  assert.deepEqual(readdirSync(folder).sort(), ['audit.log', 'audit.log.1', 'audit.log.2', 'audit.log.3', 'audit.log.4']);
  for (const name of readdirSync(folder)) {
    assert.ok(statSync(join(folder, name)).size <= 10 * 2 ** 20 + 1_000, name);
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  }
  const kept = [4, 3, 2, 1].flatMap((n) => lines(`audit.log.${n}`)).concat(lines());
  const numbers = kept.slice(0, -1).map((line) => Number(line['from']));
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, i) => numbers[0]! + i),
  );
  assert.equal(numbers.at(-1), count - 1);
  assert.equal(kept.at(-1)!['from'], 'after a restart');
});

test('an entry that can not be written changes no decision and is told of later', () => {
  const entry = { who: 'kim', action: 'define', outcome: 'done' } as const;
  mkdirSync(join(folder, 'audit.log'));
  for (let i = 0; i < 3; i++) guard.audit(entry);
  rmdirSync(join(folder, 'audit.log'));
  guard.audit(entry);
  assert.deepEqual(
    lines().map((line) => [line['who'], line['entries_lost']]),
    [
      ['millrace', 3],
      ['kim', undefined],
    ],
  );
});

test('a line that was cut off, by a power cut or a full disk, does not take the next one with it', (t) => {
  writeFileSync(join(folder, 'audit.log'), '{"at":"2026-02-28T23:59:59.000Z","who":"ki');
  openGuard(folder, { clock: () => now }).audit({ who: 'lee', action: 'tokens', outcome: 'done' });
  const [cut, whole] = readFileSync(join(folder, 'audit.log'), 'utf8').split('\n');
  assert.match(cut!, /"ki$/);
  assert.equal((JSON.parse(whole!) as { who: string }).who, 'lee');
  const disk = smallDisk(t, '64k');
  if (disk === null) return;
  const own = openGuard(disk, { clock: () => now });
  const on = 'x'.repeat(90);
  for (let k = 0; k < 1000; k++) own.audit({ who: 'kim', action: 'tokens', on, outcome: 'done' });
  const parsed = () =>
    readFileSync(join(disk, 'audit.log'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const listed = parsed().length;
  assert.ok(listed < 1000, 'the disk is full');
  truncateSync(join(disk, 'audit.log'), 0);
  own.audit({ who: 'kim', action: 'tokens', on, outcome: 'done' });
  assert.deepEqual(
    parsed().map(({ entries_lost: lost }) => lost),
    [1000 - listed, undefined],
  );
});
