import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Running, running, until } from '../server/fixture.ts';

const ENDLESS = 'SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3';

describe('who asked what, and what may be asked', () => {
  const clean: (() => unknown)[] = [];
  let server: Running;
  let viewer: string;
  before(async () => {
    server = await running(
      { after: (fn: unknown) => void clean.push(fn as () => unknown) },
      {
        settings: 'roles:\n  viewer: {seconds: 1, rows: 100, concurrency: 2}\n',
        topics: { orders: 'id: id\nfields: {id: text, n: integer}' },
      },
    );
    viewer = await server.token('viewer');
  });
  after(async () => {
    for (const fn of clean.reverse()) await fn();
  });

  /** Rows of the log, once there are some: it is written twice a second. */
  async function logged(sql: string): Promise<unknown[][]> {
    let rows: unknown[][] = [];
    await until(async () => {
      const answered = await server.ask(sql);
      // Its code, while the warehouse starts.
      if (typeof answered !== 'string') rows = answered;
      return rows.length > 0;
    });
    return rows;
  }

  test('a question stands in millrace.query_log with who asked it; one that was stopped with the reason, and that it began', async () => {
    assert.deepEqual(await server.ask('SELECT 41 + 1', { job: 'answered' }, viewer), [[42]]);
    assert.equal(await server.ask(ENDLESS, { job: 'stopped' }, viewer), 'QUERY_TIMEOUT');
    const [done] = await logged("SELECT event, role, sql, code FROM millrace.query_log WHERE job = 'answered' AND event = 'done'");
    assert.deepEqual(done, ['done', 'viewer', 'SELECT 41 + 1', null]);
    const [failed] = await logged(
      "SELECT code, reason, elapsed_ms >= 900 FROM millrace.query_log WHERE job = 'stopped' AND event = 'failed'",
    );
    assert.equal(failed![0], 'QUERY_TIMEOUT');
    assert.match(String(failed![1]), /longer than 1 s/);
    assert.equal(failed![2], true);
    assert.equal((await logged("SELECT event FROM millrace.query_log WHERE job = 'stopped' AND event = 'began'")).length, 1);
  });

  test('a question that went with the warehouse process is in the log after the restart', async () => {
    const asked = server.ask(ENDLESS, { job: 'went' });
    await logged("SELECT 1 FROM millrace.query_log WHERE job = 'went' AND event = 'began'");
    process.kill(warehousePid(), 'SIGKILL');
    assert.equal(await asked, 'STORE_UNAVAILABLE');
    await until(async () => (await server.call('GET', '/ready')).status === 200);
    const [lost] = await logged("SELECT code, sql, reason FROM millrace.query_log WHERE job = 'went' AND event = 'lost'");
    assert.deepEqual(lost!.slice(0, 2), ['STORE_UNAVAILABLE', ENDLESS]);
    assert.match(String(lost![2]), /crashed or was killed from outside while it ran \(SIGKILL\)/);
  });

  test('the log shows other people’s questions, so only an admin reads it, and no view hands it on', async () => {
    await server.ask('CREATE VIEW main.who AS SELECT who, sql FROM millrace.query_log');
    await server.ask('CREATE VIEW main.behind AS SELECT * FROM main.who');
    await server.ask('CREATE VIEW main.plain AS SELECT count(*) AS n FROM raw.orders');
    const editor = await server.token('editor');
    for (const sql of [
      'SELECT * FROM millrace.query_log',
      'SELECT * FROM MILLRACE."Query_Log"',
      'SELECT * FROM who',
      'SELECT * FROM main.behind',
      'WITH plain AS (SELECT * FROM behind) SELECT * FROM plain',
      'SELECT (SELECT count(*) FROM behind)',
      'SUMMARIZE behind',
      'EXPLAIN ANALYZE SELECT * FROM behind',
    ]) {
      for (const token of [viewer, editor]) assert.equal(await server.ask(sql, {}, token), 'SQL_TABLE', sql);
    }
    assert.equal(await server.ask('CREATE TABLE main.copied AS SELECT * FROM behind', {}, editor), 'SQL_TABLE');
    assert.notEqual(await server.ask('SELECT count(*) FROM main.behind'), 'SQL_TABLE');
    assert.deepEqual(await server.ask('SELECT * FROM main.plain', {}, viewer), [[0]]);
  });

  test('why a statement is refused is told by rule, place and what is allowed instead, and nothing is run', async () => {
    const explain = async (sql: string, token?: string) =>
      Object.fromEntries((await server.ask(sql, { explain_refusal: true }, token)) as [string, string][]);
    const file = await explain("SELECT 1,\n  * FROM read_csv('/etc/passwd')");
    assert.equal(file['code'], 'SQL_FUNCTION');
    assert.equal(file['place'], 'line 2, column 10');
    assert.equal(file['text'], "read_csv('/etc/passwd')");
    assert.equal((await explain('SELECT uper(1)'))['did you mean'], 'upper');
    assert.equal((await explain('SELECT * FROM raw.ordres'))['did you mean'], 'raw.orders');
    assert.equal((await explain('SELECT * FROM main.behind', viewer))['code'], 'SQL_TABLE');
    assert.equal((await explain('DROP TABLE raw.orders'))['code'], 'SQL_WRITE');
    assert.equal((await explain('CREATE TABLE main.never AS SELECT 1'))['verdict'], 'allowed');
    assert.equal(await server.ask('SELECT * FROM main.never'), 'SQL_TABLE', 'nothing was made');
    assert.equal(await server.ask('SELECT 1', { explain_refusal: 'yes' }), 'QUERY_BODY');
  });

  function warehousePid(): number {
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'latin1').match(/\d+/g) ?? [];
    const found = children.map(Number).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('warehouse'));
    assert.ok(found !== undefined);
    return found;
  }
});
