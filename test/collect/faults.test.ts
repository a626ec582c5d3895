/** What records meet when the machine fails them, on a real small file system where root may mount one (docs/holds.md). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Files, readSlice } from '#collect';
import { smallDisk } from '../small-disk.ts';
import { collecting, linesOf, NOW, topicOf } from './fixture.ts';

const orders = topicOf('orders', 'id: id\nfields: {id: text, note: text}');
const note = 'x'.repeat(10_000);
const body = (from: number, count: number) => JSON.stringify(Array.from({ length: count }, (_, k) => ({ id: `o-${from + k}`, note })));

function idsIn(root: string, durable: Record<string, number>): string[] {
  const ids: string[] = [];
  for (let at = 0; at < (durable['orders'] ?? 0); ) {
    const slice = readSlice(root, 'orders', at, durable['orders']!, 1 << 20);
    assert.ok(slice !== null);
    ids.push(...linesOf(slice.lines).map((line) => (JSON.parse(line.json) as { id: string }).id));
    at = slice.to;
  }
  return ids;
}

/** Sends batches of 20 until `stop`; the ids that were acknowledged, and the codes of the refusals. */
async function sendMany(
  to: ReturnType<typeof collecting>,
  from: number,
  batches: number,
): Promise<{ acknowledged: string[]; codes: string[] }> {
  const acknowledged: string[] = [];
  const codes: string[] = [];
  for (let k = 0; k < batches; k++) {
    const first = from + k * 20;
    const { error } = await to.send(orders, body(first, 20));
    if (error === null) acknowledged.push(...Array.from({ length: 20 }, (_, n) => `o-${first + n}`));
    else codes.push(error.code);
  }
  return { acknowledged, codes };
}

test('a full disk: records are refused with a code that may be retried, and taken again when there is room; what was acknowledged is there', async (t) => {
  const path = smallDisk(t, '2m');
  if (path === null) return;
  const filler = join(path, 'filler');
  fs.writeFileSync(filler, Buffer.alloc(1 << 20));
  const to = collecting(t, { path });
  const full = await sendMany(to, 0, 10);
  assert.ok(full.acknowledged.length > 0 && full.codes.length > 0, 'the disk was filled on the way');
  assert.deepEqual([...new Set(full.codes)], ['LOG_FAILED']);
  fs.rmSync(filler);
  const again = await sendMany(to, 1000, 3);
  assert.deepEqual(again.codes, []);
  assert.deepEqual(idsIn(to.log.root, to.log.durable()), [...full.acknowledged, ...again.acknowledged]);
  await to.log.close();
  const reopened = collecting(t, { path });
  assert.deepEqual(idsIn(reopened.log.root, reopened.log.durable()), [...full.acknowledged, ...again.acknowledged]);
});

test('a file system that turns read-only: nothing is acknowledged, and when it can be written again, records are taken', async (t) => {
  const path = smallDisk(t, '8m');
  if (path === null) return;
  const to = collecting(t, { path });
  const before = await sendMany(to, 0, 2);
  // A file system with an open file for writing can't be made read-only: the log goes away and comes back, as after a reboot.
  await to.log.close();
  execFileSync('mount', ['-o', 'remount,ro', path]);
  assert.throws(() => collecting(t, { path }), { code: 'EROFS' }, 'the program does not start on it');
  execFileSync('mount', ['-o', 'remount,rw', path]);
  const after = collecting(t, { path });
  const more = await sendMany(after, 100, 2);
  assert.deepEqual([before.codes, more.codes], [[], []]);
  assert.deepEqual(idsIn(after.log.root, after.log.durable()), [...before.acknowledged, ...more.acknowledged]);
});

/** The real files, of which one call fails while `failing` is set. */
function failingFiles(call: 'openSync' | 'fdatasync', code: string): { files: Files; failing: { now: boolean } } {
  const failing = { now: false };
  const real: Files = fs;
  const fault = () => Object.assign(new Error(`${code}: simulated`), { code });
  return {
    failing,
    files: {
      ...real,
      openSync(path, flags, mode) {
        if (call === 'openSync' && failing.now && flags === 'w') throw fault();
        return real.openSync(path, flags, mode);
      },
      fdatasync(fd, done) {
        if (call === 'fdatasync' && failing.now) setImmediate(done, fault());
        else real.fdatasync(fd, done);
      },
    },
  };
}

for (const [words, call, code] of [
  ['too many files are open', 'openSync', 'EMFILE'],
  ['a sync fails', 'fdatasync', 'EIO'],
] as const) {
  test(`${words}: the records of that group are refused, the others stay, and the next ones are taken when it works again`, async (t) => {
    const { files, failing } = failingFiles(call, code);
    const to = collecting(t, { files });
    failing.now = true;
    const during = await sendMany(to, 0, 3);
    assert.deepEqual([during.acknowledged.length, new Set(during.codes)], [0, new Set(['LOG_FAILED'])]);
    failing.now = false;
    const after = await sendMany(to, 100, 3);
    assert.deepEqual(after.codes, []);
    assert.deepEqual(idsIn(to.log.root, to.log.durable()), after.acknowledged);
    await to.log.close();
    const reopened = collecting(t, { path: to.path });
    assert.deepEqual(
      idsIn(reopened.log.root, reopened.log.durable()),
      after.acknowledged,
      'nor does a restart bring back what was refused',
    );
  });
}

test('a clock that jumps a day back and a year forth: records are taken in order of arrival, none is lost or doubled', async (t) => {
  let now = NOW;
  const to = collecting(t, { now: () => now });
  const all: string[] = [];
  for (const jump of [0, -86_400e6, 365 * 86_400e6, -400 * 86_400e6, 1]) {
    now += jump;
    const { acknowledged, codes } = await sendMany(to, all.length, 2);
    assert.deepEqual(codes, []);
    all.push(...acknowledged);
  }
  assert.deepEqual(idsIn(to.log.root, to.log.durable()), all);
});
