import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Stamps, stampsOf } from '../../src/store/lines.ts';
import { newRecent, newRecentRoom, type Recent } from '../../src/store/recent.ts';

const START = 1_772_323_200_000_000;
const SECOND = 1_000_000;

interface Given {
  readonly id: string;
  readonly time: number;
}

const stamps = (records: readonly Given[], received: number): Stamps =>
  stampsOf([Buffer.from(records.map(({ id, time }) => `0\t${received}\t${time}\t${id}\t0\t\t{}\n`).join(''))])!;

/** Slices of new records as time goes by, fast and slow, some with a clock that jumps back. */
const slices = fc.array(fc.record({ records: fc.integer({ min: 0, max: 3000 }), pause: fc.integer({ min: -20, max: 90 }) }), {
  maxLength: 25,
});

function fill(recent: Recent, given: readonly { records: number; pause: number }[], name: string): (Given & { received: number })[] {
  let received = START;
  let n = 0;
  return given.flatMap(({ records, pause }) => {
    received += pause * SECOND;
    const some = Array.from({ length: records }, () => ({ id: `${name}-${n++}`, time: received - (n % 1000) }));
    recent.add(stamps(some, received));
    return some.map((record) => ({ ...record, received }));
  });
}

test('whatever was received since then is known, and hardly anything else', () => {
  let [asked, mistaken] = [0, 0];
  fc.assert(
    fc.property(slices, (given) => {
      const recent = newRecent(newRecentRoom(), null);
      for (const record of fill(recent, given, 'a')) {
        if (record.received >= recent.since()) assert.equal(recent.isNews(stamps([record], record.received)), false);
      }
      for (let k = 0; k < 300; k++) {
        asked++;
        if (!recent.isNews(stamps([{ id: `b-${k}`, time: START }], START))) mistaken++;
      }
    }),
    { numRuns: 40 },
  );
  assert.ok(mistaken <= 3, `${mistaken} of ${asked} that are new seem known`);
});

test('the same id at another time is another record', () => {
  const recent = newRecent(newRecentRoom(), null);
  recent.add(stamps([{ id: 'a', time: START }], START));
  assert.equal(recent.isNews(stamps([{ id: 'a', time: START }], START)), false);
  assert.equal(recent.isNews(stamps([{ id: 'a', time: START + 1 }], START)), true);
  assert.equal(recent.isNews(stamps([{ id: 'a', time: START + 2 ** 32 }], START)), true);
});

test('of rows that stood in the table before it can not tell', () => {
  const recent = newRecent(newRecentRoom(), START);
  assert.equal(recent.since(), START + 1);
});

test('a steady stream is remembered for two minutes, and what is older gives its memory back', () => {
  const room = newRecentRoom();
  const { free } = room;
  const recent = newRecent(room, null);
  let n = 0;
  for (let second = 0; second < 1000; second++) {
    const received = START + second * SECOND;
    recent.add(
      stamps(
        Array.from({ length: 100 }, () => ({ id: `${n++}`, time: received })),
        received,
      ),
    );
    assert.ok(recent.since() <= received - 120 * SECOND, `second ${second}`);
  }
  assert.ok(free - room.free < 400_000, `${free - room.free} bytes for the 15,000 of the last 150 seconds`);
});

test('all topics together stay within their memory: what there is no room for is forgotten, and known to be', () => {
  const room = { free: 100_000 };
  const topics = Array.from({ length: 5 }, (_, k) => ({ name: `t${k}`, recent: newRecent(room, null) }));
  const rows = topics.map(({ recent, name }) =>
    fill(
      recent,
      Array.from({ length: 10 }, () => ({ records: 2000, pause: 1 })),
      name,
    ),
  );
  assert.ok(room.free > -50_000, `${room.free}`);
  topics.forEach(({ recent }, k) => {
    for (const record of rows[k]!)
      if (record.received >= recent.since()) assert.equal(recent.isNews(stamps([record], record.received)), false);
  });
  assert.ok(topics.some(({ recent }) => recent.since() > START));
});
