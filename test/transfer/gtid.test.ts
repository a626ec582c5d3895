/**
 * Names of transactions. MySQL can't be installed here: its bytes are written from its own description (dev.mysql.com: "Gtid_log_event",
 * "Gtid_set::encode", "COM_BINLOG_DUMP_GTID"), MariaDB's come from the server itself in cdc-failover.test.ts.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dumpRequest, gtidDumpRequest } from '../../src/transfer/binlog/feed.ts';
import { encodeGtids, gtidOf, gtidsBefore, isWithin, plus } from '../../src/transfer/binlog/gtid.ts';
import { isBefore, isPosition, placeOf, positionOf } from '../../src/transfer/binlog/place.ts';
import { LogReader } from '../../src/transfer/binlog/reader.ts';
import type { FeedEvent } from '../../src/transfer/cdc/feed.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '00000000-0000-0000-0000-0000000000ff';
const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** An event with its header: time, type, server, size, end, flags. */
function event(type: number, body: Buffer, end = 0, server = 7): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt32LE(1_700_000_000, 0);
  header[4] = type;
  header.writeUInt32LE(server, 5);
  header.writeUInt32LE(19 + body.length, 9);
  header.writeUInt32LE(end, 13);
  return Buffer.concat([header, body]);
}

describe('a set of transactions', () => {
  test('of MariaDB has the last one of each domain', () => {
    assert.equal(plus('', '0-1-55'), '0-1-55');
    assert.equal(plus('0-1-55,1-1-3', '0-2-56'), '1-1-3,0-2-56');
    assert.equal(plus('10-1-1', '0-1-1'), '10-1-1,0-1-1');
    assert.equal(isWithin('0-1-55', '0-2-56'), true);
    assert.equal(isWithin('0-1-57', '0-2-56'), false);
    assert.equal(isWithin('1-1-1', '0-2-56'), false);
    assert.equal(isWithin('0-1-18446744073709551615', '0-2-18446744073709551614'), false);
  });

  test('of MySQL has intervals, which are joined where they touch', () => {
    assert.equal(plus(`${A}:1-5`, `${A}:6`), `${A}:1-6`);
    assert.equal(plus(`${A}:1-5`, `${A}:7`), `${A}:1-5:7`);
    assert.equal(plus(`${A}:1-5:7`, `${A}:6`), `${A}:1-7`);
    assert.equal(plus(`${A}:1-5`, `${B}:1`), `${A}:1-5,${B}:1`);
    assert.equal(plus('', `${B}:1`), `${B}:1`);
    assert.equal(isWithin(`${A}:2-4`, `${A.toUpperCase()}:1-5,${B}:9`), true);
    assert.equal(isWithin(`${A}:2-6`, `${A}:1-5:7-9`), false);
    assert.equal(isWithin(`${A}:1,${B}:1`, `${A}:1-5`), false);
  });
});

describe('MySQL’s bytes', () => {
  // Two servers: of the first 1 to 5 and 7, of the second 9. Ends are the first number that is no longer in it.
  const set = bytes(`
    0200000000000000
    3e11fa4771ca11e19e33c80aa9429562 0200000000000000 0100000000000000 0600000000000000 0700000000000000 0800000000000000
    000000000000000000000000000000ff 0100000000000000 0900000000000000 0a00000000000000`);

  test('a set is written and read as the server does', () => {
    assert.deepEqual(encodeGtids(`${A}:1-5:7,${B}:9`), set);
    assert.equal(gtidsBefore(35, event(35, set)), `${A}:1-5:7,${B}:9`);
    assert.equal(gtidsBefore(35, event(35, bytes('0000000000000000'))), '');
  });

  test('a set with tags is not taken for one without', () => {
    assert.equal(gtidsBefore(35, event(35, bytes('0101000000000001'))), null);
  });

  test('a transaction’s name is read from its event', () => {
    const named = event(33, bytes('00 3e11fa4771ca11e19e33c80aa9429562 2a00000000000000 02 0000000000000000 0100000000000000'));
    assert.deepEqual(gtidOf(33, named), { name: `${A}:42`, standalone: null });
    assert.deepEqual(gtidOf(34, event(34, Buffer.alloc(42))), { name: null, standalone: null });
    assert.equal(gtidOf(2, named), null);
  });

  test('the log is asked for by a file’s place, or by all transactions that are here', () => {
    assert.deepEqual(dumpRequest('log.000001', 4, 9), bytes('15000000 12 04000000 0000 09000000 6c6f672e303030303031'));
    // The command, flags, who asks, no file, its first event, how long the set is.
    const asked = bytes('47000000 1e 0400 09000000 00000000 0400000000000000 30000000');
    const only = bytes('0100000000000000 000000000000000000000000000000ff 0100000000000000 0900000000000000 0a00000000000000');
    assert.deepEqual(gtidDumpRequest(`${B}:9`, 9), Buffer.concat([asked, only]));
  });
});

describe('a position', () => {
  const here = 'log.000003:1234@uid+/=#0-1-55,1-1-3';

  test('is text of four parts, of which the first version had two', () => {
    assert.deepEqual(placeOf(here), { file: 'log.000003', offset: 1234, server: 'uid+/=', gtids: '0-1-55,1-1-3' });
    assert.deepEqual(placeOf('log.000003:4'), { file: 'log.000003', offset: 4, server: null, gtids: null });
    assert.deepEqual(placeOf('log.000003:4@1#'), { file: 'log.000003', offset: 4, server: '1', gtids: '' });
    for (const text of [here, 'log.000003:4', 'log.000003:4@1', 'log.000003:4@1#', `a.b-bin.1000000:4@${A}#${A}:1-5:7,${B}:9`]) {
      assert.equal(isPosition(text), true);
      assert.equal(positionOf(placeOf(text)), text);
    }
    for (const text of ['2026-01-01 00:00:00', '17', '0/16B3748', 'etag "log.000003:4"x']) assert.equal(isPosition(text), false);
  });

  test('is told by file and offset on one server, by names between two, and by nothing where there are none', () => {
    assert.equal(isBefore('log.000002:900@s#0-1-9', 'log.000010:4@s#0-1-3'), true);
    assert.equal(isBefore('log.000002:900@s', 'log.000002:900@s'), false);
    assert.equal(isBefore('log.000002:900@s#0-2-9', 'log.000010:4@t#0-1-8'), false);
    assert.equal(isBefore('log.000022:900@s#0-2-8', 'log.000010:4@t#0-1-8'), true);
    assert.equal(isBefore('log.000002:900@s', 'log.000010:4@t#0-1-8'), false);
    assert.equal(isBefore('log.000002:900@s#', 'log.000010:4@t#0-1-8'), false);
  });

  test('of the first version is older than any of this one, and on its server', () => {
    assert.equal(isBefore('log.000009:900', 'log.000001:4@s#0-1-1'), true);
    assert.equal(isBefore('log.000001:900@s#0-1-1', 'log.000001:901'), true);
    assert.equal(isBefore('log.000001:902@s#0-1-1', 'log.000001:901'), false);
  });
});

describe('MySQL’s log', () => {
  const query = (database: string, sql: string) => {
    const fixed = Buffer.alloc(13);
    fixed[8] = database.length;
    return Buffer.concat([fixed, Buffer.from(`${database}\0${sql}`)]);
  };
  const named = (gno: number) => {
    const body = Buffer.alloc(25);
    Buffer.from(A.replaceAll('-', ''), 'hex').copy(body, 1);
    body.writeBigUInt64LE(BigInt(gno), 17);
    return body;
  };
  const rotated = (file: string) => event(4, Buffer.concat([bytes('0400000000000000'), Buffer.from(file)]));
  const xid = Buffer.alloc(8);
  const log = (gtids: string | null, events: readonly Buffer[]): FeedEvent[] => {
    const from = { file: '', offset: 4, server: A, gtids };
    const reader = new LogReader({
      database: 'shop',
      tables: [],
      learn: async () => null,
      from,
      foldsCase: false,
    });
    const out: FeedEvent[] = [];
    for (const each of events) reader.take(each, out);
    return out;
  };
  const positions = (events: readonly FeedEvent[]) => events.map((each) => `${each.kind} ${'position' in each ? each.position : ''}`);

  test('is followed by name, over transactions that are left out and into a new file', () => {
    const found = log(`${A}:1-5`, [
      rotated('log.000002'),
      event(33, named(6), 400),
      event(2, query('shop', 'BEGIN'), 500),
      event(16, xid, 527),
      rotated('log.000003'),
      event(35, bytes('0000000000000000'), 100),
      event(33, named(7), 200),
      event(2, query('shop', 'CREATE TABLE t (i int)'), 300),
    ]);
    assert.deepEqual(positions(found), [
      `begin log.000002:356@${A}#${A}:6`,
      `commit log.000002:527@${A}#${A}:1-6`,
      `begin log.000003:156@${A}#${A}:7`,
      `commit log.000003:300@${A}#${A}:1-7`,
    ]);
  });

  test('whose names are not known yet tells them with its next file, and loses them with a transaction that has none', () => {
    const found = log(null, [
      rotated('log.000002'),
      event(33, named(6), 400),
      event(16, xid, 427),
      event(35, encodeGtids(`${A}:1-6`), 100),
      event(33, named(7), 200),
      event(16, xid, 227),
      event(34, Buffer.alloc(25), 300),
      event(16, xid, 327),
    ]);
    assert.deepEqual(positions(found), [
      `begin log.000002:356@${A}#${A}:6`,
      `commit log.000002:427@${A}`,
      `begin log.000002:156@${A}#${A}:7`,
      `commit log.000002:227@${A}#${A}:1-7`,
      `begin log.000002:256@${A}`,
      `commit log.000002:327@${A}`,
    ]);
  });

  test('has the rows of CREATE TABLE … SELECT in the transaction of the table', () => {
    const found = log(`${A}:1-5`, [
      rotated('log.000002'),
      event(33, named(6), 400),
      event(2, query('shop', 'CREATE TABLE t (i int) START TRANSACTION'), 500),
      event(16, xid, 527),
    ]);
    assert.deepEqual(positions(found), [`begin log.000002:356@${A}#${A}:6`, `commit log.000002:527@${A}#${A}:1-6`]);
  });

  test('has a prepared transaction as one, and its commit as another', () => {
    const found = log(`${A}:1-5`, [
      rotated('log.000002'),
      event(33, named(6), 400),
      event(2, query('shop', `XA START X'61',X'',1`), 500),
      event(2, query('shop', `XA END X'61',X'',1`), 600),
      event(38, Buffer.alloc(14), 650),
      event(33, named(7), 700),
      event(2, query('shop', `XA COMMIT X'61',X'',1`), 800),
    ]);
    assert.deepEqual(
      positions(found).map((each) => each.replaceAll(A, 'A')),
      ['begin log.000002:356@A#A:6', 'commit log.000002:650@A#A:1-6', 'begin log.000002:656@A#A:7', 'commit log.000002:800@A#A:1-7'],
    );
  });
});
