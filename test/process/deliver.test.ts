import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Files, type Log, openLog, QUARANTINE } from '#collect';
import type { Topic } from '#core';
import { startDelivery } from '#process';
import type { Store } from '#store';
import { collecting, topicOf } from '../collect/fixture.ts';
import { column, count, freshStore } from '../store/fixture.ts';

const orders = topicOf('orders', 'id: id\nfields: {id: text, n: integer}');
const other = topicOf('other', 'id: id');

interface Given {
  readonly topics?: readonly Topic[];
  readonly store: Store;
  readonly log: Log;
}

function delivering(t: TestContext, { store, log, topics = [orders, other] }: Given) {
  const problems: unknown[] = [];
  const delivered: string[] = [];
  const running = startDelivery({
    store,
    logRoot: log.root,
    topic: (name) => topics.find((topic) => topic.name === name),
    onDelivered: (all) => delivered.push(...all.map(({ topic }) => topic)),
    onProblem: (problem) => problems.push(problem),
  });
  t.after(() => running.stop());
  return { running, problems, delivered };
}

/** A line as it should never come out of intake: bytes that the engine can't read. */
function putRaw(log: Log, topic: string, json: Buffer, id: string, flags = 1): void {
  const writer = log.topic(topic);
  const line = Buffer.concat([Buffer.from(`${writer.position()}\t1772323200000000\t\t${id}\t${flags}\t\t`), json, Buffer.from('\n')]);
  writer.room(line.length);
  writer.used += line.copy(writer.buffer, writer.used);
  writer.count++;
}

const committed = (log: Log) => new Promise<void>((resolve) => log.commit(resolve));

describe('delivery', () => {
  test('brings what is durable in every topic into the warehouse, and quarantine with the rejected bytes', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}\n{"id":"b","n":1.5}\n{"id":"c","n":3}');
    await collect.send(other, '{"id":"x","free":true}');
    const { running, delivered } = delivering(t, { store, log: collect.log });
    running.news(collect.log.durable());
    await running.settle(5_000);
    assert.deepEqual(await column(store, 'SELECT id FROM raw.orders ORDER BY _position'), ['a', 'c']);
    assert.deepEqual(await column(store, 'SELECT free FROM raw.other'), [true]);
    assert.deepEqual(await store.rows('SELECT topic, code, sender, decode(body) AS body, replayed FROM millrace.quarantine'), [
      { topic: 'orders', code: 'RECORD_FIELD', sender: 'test', body: '{"id":"b","n":1.5}', replayed: null },
    ]);
    assert.deepEqual(new Set(delivered), new Set(['orders', 'other', QUARANTINE]));
    assert.deepEqual(Object.fromEntries(store.positions()), collect.log.durable());
    assert.deepEqual(await column(store, 'SELECT DISTINCT batch FROM millrace.batch'), [1n], 'one transaction for all topics');
  });

  test('never takes more than it was told is durable', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}');
    const told = collect.log.durable();
    await collect.send(orders, '{"id":"b","n":2}');
    const { running } = delivering(t, { store, log: collect.log });
    running.news(told);
    await running.settle(5_000);
    await sleep(250);
    assert.deepEqual(await column(store, 'SELECT id FROM raw.orders'), ['a']);
  });

  for (const flags of [0, 1])
    test(`sets aside the lines that the engine can not read, each with its bytes, and delivers all others (flags ${flags})`, async (t) => {
      const store = await freshStore(t);
      const log = openLog((await import('../collect/fixture.ts')).folder(t));
      const bad = [Buffer.from('{"id":"bad1","t":"\xff\xfe"}', 'latin1'), Buffer.from('{"id":"bad2","t":"\xc3"}', 'latin1')];
      for (let k = 0; k < 50; k++) {
        if (k === 7) putRaw(log, 'orders', bad[0]!, 'bad1', flags);
        if (k === 40) putRaw(log, 'orders', bad[1]!, 'bad2', flags);
        putRaw(log, 'orders', Buffer.from(`{"id":"good${k}","n":${k}}`), `good${k}`, flags);
      }
      await committed(log);
      const { running, problems } = delivering(t, { store, log });
      running.news(log.durable());
      await running.settle(10_000);
      assert.equal(await count(store, 'raw.orders'), 50);
      assert.deepEqual(
        await column(store, 'SELECT n FROM raw.orders ORDER BY _position'),
        Array.from({ length: 50 }, (_, k) => BigInt(k)),
      );
      const rows = await store.rows('SELECT topic, code, hex(body) AS body FROM millrace.quarantine ORDER BY octet_length(body) DESC');
      assert.deepEqual(
        rows.map((row) => [row['topic'], row['code'], row['body']]),
        bad.map((bytes) => ['orders', 'RECORD_UNREADABLE', bytes.toString('hex').toUpperCase()]),
      );
      assert.equal(problems.length, 1);
      const [batch] = await store.rows(`SELECT rows, quarantined FROM millrace.batch WHERE topic = 'orders'`);
      assert.deepEqual(batch, { rows: 50n, quarantined: 2n });
    });

  test('goes on with the other topics when the log of one is damaged, and says so', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}');
    await collect.send(other, '{"id":"x"}');
    const folder = join(collect.log.root, 'orders');
    const file = join(folder, readdirSync(folder)[0]!);
    const bytes = readFileSync(file);
    bytes[bytes.length - 3]! ^= 1;
    writeFileSync(file, bytes);
    const { running, problems } = delivering(t, { store, log: collect.log });
    running.news(collect.log.durable());
    await waitFor(() => store.positions().has('other'));
    assert.equal((problems[0] as { code: string }).code, 'LOG_CORRUPT');
    assert.equal(store.positions().has('orders'), false);
  });

  test('goes on with the other topics when the warehouse refuses whatever comes of one', async (t) => {
    const real = await freshStore(t);
    const refusing: Store = {
      ...real,
      deliver: async (deliveries) => {
        const all = [...deliveries];
        assert.ok(!all.some(({ topic }) => topic.name === 'orders'), 'no orders today');
        return real.deliver(all);
      },
      probe: async () => 'no orders today',
    };
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}');
    await collect.send(other, '{"id":"x"}');
    const { running, problems } = delivering(t, { store: refusing, log: collect.log });
    running.news(collect.log.durable());
    await waitFor(() => real.positions().has('other'));
    assert.equal(real.positions().has('orders'), false);
    assert.match(String(problems[0]), /no orders today/);
    assert.equal(await count(real, 'millrace.quarantine'), 0, 'no record is blamed');
  });

  test('blames no record for what the machine does: a full disk puts nothing into quarantine, and later all is taken', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}\n{"id":"b","n":2}');
    let full = 3;
    const failing: Store = {
      ...store,
      async deliver(deliveries) {
        const all = [...deliveries];
        if (full-- > 0)
          throw new Error('The warehouse could not write', {
            cause: Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }),
          });
        return store.deliver(all);
      },
      // As on a disk where nothing more than an empty file has room.
      probe: async ({ lines }) => (lines.length === 0 ? null : 'ENOSPC: no space left on device'),
    };
    const { running, problems } = delivering(t, { store: failing, log: collect.log });
    running.news(collect.log.durable());
    await running.settle(10_000);
    assert.deepEqual(await column(store, 'SELECT id FROM raw.orders ORDER BY _position'), ['a', 'b']);
    assert.equal(await count(store, 'millrace.quarantine'), 0);
    assert.equal(problems.length, 3);
    // The store's own probe, where the lines can't be written down.
    mkdirSync(join(store.folders.slices, 'orders.tsv'));
    await assert.rejects(store.probe({ topic: orders, from: 0, to: 1, lines: [Buffer.from('x\n')] }), /EISDIR/);
  });

  test('blames no small record for memory that others hold: it is tried until there is some', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}\n{"id":"b","n":2}');
    const short = 'Out of Memory Error: failed to pin block of size 256.0 KiB';
    // More often than it takes to come to the smallest slice.
    let busy = 6;
    const failing: Store = {
      ...store,
      async deliver(deliveries) {
        const all = [...deliveries];
        if (busy-- > 0) throw new Error('The warehouse could not write', { cause: new Error(short) });
        return store.deliver(all);
      },
      probe: async ({ lines }) => (lines.length === 0 ? null : short),
    };
    const { running } = delivering(t, { store: failing, log: collect.log });
    running.news(collect.log.durable());
    await running.settle(15_000);
    assert.deepEqual(await column(store, 'SELECT id FROM raw.orders ORDER BY _position'), ['a', 'b']);
    assert.equal(await count(store, 'millrace.quarantine'), 0);
  });

  test('steps over the gap that an abandoned segment leaves, and does not wait for it for ever', async (t) => {
    const store = await freshStore(t);
    const path = (await import('../collect/fixture.ts')).folder(t);
    const fs = await import('node:fs');
    let failing = false;
    const files: Files = { ...fs, fdatasync: (fd, done) => (failing ? setImmediate(done, new Error('EIO')) : fs.fdatasync(fd, done)) };
    const collect = collecting(t, { files, path });
    await collect.send(orders, '{"id":"a","n":1}');
    failing = true;
    assert.equal((await collect.send(orders, '{"id":"lost","n":1}')).error?.code, 'LOG_FAILED');
    failing = false;
    await collect.send(orders, '{"id":"b","n":2}');
    const { running } = delivering(t, { store, log: collect.log });
    running.news(collect.log.durable());
    await running.settle(5_000);
    assert.deepEqual(await column(store, 'SELECT id FROM raw.orders ORDER BY _position'), ['a', 'b']);
    assert.equal(store.positions().get('orders'), collect.log.durable()['orders']);
  });

  test('goes on where it was after the warehouse was opened again, and takes nothing twice', async (t) => {
    const { folder } = await import('../collect/fixture.ts');
    const { openStore } = await import('#store');
    const { opening } = await import('../store/fixture.ts');
    const path = folder(t);
    const collect = collecting(t);
    for (let round = 0; round < 4; round++) {
      const store = await openStore(opening(path));
      await collect.send(orders, Array.from({ length: 20 }, (_, k) => `{"n":${round * 20 + k}}`).join('\n'));
      const running = startDelivery({
        store,
        logRoot: collect.log.root,
        topic: () => orders,
        onDelivered: () => {},
        onProblem: (problem) => assert.fail(String(problem)),
      });
      running.news(collect.log.durable());
      if (round !== 2) await running.settle(5_000);
      await running.stop();
      await store.close();
    }
    const store = await freshStore(t, path);
    assert.deepEqual(
      await column(store, 'SELECT n FROM raw.orders ORDER BY _position'),
      Array.from({ length: 80 }, (_, k) => BigInt(k)),
    );
  });

  test('takes topics in turn, as many as a round has room for: what one has behind it holds up no other', async (t) => {
    const collect = collecting(t);
    const long = 'x'.repeat(100_000);
    const large = ['large_a', 'large_b'].map((name) => topicOf(name, 'id: id'));
    for (const topic of large)
      for (let k = 0; k < 12; k++)
        await collect.send(topic, Array.from({ length: 9 }, (_, n) => `{"id":"${k}-${n}","note":"${long}"}`).join('\n'));
    const others = Array.from({ length: 70 }, (_, k) => topicOf(`small_${k}`, 'id: id'));
    for (const topic of others) await collect.send(topic, '{"id":"a"}');
    const ends = Object.fromEntries(Object.entries(collect.log.durable()).filter(([, end]) => end > 0));
    const positions = new Map<string, number>();
    const rounds: { readonly topics: readonly string[]; readonly bytes: number }[] = [];
    const store = {
      positions: () => positions,
      crowded: () => false,
      async deliver(deliveries: Parameters<Store['deliver']>[0]) {
        const all = [...deliveries];
        rounds.push({
          topics: all.map(({ topic }) => topic.name),
          bytes: all.reduce((sum, { from, to }) => sum + to - from, 0),
        });
        for (const { topic, to } of all) positions.set(topic.name, to);
        return all.map(({ topic, to }) => ({ topic: topic.name, to, rows: 1, duplicates: 0, quarantined: 0, columns: [] }));
      },
    } as unknown as Store;
    const { running, problems } = delivering(t, { store, log: collect.log, topics: [...large, ...others] });
    running.news(ends);
    await running.settle(10_000);
    assert.deepEqual([Object.fromEntries(positions), problems], [ends, []]);
    const group = Math.ceil(ends['large_a']! / 12) + 100;
    for (const { topics, bytes } of rounds) {
      assert.ok(topics.length <= 32, `${topics.length} topics`);
      assert.ok(bytes <= 4 * 1024 * 1024 + group, `${bytes} bytes`);
    }
    const turns = rounds.flatMap(({ topics }, k) => (topics.includes('large_a') ? [k] : []));
    const before = new Set(rounds.slice(0, turns[1]! + 1).flatMap(({ topics }) => topics));
    assert.ok(turns.length > 2, 'it takes several rounds');
    assert.equal(before.size, 72, 'each of the others had its turn before its second');
  });

  describe('what a question waits for', () => {
    /** A warehouse that takes each slice when it is told to, and notes which topics come together. */
    async function stepwise(t: TestContext, names: readonly string[]) {
      const collect = collecting(t);
      const topics = names.map((name) => topicOf(name, 'id: id'));
      const positions = new Map<string, number>();
      const rounds: string[][] = [];
      let step = Promise.withResolvers<void>();
      let over = false;
      let crowded = false;
      t.after(() => {
        over = true;
        step.resolve();
      });
      const store = {
        positions: () => positions,
        crowded: () => crowded,
        async deliver(deliveries: Parameters<Store['deliver']>[0]) {
          const round: string[] = [];
          const done = [];
          for (const { topic, to } of deliveries) {
            round.push(topic.name);
            if (!over) await step.promise;
            step = Promise.withResolvers();
            done.push({ topic: topic.name, to, rows: 1, duplicates: 0, quarantined: 0, columns: [] });
          }
          for (const { topic, to } of done) positions.set(topic, to);
          if (round.length > 0) rounds.push(round);
          return done;
        },
      } as unknown as Store;
      const { running } = delivering(t, { store, log: collect.log, topics: topics.slice(0, -1) });
      const send = async (some: readonly Topic[]) => {
        for (const topic of some) await collect.send(topic, `{"id":"${positions.get(topic.name) ?? 0}"}`);
        running.news(Object.fromEntries(Object.entries(collect.log.durable()).filter(([, end]) => end > 0)));
      };
      const take = async (slices: number) => {
        for (let k = 0; k < slices; k++) {
          await sleep(5);
          step.resolve();
        }
        await sleep(5);
      };
      const crowd = (is: boolean) => {
        crowded = is;
      };
      return { running, rounds, topics, send, take, crowd };
    }

    const isDone = async (reached: Promise<void>): Promise<boolean> =>
      Promise.race([reached.then(() => true), sleep(10).then(() => false)]);

    test('comes next, in the midst of a round that ends behind it; then whoever is first in line', async (t) => {
      const { running, rounds, topics, send, take } = await stepwise(t, ['a', 'b', 'c', 'd', 'e', 'undefined']);
      await send(topics.slice(0, 5));
      await take(1);
      assert.equal(await isDone(running.reach(['d'], 5000)), true, 'what has just come is not waited for');
      await sleep(120);
      const reached = running.reach(['d', 'nothing'], 5000);
      await take(1);
      assert.equal(await isDone(reached), false, 'b was under way');
      await take(1);
      assert.equal(await isDone(reached), true);
      assert.deepEqual(rounds, [['a', 'b', 'd']]);
      const both = running.reach(['e'], 5000);
      await take(2);
      assert.equal(await isDone(both), true);
      assert.deepEqual(rounds.slice(1), [['c', 'e']], 'questions one after the other keep nobody waiting for ever');
    });

    test('comes in the order of the questions, however long its topics have been in line', async (t) => {
      const { running, rounds, topics, send, take } = await stepwise(t, ['a', 'b', 'c', 'undefined']);
      await send(topics.slice(0, 3));
      await sleep(120);
      const first = running.reach(['c'], 5000);
      const second = running.reach(['b'], 5000);
      while (rounds.flat().length < 3) await take(1);
      await Promise.all([first, second]);
      assert.deepEqual(rounds.flat(), ['a', 'c', 'b']);
    });

    test('comes also while memory is held until a checkpoint, when nothing else does', async (t) => {
      const { running, rounds, topics, send, take, crowd } = await stepwise(t, ['a', 'b', 'c', 'undefined']);
      crowd(true);
      await send(topics.slice(0, 3));
      await sleep(150);
      const reached = running.reach(['b'], 5000);
      await take(1);
      assert.equal(await isDone(reached), true);
      await sleep(250);
      assert.deepEqual(rounds, [['b']]);
      crowd(false);
      while (rounds.flat().length < 3) await take(1);
      assert.deepEqual(rounds.flat(), ['b', 'a', 'c']);
    });

    test('is held up by no long round: one that has taken a tenth of a second takes no other topic', async (t) => {
      const { rounds, topics, send, take } = await stepwise(t, ['a', 'b', 'c', 'undefined']);
      await send(topics.slice(0, 3));
      await sleep(110);
      await take(3);
      assert.deepEqual([rounds[0], rounds.flat()], [['a'], ['a', 'b', 'c']]);
    });

    test('comes together, behind whoever is owed a turn, however long that one takes', async (t) => {
      const { running, rounds, topics, send, take } = await stepwise(t, ['a', 'b', 'c', 'd', 'e', 'undefined']);
      await send(topics.slice(0, 5));
      await sleep(120);
      const first = running.reach(['c'], 5000);
      await take(2);
      assert.equal(await isDone(first), true);
      const both = [running.reach(['d'], 5000), running.reach(['e'], 5000)];
      await sleep(120);
      await take(3);
      await Promise.all(both);
      assert.deepEqual(rounds, [
        ['a', 'c'],
        ['b', 'd', 'e'],
      ]);
    });

    test('is not what no delivery brings, nor longer than its patience', async (t) => {
      const { running, topics, send, take } = await stepwise(t, ['a', 'undefined']);
      await send(topics);
      await sleep(120);
      const began = performance.now();
      await running.reach(['a'], 200);
      assert.ok(performance.now() - began >= 190, 'nothing was taken, and it went on');
      await take(1);
      await sleep(700);
      assert.equal(await isDone(running.reach(['undefined'], 5000)), true);
    });
  });

  test('leaves what belongs to a topic that is not defined in the log, until it is', async (t) => {
    const store = await freshStore(t);
    const collect = collecting(t);
    await collect.send(orders, '{"id":"a","n":1}');
    await collect.send(other, '{"id":"x"}');
    const topics: Topic[] = [other];
    const { running, problems } = delivering(t, { store, log: collect.log, topics });
    running.news(collect.log.durable());
    await waitFor(() => store.positions().has('other'));
    topics.push(orders);
    await running.settle(5_000);
    assert.deepEqual([await count(store, 'raw.orders'), problems.length], [1, 0]);
  });

  for (const [kind, problem] of [
    ['that is not defined', []],
    ['whose log is damaged', ['LOG_CORRUPT']],
  ] as const)
    test(`a topic ${kind} makes nobody wait, and the others keep their pace`, async (t) => {
      const store = await freshStore(t);
      const collect = collecting(t);
      // So much that rounds would follow each other without a pause.
      await collect.send(orders, Array.from({ length: 1500 }, (_, k) => `{"id":"${k}","n":${k},"note":"${'x'.repeat(1000)}"}`).join('\n'));
      if (problem.length > 0) {
        const folder = join(collect.log.root, 'orders');
        const file = join(folder, readdirSync(folder)[0]!);
        const bytes = readFileSync(file);
        bytes[bytes.length - 3]! ^= 1;
        writeFileSync(file, bytes);
      }
      let rounds = 0;
      const counting: Store = {
        ...store,
        deliver: (deliveries) => {
          rounds++;
          return store.deliver(deliveries);
        },
      };
      const { running, problems } = delivering(t, {
        store: counting,
        log: collect.log,
        topics: problem.length > 0 ? [orders, other] : [other],
      });
      const began = performance.now();
      // Each round finds news of the other.
      for (let k = 0; k < 300; k++) {
        await collect.send(other, `{"id":"x${k}"}`);
        running.news(collect.log.durable());
        await sleep(2);
      }
      // A tenth of a second lies between the beginnings of two.
      assert.ok(rounds <= (performance.now() - began) / 100 + 2, `${rounds} rounds`);
      const waits = async (patient: Promise<void>) => Promise.race([patient.then(() => 'done'), sleep(20_000, 'waits', { ref: false })]);
      assert.equal(await waits(running.settle(600_000)), 'done');
      assert.equal(await waits(running.reach(['orders', 'other'], 600_000)), 'done');
      assert.deepEqual(
        problems.map((each) => (each as { code: string }).code),
        problem,
      );
      assert.equal(store.positions().has('orders'), false);
    });
});

async function waitFor(condition: () => boolean): Promise<void> {
  for (let k = 0; k < 500 && !condition(); k++) await sleep(20);
  assert.ok(condition(), 'it did not come within ten seconds');
}
