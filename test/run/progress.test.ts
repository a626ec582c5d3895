import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { progress } from '#run';

function recorder(terminal: boolean, columns = 200) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  let now = 0;
  return {
    written,
    options: { stream: Object.assign(stream, { isTTY: terminal, columns }), clock: () => now },
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('progress', () => {
  test('a terminal sees share, rate and time left in one line that is redrawn', () => {
    const { written, options, pass } = recorder(true);
    const bar = progress('load', 1000, options);
    pass(2000);
    bar.update(500, 'orders.csv');
    assert.equal(written.length, 1);
    assert.match(written[0]!, /^\r\x1b\[2Kload \[█{12}░{12}\] 50 % 500\/1,000 250\/s 2\.0 s left · orders\.csv$/);
    bar.end();
    assert.match(written[1]!, /load 500 250\/s 2\.0 s\n$/);
  });

  test('a terminal that does not know its width is taken for one of 80 columns', () => {
    const { written, options, pass } = recorder(true, 0);
    const bar = progress('load', 1000, options);
    pass(2000);
    bar.update(500, 'orders.csv'.repeat(20));
    assert.equal(written[0]!.replace('\r\x1b[2K', '').length, 79);
  });

  test('a terminal is drawn at most ten times a second', () => {
    const { written, options, pass } = recorder(true);
    const bar = progress('load', 1000, options);
    for (let at = 1; at <= 1000; at++) {
      pass(1);
      bar.update(at);
    }
    assert.equal(written.length, 10);
  });

  test('a line is never longer than the terminal, since a wrapped one can not be redrawn', () => {
    const { written, options, pass } = recorder(true, 20);
    const bar = progress('a long label of a long job', 10, options);
    pass(1000);
    bar.update(5);
    assert.ok(written[0]!.replace(/^\r\x1b\[2K/, '').length < 20);
  });

  test('a log sees a plain line every five seconds and one at the end', () => {
    const { written, options, pass } = recorder(false);
    const bar = progress('load', null, options);
    for (let at = 1; at <= 120; at++) {
      pass(100);
      bar.update(at);
    }
    bar.end('done');
    assert.deepEqual(written, ['load 50 10/s 5.0 s\n', 'load 100 10/s 10 s\n', 'load 120 10/s 12 s · done\n']);
  });

  test('nothing is written after the end', () => {
    const { written, options, pass } = recorder(false);
    const bar = progress('load', 5, options);
    bar.end();
    pass(60_000);
    bar.update(5);
    bar.end();
    assert.equal(written.length, 1);
  });

  test('a job of nothing is whole, not a division by zero', () => {
    const { written, options, pass } = recorder(true);
    const bar = progress('load', 0, options);
    pass(1000);
    bar.update(0);
    assert.match(written[0]!, /100 %/);
  });
});
