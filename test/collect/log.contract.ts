/** What every log has to keep, whatever its files do. `open` opens the log on a disk; `read` reads a slice as delivery does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Files, Log, readSlice } from '#collect';
import type { Position } from '#core';
import { type Choose, Disk, type Fault } from './disk.ts';
import { linesOf } from './fixture.ts';

export interface LogMaker {
  readonly open: (dataPath: string, options: { files: Files; segmentBytes: number }) => Log;
  readonly read: typeof readSlice;
}

const DATA = '/data';

/** Puts a line as intake does, with `text` for the client's JSON; returns its position. */
export function put(log: Log, topic: string, text: string): Position {
  const writer = log.topic(topic);
  const position = writer.position();
  const line = `${position}\t1\t2\tid\t0\t\t${JSON.stringify({ text })}\n`;
  writer.room(Buffer.byteLength(line));
  writer.used += writer.buffer.write(line, writer.used);
  writer.count++;
  return position;
}

export const textsOf = (groups: readonly Buffer[]): string[] =>
  linesOf(groups).map((line) => (JSON.parse(line.json) as { text: string }).text);

/** Reads from `from` to the watermark, `maxBytes` at a time, and checks each slice on its way. */
export function readAll(
  maker: LogMaker,
  files: Files,
  log: Log,
  topic: string,
  from: Position,
  maxBytes = 100,
): { texts: string[]; to: Position } {
  const durable = log.durable()[topic] ?? 0;
  const texts: string[] = [];
  let at = from;
  while (at < durable) {
    const slice = maker.read(log.root, topic, at, durable, maxBytes, files);
    assert.ok(slice !== null && slice.from === at && slice.to > at, 'a slice begins where it was asked to and goes on');
    assert.ok(slice.to <= durable, `a slice ends at ${slice.to}, behind the watermark ${durable}`);
    const lines = linesOf(slice.lines);
    assert.equal(lines.length, slice.records);
    for (const line of lines) assert.ok(line.position >= at && line.position < slice.to, 'a line knows its position');
    texts.push(...textsOf(slice.lines));
    at = slice.to;
  }
  return { texts, to: at };
}

type Step =
  | { readonly do: 'put'; readonly topic: number; readonly size: number }
  | { readonly do: 'commit'; readonly faults: readonly { readonly call: number; readonly fault: Fault }[] }
  | { readonly do: 'consume' }
  | { readonly do: 'turn' }
  | { readonly do: 'settle' }
  | { readonly do: 'kill' }
  | { readonly do: 'power' };

const faultOf: fc.Arbitrary<Fault> = fc.oneof(
  fc.constantFrom<Fault>({ code: 'EIO' }, { code: 'ENOSPC' }),
  fc.integer({ min: 1, max: 200 }).map((short) => ({ short })),
  fc.integer({ min: 1, max: 200 }).map((torn) => ({ torn })),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), topic: fc.nat(1), size: fc.oneof(fc.nat(40), fc.nat(300)) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      faults: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        fc.array(fc.record({ call: fc.nat(5), fault: faultOf }), { maxLength: 4 }),
      ),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'turn' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'settle' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'consume' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'kill' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'power' as const }) },
);

/** The log beside what may be said of it: what was acknowledged, what was written at all, what a consumer has taken. */
class World {
  readonly disk = new Disk(DATA);
  readonly #maker: LogMaker;
  readonly #choose: Choose;
  #log: Log;
  #count = 0;
  #waiting: { topic: string; text: string; failures: number }[] = [];
  readonly #acknowledged = new Map<string, string[]>();
  readonly #written = new Set<string>();
  readonly #consumed = new Map<string, { at: Position; texts: string[] }>();
  /** Grows with each crash: a process that is dead writes nothing more, and acknowledges nothing. */
  #life = 0;
  #faults: readonly { call: number; fault: Fault }[] = [];
  #calls = 0;

  constructor(maker: LogMaker, choose: Choose) {
    this.#maker = maker;
    this.#choose = choose;
    this.#log = this.#open();
    this.disk.fault = (call) => {
      const hit = this.#faults.find((planned) => planned.call === this.#calls);
      this.#calls++;
      if (hit === undefined) return null;
      // Only a write can be short; what else fails, fails.
      return call === 'write' || 'code' in hit.fault ? hit.fault : { code: 'EIO' };
    };
  }

  #open(): Log {
    this.#faults = [];
    const life = this.#life;
    const files = new Proxy(this.disk, {
      get: (disk, name: keyof Disk) => {
        if (life === this.#life) return (disk[name] as () => void).bind(disk);
        return name === 'write' || name === 'fdatasync' ? () => {} : () => assert.fail('the process is dead');
      },
    });
    const log = this.#maker.open(DATA, { files, segmentBytes: 600 });
    for (const topic of ['a', 'b']) log.topic(topic);
    return log;
  }

  put(topic: string, size: number): void {
    const text = `${this.#count++}:${'x'.repeat(size)}`;
    const { failures } = this.#log.topic(topic);
    put(this.#log, topic, text);
    this.#written.add(text);
    this.#waiting.push({ topic, text, failures });
  }

  /** Does not wait: more is put, and the process may die, while the group is being synced. */
  commit(faults: readonly { call: number; fault: Fault }[]): void {
    this.#faults = faults;
    this.#calls = 0;
    const [waiting, life, log] = [this.#waiting, this.#life, this.#log];
    this.#waiting = [];
    log.commit(() => {
      if (life !== this.#life) return;
      for (const { topic, text, failures } of waiting) {
        if (log.topic(topic).failures === failures) this.#acknowledged.set(topic, [...(this.#acknowledged.get(topic) ?? []), text]);
      }
    });
  }

  /** Everything that was committed is acknowledged or refused. */
  settle(): Promise<void> {
    return commit(this.#log);
  }

  /** A consumer that keeps its place for good, as the warehouse does. */
  consume(): void {
    for (const topic of ['a', 'b']) {
      const { at, texts } = this.#consumed.get(topic) ?? { at: 0, texts: [] };
      const more = readAll(this.#maker, this.disk, this.#log, topic, at);
      this.#consumed.set(topic, { at: more.to, texts: [...texts, ...more.texts] });
    }
  }

  crash(how: 'kill' | 'power'): void {
    if (how === 'power') this.disk.powerCut(this.#choose);
    else this.disk.kill();
    this.#waiting = [];
    this.#life++;
    this.#log = this.#open();
  }

  check(): void {
    this.consume();
    for (const topic of ['a', 'b']) {
      const { texts } = readAll(this.#maker, this.disk, this.#log, topic, 0, 1000);
      assert.deepEqual(texts, this.#consumed.get(topic)!.texts, 'a consumer that went along has what the log has now');
      assert.equal(new Set(texts).size, texts.length, 'nothing stands twice');
      for (const text of texts) assert.ok(this.#written.has(text), `${text} was never written`);
      const acknowledged = this.#acknowledged.get(topic) ?? [];
      const present = new Set(acknowledged);
      assert.deepEqual(
        texts.filter((text) => present.has(text)),
        acknowledged,
        'everything acknowledged is read back, in order',
      );
    }
  }
}

/** What a long run found: a segment of which nothing is durable yet, behind one that was given up. A power cut may take it away again. */
const BEHIND_THE_WATERMARK: Step[] = [
  { do: 'commit', faults: [{ call: 2, fault: { code: 'EIO' } }] },
  { do: 'put', topic: 0, size: 0 },
  { do: 'settle' },
  { do: 'put', topic: 0, size: 0 },
  { do: 'commit', faults: [] },
  { do: 'turn' },
  { do: 'kill' },
  { do: 'put', topic: 0, size: 0 },
  {
    do: 'commit',
    faults: [
      { call: 3, fault: { code: 'EIO' } },
      { call: 0, fault: { torn: 1 } },
    ],
  },
  { do: 'settle' },
  { do: 'turn' },
  { do: 'put', topic: 0, size: 0 },
  { do: 'settle' },
];

function* zeros(): Generator<number, void> {
  for (;;) yield 0;
}

export function logContract(name: string, maker: LogMaker, runs: number): void {
  describe(`the log ${name}`, () => {
    test('loses nothing that it acknowledged and makes nothing up, through short writes, failed syncs, kills and power cuts', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.infiniteStream(fc.nat()), async (steps, stream) => {
          const world = new World(maker, (n) => (stream.next().value as number) % n);
          for (const one of steps) {
            if (one.do === 'put') world.put('ab'[one.topic]!, one.size);
            else if (one.do === 'commit') world.commit(one.faults);
            else if (one.do === 'turn') await new Promise((resolve) => setImmediate(resolve));
            else if (one.do === 'settle') await world.settle();
            else if (one.do === 'consume') world.consume();
            else world.crash(one.do);
          }
          await world.settle();
          world.check();
          world.crash('power');
          world.check();
        }),
        { numRuns: runs, examples: [[BEHIND_THE_WATERMARK, fc.stream(zeros())]] },
      );
    });

    test('cuts a torn group at whichever byte it is torn, and keeps all before it', async () => {
      const { disk, log, file, end } = await twoGroups(maker);
      const whole = disk.file(file);
      for (let cut = end; cut < whole.length; cut++) {
        const torn = new Disk(DATA);
        const again = maker.open(DATA, { files: torn, segmentBytes: 1e6 });
        put(again, 'a', 'first');
        await commit(again);
        torn.setFile(file, whole.subarray(0, cut));
        torn.kill();
        const recovered = maker.open(DATA, { files: torn, segmentBytes: 1e6 });
        assert.deepEqual(readAll(maker, torn, recovered, 'a', 0).texts, ['first'], `cut at ${cut}`);
        put(recovered, 'a', 'third');
        await commit(recovered);
        assert.deepEqual(readAll(maker, torn, recovered, 'a', 0).texts, ['first', 'third'], `cut at ${cut}`);
      }
      assert.deepEqual(readAll(maker, disk, log, 'a', 0).texts, ['first', 'second']);
    });

    test('takes no group for whole of which one byte was changed or zeroed, or which stands at another place', async () => {
      const { disk, file, end } = await twoGroups(maker);
      const whole = Buffer.from(disk.file(file));
      const damages: Buffer[] = [];
      for (let at = end; at < whole.length; at++) {
        for (const byte of [0, whole[at]! ^ 1]) {
          const damaged = Buffer.from(whole);
          damaged[at] = byte;
          damages.push(damaged);
        }
      }
      // The first group once more, whole, where the second should be.
      damages.push(Buffer.concat([whole.subarray(0, end), whole.subarray(0, end)]));
      for (const damaged of damages) {
        disk.setFile(file, damaged);
        disk.kill();
        const recovered = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
        assert.deepEqual(readAll(maker, disk, recovered, 'a', 0).texts, ['first']);
      }
    });

    test('says LOG_CORRUPT, with the file and the place, when a group below the watermark is damaged', async () => {
      const { disk, log, file, end } = await twoGroups(maker);
      const durable = log.durable()['a']!;
      const whole = Buffer.from(disk.file(file));
      for (const [damaged, at] of [
        [Buffer.from(whole).fill(0, end), end],
        [Buffer.from(whole).fill(0x78, end + 40, end + 41), end],
        [whole.subarray(0, whole.length - 1), end],
        [whole.subarray(0, end), end],
      ] as const) {
        disk.setFile(file, damaged);
        assert.throws(() => readAll(maker, disk, log, 'a', end), { code: 'LOG_CORRUPT' });
        assert.throws(
          () => maker.read(log.root, 'a', end, durable, 1000, disk),
          (error: { params: { at: number } }) => error.params.at === at,
        );
        assert.deepEqual(textsOf(maker.read(log.root, 'a', 0, durable, 1, disk)!.lines), ['first'], 'what stands before is unharmed');
      }
    });

    test('goes to a new segment at its size, and reads over the border', async () => {
      const disk = new Disk(DATA);
      const log = maker.open(DATA, { files: disk, segmentBytes: 200 });
      const texts = Array.from({ length: 20 }, (_, k) => `${k}${'x'.repeat(50)}`);
      for (const text of texts) {
        put(log, 'a', text);
        await commit(log);
      }
      const files = disk.readdirSync(`${DATA}/log/a`);
      assert.ok(files.length > 5, `${files.length} segments`);
      for (const maxBytes of [1, 90, 150, 10_000]) assert.deepEqual(readAll(maker, disk, log, 'a', 0, maxBytes).texts, texts);
      disk.kill();
      const again = maker.open(DATA, { files: disk, segmentBytes: 200 });
      assert.deepEqual(again.durable(), log.durable());
      assert.deepEqual(readAll(maker, disk, again, 'a', 0).texts, texts);
    });

    test('leaves a segment whose sync failed for good, says why, goes on behind it, and the reader steps over what is left there', async () => {
      for (const tornAt of [null, 10, 35, 70]) {
        const disk = new Disk(DATA);
        const log = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
        put(log, 'a', 'first');
        await commit(log);
        const before = log.durable()['a']!;
        put(log, 'a', 'lost');
        disk.fault = (call) => {
          if (call === 'write' && tornAt !== null) return { torn: tornAt };
          return call === 'fdatasync' || call === 'ftruncate' ? { code: 'EIO' } : null;
        };
        await commit(log);
        assert.deepEqual([log.topic('a').failures, log.topic('a').failure?.code, log.durable()['a']], [1, 'LOG_FAILED', before]);
        disk.fault = () => null;
        put(log, 'a', 'third');
        await commit(log);
        assert.equal(log.topic('a').failure, null);
        assert.equal(disk.readdirSync(`${DATA}/log/a`).length, 2);
        assert.deepEqual(readAll(maker, disk, log, 'a', 0).texts, ['first', 'third']);
        assert.deepEqual(readAll(maker, disk, log, 'a', before).texts, ['third']);
      }
    });

    test('a start after a failed sync and no further record leaves nothing that a consumer would wait for', async () => {
      const disk = new Disk(DATA);
      const log = maker.open(DATA, { files: disk, segmentBytes: 150 });
      put(log, 'a', 'x'.repeat(200));
      await commit(log);
      put(log, 'a', 'lost');
      let syncs = 0;
      disk.fault = (call) => (call === 'fdatasync' && syncs++ === 0 ? { code: 'EIO' } : null);
      await commit(log);
      disk.kill();
      disk.fault = () => null;
      const again = maker.open(DATA, { files: disk, segmentBytes: 150 });
      const { to, texts } = readAll(maker, disk, again, 'a', log.durable()['a']!);
      assert.deepEqual([to, texts], [again.durable()['a'], []]);
    });

    test('syncs what was put before it closes', async () => {
      const disk = new Disk(DATA);
      const log = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
      let called = 0;
      put(log, 'a', 'last');
      log.commit(() => called++);
      await log.close();
      assert.equal(called, 1);
      disk.powerCut(() => 1);
      assert.deepEqual(readAll(maker, disk, maker.open(DATA, { files: disk, segmentBytes: 1e6 }), 'a', 0).texts, ['last']);
    });

    test('fills the next group while one is synced, and refuses both when that sync fails', async () => {
      const disk = new Disk(DATA);
      const log = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
      put(log, 'a', 'first');
      await commit(log);
      let syncs = 0;
      disk.fault = (call) => (call === 'fdatasync' && ++syncs === 1 ? { code: 'EIO' } : null);
      const failures: number[] = [];
      const during = log.topic('a').failures;
      put(log, 'a', 'lost');
      log.commit(() => failures.push(log.topic('a').failures - during));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(syncs, 0, 'the sync is under way');
      put(log, 'a', 'lost with it');
      log.commit(() => failures.push(log.topic('a').failures - during));
      await commit(log);
      assert.deepEqual(failures, [1, 1]);
      put(log, 'a', 'second');
      await commit(log);
      assert.deepEqual(readAll(maker, disk, log, 'a', 0).texts, ['first', 'second']);
    });

    test('syncs once for all that waits', async () => {
      const disk = new Disk(DATA);
      const log = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
      put(log, 'a', 'opens the segment');
      await commit(log);
      let syncs = 0;
      disk.fault = (call) => {
        if (call === 'fdatasync') syncs++;
        return null;
      };
      const done = Array.from({ length: 50 }, (_, k) => {
        put(log, 'a', `${k}`);
        return commit(log);
      });
      await Promise.all(done);
      assert.equal(syncs, 1);
      assert.equal(readAll(maker, disk, log, 'a', 0).texts.length, 51);
    });
  });
}

const commit = (log: Log) => new Promise<void>((resolve) => log.commit(resolve));

async function twoGroups(maker: LogMaker): Promise<{ disk: Disk; log: Log; file: string; end: Position }> {
  const disk = new Disk(DATA);
  const log = maker.open(DATA, { files: disk, segmentBytes: 1e6 });
  put(log, 'a', 'first');
  await commit(log);
  const end = log.durable()['a']!;
  put(log, 'a', 'second');
  await commit(log);
  return { disk, log, file: `${DATA}/log/a/${disk.readdirSync(`${DATA}/log/a`)[0]}`, end };
}
