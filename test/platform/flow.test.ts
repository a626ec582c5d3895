import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newFlow } from '#platform';

describe('how far records have come', () => {
  test('the lag is the age of the oldest record that is durable and not delivered', () => {
    const flow = newFlow();
    flow.durable('a', 100, 1_000);
    flow.durable('a', 200, 5_000);
    assert.equal(flow.lag('a', 6_000), 5_000);
    flow.delivered('a', 100);
    assert.equal(flow.lag('a', 6_000), 1_000);
    flow.delivered('a', 150);
    assert.equal(flow.lag('a', 6_000), 1_000, 'a part of a mark is not all of it');
    flow.delivered('a', 200);
    assert.equal(flow.lag('a', 9_000), 0);
    assert.equal(flow.lag('never heard of', 9_000), 0);
  });

  test('neither watermark ever goes back', () => {
    const flow = newFlow();
    flow.durable('a', 200, 1);
    flow.durable('a', 100, 2);
    flow.delivered('a', 200);
    flow.delivered('a', 50);
    assert.deepEqual(flow.topics(), { a: { durable: 200, delivered: 200 } });
  });

  test('while delivery stands still, the oldest record still counts, however many follow', () => {
    const flow = newFlow();
    for (let k = 1; k <= 5_000; k++) flow.durable('a', k, k);
    assert.equal(flow.lag('a', 10_000), 9_999);
  });

  test('what was delivered before the process began has no age', () => {
    const flow = newFlow();
    flow.delivered('a', 500);
    flow.durable('a', 500, 1);
    assert.equal(flow.lag('a', 10), 0);
  });
});
