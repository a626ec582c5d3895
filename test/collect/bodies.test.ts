import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newBodies, readSlice } from '#collect';
import { collecting, linesOf, topicOf } from './fixture.ts';

test('bodies have room up to the limit; a smaller one fits where a larger one does not, and what is released is free again', () => {
  const bodies = newBodies(100);
  const first = bodies.hold(60, assert.fail)!;
  assert.equal(bodies.hold(50, assert.fail), null);
  const second = bodies.hold(40, assert.fail)!;
  assert.equal(bodies.held, 100);
  assert.equal(bodies.hold(1, assert.fail), null);
  first.release();
  first.release();
  second.whole();
  assert.equal(bodies.held, 40);
  assert.notEqual(bodies.hold(60, assert.fail), null);
});

test('a body that grows beyond the room gives up all that it held; one that is alone has room whatever it takes', () => {
  const bodies = newBodies(100);
  const other = bodies.hold(10, assert.fail)!;
  const growing = bodies.hold(0, assert.fail)!;
  assert.equal(growing.grow(70), true);
  assert.equal(growing.grow(21), false);
  assert.equal(bodies.held, 10);
  other.release();
  const alone = bodies.hold(150, assert.fail)!;
  assert.equal(alone.grow(150), true);
  assert.equal(bodies.hold(1, assert.fail), null);
});

test('those that have been coming for longer than five seconds give way, the oldest first and no more of them than it takes; those that are whole do not', () => {
  let now = 0;
  const bodies = newBodies(100, () => now);
  const dropped: string[] = [];
  const whole = bodies.hold(20, assert.fail)!;
  whole.whole();
  for (const name of ['a', 'b', 'c']) bodies.hold(20, () => dropped.push(name));
  now = 5_000;
  assert.equal(bodies.hold(30, assert.fail), null);
  now = 5_001;
  assert.notEqual(bodies.hold(30, assert.fail), null);
  assert.deepEqual(dropped, ['a']);
  assert.equal(bodies.hold(80, assert.fail), null, 'the new one is young, the first one whole');
  assert.deepEqual(dropped, ['a', 'b', 'c']);
});

test('a group ends with the body that fills it: the next ones wait for the group after it, in order, and a log that closes takes them all', async (t) => {
  const orders = topicOf('orders', 'id: id\nfields: {id: text, note: text}');
  const to = collecting(t);
  const note = 'x'.repeat(100_000);
  const body = (name: string, count: number) => JSON.stringify(Array.from({ length: count }, (_, k) => ({ id: `${name}-${k}`, note })));
  const answered: string[] = [];
  const sent = ['a', 'b', 'c', 'd'].map((name) =>
    to.send(orders, body(name, 45)).then(({ error, taken }) => answered.push(`${name} ${error?.code ?? taken.accepted}`)),
  );
  const empty = to.send(orders, '  ').then(({ error }) => answered.push(`empty ${error?.code}`));
  await to.log.close();
  await Promise.all([...sent, empty]);
  assert.deepEqual(
    answered.filter((each) => !each.startsWith('empty')),
    ['a 45', 'b 45', 'c 45', 'd 45'],
  );
  assert.ok(answered.includes('empty BODY_EMPTY'), 'what is thrown while it waits is told');
  const groups: string[][] = [];
  for (let at = 0; at < to.log.durable()['orders']!; ) {
    const slice = readSlice(to.log.root, 'orders', at, to.log.durable()['orders']!, 1);
    groups.push(linesOf(slice!.lines).map(({ json }) => (JSON.parse(json) as { id: string }).id));
    at = slice!.to;
  }
  assert.deepEqual(
    groups,
    ['a', 'b', 'c', 'd'].map((name) => Array.from({ length: 45 }, (_, k) => `${name}-${k}`)),
  );
});
