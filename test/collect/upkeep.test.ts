import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { keepUp, openLog, readSlice } from '#collect';

describe('upkeep of the log', () => {
  let folder: string;
  let root: string;
  const sent: string[] = [];
  const ends: number[] = [];
  const DAY = 86_400_000;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-upkeep-'));
    const log = openLog(folder, { segmentBytes: 2000 });
    root = log.root;
    const writer = log.topic('events');
    for (let k = 0; k < 40; k++) {
      const line = `${writer.position()}\t1\t\t\t0\t\t{"n":${k},"text":"${'가'.repeat(30)}"}\n`;
      writer.room(500);
      writer.used += writer.buffer.write(line, writer.used);
      writer.count++;
      assert.ok(writer.sync());
      sent.push(line);
      ends.push(writer.durable);
    }
    log.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const files = () => readdirSync(join(root, 'events')).sort();
  const all = (from = 0) => {
    const lines: string[] = [];
    for (let at = from; ; ) {
      const slice = readSlice(root, 'events', at, ends.at(-1)!, 700);
      if (slice === null) return lines.join('');
      lines.push(...slice.lines.map((line) => line.toString()));
      at = slice.to;
    }
  };

  test('leaves alone what is not delivered and the segment that is being written', async () => {
    const before = files();
    assert.deepEqual(await keepUp(root, 'events', 0, DAY), { packed: 0, deleted: 0, saved: 0 });
    assert.deepEqual(files(), before);
  });

  test('packs delivered segments, which read as before from any position', async () => {
    const plain = files().length;
    const upkept = await keepUp(root, 'events', ends.at(-1)!, DAY);
    assert.equal(upkept.packed, plain - 1);
    assert.ok(upkept.saved > 0);
    assert.deepEqual(
      files().map((name) => name.endsWith('.zst')),
      [...Array(plain - 1).fill(true), false],
    );
    assert.equal(all(), sent.join(''));
    for (const [k, end] of ends.entries()) assert.equal(all(end), sent.slice(k + 1).join(''));
    assert.deepEqual(await keepUp(root, 'events', ends.at(-1)!, DAY), { packed: 0, deleted: 0, saved: 0 });
  });

  test('prefers the plain file where a segment stands in both forms, as after a crash while it was packed', async () => {
    const [first] = files();
    const segment = readSlice(root, 'events', 0, ends.at(-1)!, 1)!;
    writeFileSync(join(root, 'events', `${first}.new`), 'torn');
    assert.equal(readSlice(root, 'events', 0, ends.at(-1)!, 1)!.lines.join(), segment.lines.join());
    rmSync(join(root, 'events', `${first}.new`));
  });

  test('deletes what is older than it has to be kept, and readers begin at what is left', async () => {
    const old = files()[0]!;
    const long = new Date(Date.now() - 10 * DAY);
    utimesSync(join(root, 'events', old), long, long);
    const upkept = await keepUp(root, 'events', ends.at(-1)!, 5 * DAY);
    assert.equal(upkept.deleted, 1);
    assert.ok(!files().includes(old));
    assert.ok(sent.join('').endsWith(all()));
    assert.ok(all().length > 0);
  });

  test('opens again after packing and goes on behind the last record', () => {
    const log = openLog(folder, { segmentBytes: 2000 });
    assert.equal(log.durable()['events'], ends.at(-1));
    log.close();
  });
});
