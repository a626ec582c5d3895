import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, type Transfer } from '#core';
import { emptyReport, type RunReport } from '#transfer';
import { parseTransfer } from '#workspace';
import { type Alert, openSchedule } from '../../src/platform/schedule.ts';
import { running, until } from '../server/fixture.ts';

const MINUTE = 60_000;
const at = (iso: string) => Date.parse(iso);

function definition(schedule: string): Transfer {
  return parseTransfer(
    'shop',
    `source: csv\nconnection: { path: a.csv }\ntables: { a: { target: shop.a } }\nschedule: ${schedule}\n`,
    'shop.yaml',
  );
}

function clockwork(transfer: Transfer, zone = 'UTC') {
  const begun: number[] = [];
  const brings: (readonly string[] | undefined)[] = [];
  let current = transfer;
  let stops = 0;
  const alerts: [string, Alert['event'], string | null][] = [];
  let now = 0;
  let busy = false;
  const schedule = openSchedule({
    transfers: () => [current],
    timeZone: () => zone,
    start(_, files) {
      if (busy) throw new MillraceError('TRANSFER_BUSY', { transfer: 'shop' });
      begun.push(now);
      brings.push(files);
      return 'r';
    },
    stop() {
      stops++;
      return busy;
    },
    alert: (topic, { event, code }) => alerts.push([topic, event, code]),
    log() {},
  });
  return {
    begun: () => begun.splice(0).map((time) => new Date(time).toISOString().slice(0, 19)),
    /** The files that the runs since the last question were begun with. */
    brings: () => brings.splice(0),
    came: (files: string[], problem: string | null = null) => schedule.came('shop', { files, problem }),
    next: () => schedule.next('shop'),
    alerts,
    stops: () => stops,
    define(changed: Transfer) {
      current = changed;
    },
    hold: (held: boolean) => {
      busy = held;
    },
    /** Ticks every ten seconds up to then. */
    until(to: number, from = now) {
      for (now = from; now <= to; now += 10_000) schedule.tick(now);
      now = to;
    },
    halt: (run: string | null) => schedule.halt('shop', run),
    ended(error: MillraceError | null, tables: RunReport['tables'] = []) {
      const report: RunReport = {
        run: 'r',
        transfer: 'shop',
        began: '',
        ended: new Date(now).toISOString(),
        outcome: error === null ? 'done' : 'failed',
        tables,
        error: error?.body ?? null,
      };
      schedule.ended(report, now);
    },
  };
}

test('a schedule is kept in its time zone, over the change to summer time', () => {
  const clock = clockwork(definition("{ cron: '30 6 * * *', time_zone: America/New_York }"));
  clock.until(at('2026-03-09T12:00:00Z'), at('2026-03-07T00:00:00Z'));
  // 06:30 in New York is 11:30 in UTC until March 8th 2026, when it becomes 10:30.
  assert.deepEqual(clock.begun(), ['2026-03-07T11:30:00', '2026-03-08T10:30:00', '2026-03-09T10:30:00']);
});

test('a time that passed while Millrace slept counts once, and one that falls into a run is left out', () => {
  const clock = clockwork(definition("{ cron: '0 * * * *' }"));
  clock.until(at('2026-01-01T00:30:00Z'), at('2026-01-01T00:01:00Z'));
  clock.until(at('2026-01-01T09:40:00Z'), at('2026-01-01T09:40:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T09:40:00']);
  clock.hold(true);
  clock.until(at('2026-01-01T10:30:00Z'));
  clock.hold(false);
  clock.until(at('2026-01-01T11:30:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T11:00:00']);
});

test('only an error that may pass is tried again, with growing waits, and its topic hears of the end alone', () => {
  const clock = clockwork(definition("{ cron: '0 0 * * *', retries: 2, alerts: alarms }"));
  clock.until(at('2026-01-02T00:00:00Z'), at('2026-01-01T12:00:00Z'));
  assert.equal(clock.begun().length, 1);
  clock.ended(new MillraceError('TRANSFER_CONNECT', { source: 'x', problem: 'y' }));
  clock.until(at('2026-01-02T00:01:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-02T00:00:30']);
  clock.ended(new MillraceError('TRANSFER_CONNECT', { source: 'x', problem: 'y' }));
  clock.until(at('2026-01-02T00:10:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-02T00:02:00']);
  assert.deepEqual(clock.alerts, []);
  clock.ended(new MillraceError('TRANSFER_CONNECT', { source: 'x', problem: 'y' }));
  clock.until(at('2026-01-02T10:00:00Z'));
  assert.deepEqual(clock.begun(), []);
  assert.deepEqual(clock.alerts, [['alarms', 'failed', 'TRANSFER_CONNECT']]);
  clock.until(at('2026-01-03T00:00:00Z'));
  clock.ended(new MillraceError('TRANSFER_DENIED', { source: 'x', problem: 'y' }));
  clock.until(at('2026-01-03T00:00:00Z') + 30 * MINUTE);
  assert.deepEqual(clock.begun(), ['2026-01-03T00:00:00']);
  assert.equal(clock.alerts.length, 1);
  clock.until(at('2026-01-04T00:00:00Z'));
  clock.ended(null);
  assert.deepEqual(clock.alerts.at(-1), ['alarms', 'recovered', null]);
});

test('one that somebody stopped is not tried again before it is due, and neither is one that waited to be', () => {
  const clock = clockwork(definition("{ cron: '0 0 * * *', retries: 3, alerts: alarms }"));
  const ended = new MillraceError('TRANSFER_ENDED', { transfer: 'shop', problem: 'it was stopped' });
  clock.until(at('2026-01-02T00:00:00Z'), at('2026-01-01T12:00:00Z'));
  clock.begun();
  clock.halt('r');
  clock.ended(ended);
  clock.until(at('2026-01-02T12:00:00Z'));
  assert.deepEqual(clock.begun(), []);
  clock.until(at('2026-01-03T00:00:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-03T00:00:00']);
  // A process that was killed by something else is begun again.
  clock.ended(ended);
  clock.until(at('2026-01-03T00:01:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-03T00:00:30']);
  clock.ended(ended);
  clock.halt(null);
  clock.until(at('2026-01-03T12:00:00Z'));
  assert.deepEqual([clock.begun(), clock.alerts], [[], []]);
});

test('what follows a log and was stopped in its first copy stays ended', () => {
  const clock = clockwork(following());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.begun();
  clock.halt('r');
  clock.ended(new MillraceError('TRANSFER_ENDED', { transfer: 'shop', problem: 'it was stopped' }));
  clock.until(at('2026-01-01T12:00:00Z'));
  assert.deepEqual(clock.begun(), []);
});

test('a run that is whole while both sides differ is told once, and once more when they are the same again', () => {
  const clock = clockwork(definition("{ cron: '0 0 * * *', alerts: alarms }"));
  const parity = (equal: boolean) => ({
    ...emptyReport({ source: 'a', target: 'shop.a', mode: 'full' }),
    parity: { equal, source: { rows: 3, sum: '1' }, warehouse: { rows: 2, sum: '2' }, after: null, up_to: null, differences: [] },
  });
  clock.until(at('2026-01-02T00:00:00Z'), at('2026-01-01T12:00:00Z'));
  for (const equal of [true, false, false, true, true]) clock.ended(null, [parity(true), parity(equal)]);
  assert.deepEqual(clock.alerts, [
    ['alarms', 'different', null],
    ['alarms', 'recovered', null],
  ]);
});

function following(schedule = ''): Transfer {
  const text = `source: postgres\nconnection: { user: u }\ntables: { a: { target: shop.a, mode: cdc } }\n${schedule}`;
  return parseTransfer('shop', text, 'shop.yaml');
}

const lost = () => new MillraceError('TRANSFER_CONNECT', { source: 'x', problem: 'y' });

test('what follows a log begins at once, and again with growing breaks while its error may pass; its topic hears of a long one and of the end', () => {
  const clock = clockwork(following('schedule: { retries: 2, alerts: alarms }\n'));
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T00:00:00']);
  for (const [k, wanted] of ['00:00:10', '00:00:20', '00:00:30'].entries()) {
    clock.ended(lost());
    assert.equal(clock.alerts.length, k < 2 ? 0 : 1);
    clock.until(at('2026-01-01T00:00:00Z') + (k + 1) * 10_000);
    assert.deepEqual(clock.begun(), [`2026-01-01T${wanted}`]);
  }
  clock.until(at('2026-01-01T00:01:40Z'));
  assert.deepEqual(clock.alerts, [
    ['alarms', 'failed', 'TRANSFER_CONNECT'],
    ['alarms', 'recovered', null],
  ]);
  clock.ended(lost());
  clock.until(at('2026-01-01T00:01:50Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T00:01:50'], 'a run that was well counts as none that failed');
});

test('what follows a log stays ended when somebody stopped it or its error will not pass, until its definition changes', () => {
  for (const error of [null, new MillraceError('TRANSFER_GAP', { source: 'x', position: 'y', problem: 'z' })]) {
    const clock = clockwork(following('schedule: { alerts: alarms }\n'));
    clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
    clock.ended(error);
    clock.until(at('2026-01-01T12:00:00Z'));
    assert.equal(clock.begun().length, 1);
    assert.equal(clock.alerts.length, error === null ? 0 : 1);
    clock.define(following('schedule: { alerts: alarms, retries: 5 }\n'));
    clock.until(at('2026-01-01T12:01:00Z'));
    assert.equal(clock.begun().length, 1);
  }
});

test('what follows a log begins as soon as a comparison that was asked for before it is over', () => {
  const clock = clockwork(following());
  clock.hold(true);
  clock.until(at('2026-01-01T00:01:00Z'), at('2026-01-01T00:00:00Z'));
  assert.deepEqual(clock.begun(), []);
  clock.hold(false);
  clock.until(at('2026-01-01T00:02:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T00:01:10']);
});

test('a changed definition ends the run that follows the former one, and then begins; one that says so is left alone', () => {
  const clock = clockwork(following());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.begun();
  clock.hold(true);
  clock.define(following('schedule: { retries: 5 }\n'));
  clock.until(at('2026-01-01T00:01:00Z'));
  assert.deepEqual([clock.stops(), clock.begun()], [1, []]);
  clock.hold(false);
  clock.ended(null);
  clock.until(at('2026-01-01T00:02:00Z'));
  assert.deepEqual(clock.begun(), ['2026-01-01T00:01:00']);
  clock.define(following('schedule: { follow: false }\n'));
  clock.until(at('2026-01-01T00:03:00Z'));
  clock.ended(null);
  clock.until(at('2026-01-01T01:00:00Z'));
  assert.deepEqual([clock.stops(), clock.begun()], [2, []]);
});

function watched(schedule = '{ watch: true, retries: 1, alerts: alarms }'): Transfer {
  const text = `source: folder\nconnection: { path: in }\ntables: { files: { target: shop.a, mode: append } }\nschedule: ${schedule}\n`;
  return parseTransfer('shop', text, 'shop.yaml');
}

const broken = () => new MillraceError('TRANSFER_FILE', { file: 'b.csv', format: 'csv', problem: 'x' });

test('a folder that is watched is loaded when files have come, each run with those that none has brought', () => {
  const clock = clockwork(watched());
  clock.until(at('2026-01-01T01:00:00Z'), at('2026-01-01T00:00:00Z'));
  assert.deepEqual(clock.begun(), []);
  clock.came(['a.csv', 'b.csv']);
  clock.until(at('2026-01-01T01:00:10Z'));
  clock.came(['c.csv']);
  clock.ended(null);
  clock.until(at('2026-01-01T01:00:30Z'));
  assert.deepEqual(clock.brings(), [['a.csv', 'b.csv'], ['c.csv']]);
  clock.ended(null);
  clock.came([]);
  clock.until(at('2026-01-01T05:00:00Z'));
  assert.deepEqual(clock.brings(), [], 'a file that is taken away is nothing to do');
  assert.deepEqual(clock.alerts, []);
});

test('a file that comes during a comparison is loaded when that is over', () => {
  const clock = clockwork(watched());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.hold(true);
  clock.came(['a.csv']);
  clock.until(at('2026-01-01T00:01:00Z'));
  clock.hold(false);
  clock.until(at('2026-01-01T00:02:00Z'));
  assert.deepEqual([clock.brings(), clock.begun()], [[['a.csv']], ['2026-01-01T00:01:00']]);
});

test('a file that fails for good is tried again when something changes in its folder, and its topic hears of it once', () => {
  const clock = clockwork(watched());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.came(['a.csv', 'b.csv']);
  clock.until(at('2026-01-01T00:00:10Z'));
  clock.ended(broken());
  clock.until(at('2026-01-02T00:00:00Z'));
  assert.deepEqual(clock.brings(), [['a.csv', 'b.csv']]);
  clock.came(['c.csv']);
  clock.until(at('2026-01-02T00:00:10Z'));
  clock.ended(broken());
  assert.deepEqual(clock.brings().flat().sort(), ['a.csv', 'b.csv', 'c.csv']);
  assert.deepEqual(clock.alerts, [['alarms', 'failed', 'TRANSFER_FILE']]);
  clock.came([]);
  clock.until(at('2026-01-02T00:00:20Z'));
  clock.ended(null);
  assert.equal(clock.brings().length, 1, 'it may have been taken away');
  assert.deepEqual(clock.alerts.at(-1), ['alarms', 'recovered', null]);
  clock.until(at('2026-01-03T00:00:00Z'));
  assert.deepEqual(clock.brings(), []);
});

test('an error that may pass is waited for, however much comes meanwhile, and its topic hears of it after the retries', () => {
  const clock = clockwork(watched());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.came(['a.csv']);
  clock.until(at('2026-01-01T00:00:10Z'));
  assert.equal(clock.begun().length, 1);
  for (const [k, wanted] of ['00:00:40', '00:01:40', '00:03:40', '00:07:40', '00:12:40', '00:17:40'].entries()) {
    clock.ended(lost());
    assert.equal(clock.alerts.length, k < 1 ? 0 : 1);
    assert.equal(new Date(clock.next()!).toISOString(), `2026-01-01T${wanted}.000Z`);
    clock.came([`${k}.csv`]);
    clock.until(at(`2026-01-01T${wanted}Z`));
    assert.deepEqual(clock.begun(), [`2026-01-01T${wanted}`]);
  }
  assert.deepEqual(clock.brings().at(-1)!.length, 7, 'and everything that came is brought');
});

test('a folder that is watched and whose run was stopped waits until something changes in it; a changed definition begins anew', () => {
  const clock = clockwork(watched());
  clock.until(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'));
  clock.came(['a.csv']);
  clock.until(at('2026-01-01T00:00:10Z'));
  clock.came(['b.csv']);
  clock.halt('r');
  clock.ended(new MillraceError('TRANSFER_ENDED', { transfer: 'shop', problem: 'it was stopped' }));
  clock.until(at('2026-01-01T12:00:00Z'));
  assert.deepEqual(clock.brings(), [['a.csv']]);
  clock.came(['c.csv']);
  clock.until(at('2026-01-01T12:00:10Z'));
  assert.deepEqual(clock.brings().flat().sort(), ['a.csv', 'b.csv', 'c.csv']);
  clock.ended(null);
  clock.define(watched('{ watch: true, retries: 5 }'));
  clock.until(at('2026-01-01T12:01:00Z'));
  clock.came(['a.csv']);
  clock.until(at('2026-01-01T12:02:00Z'));
  assert.deepEqual(clock.brings(), [['a.csv']]);
  clock.define(watched('{ watch: false }'));
  clock.until(at('2026-01-01T12:03:00Z'));
  clock.came(['d.csv']);
  clock.until(at('2026-01-01T13:00:00Z'));
  assert.deepEqual(clock.brings(), []);
});

for (const [what, source, schedule, says] of [
  ['a source that is no folder', 'csv', '{ watch: true }', /line 4.*"schedule\.watch".*folder, store_reports/],
  ['an object’s own word as its source', 'constructor', '{ watch: true }', /"schedule\.watch"/],
  ['a cron beside it', 'folder', "{ watch: true, cron: '0 1 * * *' }", /line 4.*"schedule\.cron"/],
  ['a zone beside it', 'store_reports', '{ watch: true, time_zone: UTC }', /"schedule\.time_zone"/],
  ['neither yes nor no', 'folder', '{ watch: 10s }', /"schedule\.watch"/],
] as const) {
  test(`"watch" with ${what} is refused, with its place`, () => {
    const text = `source: ${source}\nconnection: { path: in }\ntables: { files: { target: shop.a, mode: append } }\nschedule: ${schedule}\n`;
    assert.throws(
      () => parseTransfer('shop', text, 'shop.yaml'),
      (error: MillraceError) => error.code === 'DEFINITION_INVALID' && says.test(`line ${error.params['line']} ${error.message}`),
    );
  });
}

for (const [what, schedule, says] of [
  ['a cron that is none', "{ cron: 'every day' }", /schedule.cron/],
  ['an hour that is none', "{ cron: '0 25 * * *' }", /schedule.cron/],
  ['a zone that is none', "{ cron: '0 1 * * *', time_zone: Mars }", /IANA/],
  ['no cron', '{ retries: 1 }', /cron/],
] as const) {
  test(`a schedule with ${what} is refused`, () => {
    assert.throws(
      () => definition(schedule),
      (error: MillraceError) => error.code === 'DEFINITION_INVALID' && says.test(error.message),
    );
  });
}

test('a running Millrace tells the topic of a transfer that fails', async (t) => {
  const server = await running(t, { topics: { alarms: 'title: Alarms\n' } });
  mkdirSync(join(server.path, 'transfers'), { recursive: true });
  const yaml =
    'source: csv\nconnection: { path: none.csv }\ntables: { none: { target: shop.x } }\nschedule: { cron: "0 0 1 1 *", alerts: alarms }\n';
  writeFileSync(join(server.path, 'transfers', 'broken.yaml'), yaml);
  await until(async () => (await server.call('GET', '/v1/transfers/broken')).status === 200);
  // The schedule looks every second.
  await sleep(1_500);
  await server.call('POST', '/v1/transfers/broken/run', { body: {} });
  await until(async () => {
    const rows = await server.ask(`SELECT data->>'event', data->>'code', data->>'transfer' FROM raw.alarms`);
    return JSON.stringify(rows) === '[["failed","TRANSFER_FILE","broken"]]';
  });
});
