import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Running, running, until } from './fixture.ts';

const SLOW = 'SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3';

/** One of everything that is easily lost on the way. */
const EVERYTHING = `SELECT 9223372036854775807::BIGINT AS big, 170141183460469231731687303715884105727::HUGEINT AS huge,
  123456789012345678.123456789012345678::DECIMAL(38,18) AS exact, 0.1::DOUBLE AS x, -0.0::DOUBLE AS minus, 'nan'::DOUBLE AS nan, NULL::INTEGER AS nothing, '' AS empty,
  '밀레 "인용", 👍' || chr(10) || ' 끝 ' AS t, true AS b, DATE '2026-02-28' AS d, TIMESTAMPTZ '2026-03-01 09:00:00.123456+09' AS moment,
  [1, NULL, 3] AS l, {'a': 1.50::DECIMAL(9,2), '한': [TIMESTAMPTZ '2026-03-01 00:00:00+00']} AS s, MAP {'k': 'v'} AS m, '{"n":1.10}'::JSON AS j`;

describe('questions over HTTP', () => {
  const clean: (() => unknown)[] = [];
  let server: Running;
  before(async () => {
    server = await running(
      { after: (fn: unknown) => void clean.push(fn as () => unknown) },
      {
        settings: 'roles:\n  viewer: {seconds: 1, rows: 100, concurrency: 1}\n',
        topics: { orders: 'id: id\nfields: {id: text, n: integer}', others: 'id: id\nfields: {id: text, n: integer}' },
      },
    );
  });
  after(async () => {
    for (const fn of clean.reverse()) await fn();
  });
  const query = (sql: string, more: Record<string, unknown> = {}, token?: string) =>
    server.call('POST', '/v1/query', { body: { sql, ...more }, ...(token === undefined ? {} : { token }) });

  test('json keeps every digit, NULL, nesting, Korean and instants', async () => {
    const reply = await query(EVERYTHING);
    assert.equal(reply.status, 200);
    const row = /"rows":\[(\[.*\])\],"row_count":1/s.exec(reply.text)![1]!;
    assert.equal(
      row,
      '[9223372036854775807,170141183460469231731687303715884105727,123456789012345678.123456789012345678,0.1,-0,"NaN",null,"","밀레 \\"인용\\", 👍\\n 끝 ",true,"2026-02-28","2026-03-01T00:00:00.123456Z",[1,null,3],{"a":1.50,"한":["2026-03-01T00:00:00Z"]},{"k":"v"},{"n":1.10}]',
    );
    const {
      columns,
      row_count: count,
      truncated,
    } = reply.json as { columns: { name: string; type: string }[]; row_count: number; truncated: boolean };
    assert.deepEqual([count, truncated], [1, false]);
    assert.deepEqual(columns.slice(0, 3), [
      { name: 'big', type: 'BIGINT' },
      { name: 'huge', type: 'HUGEINT' },
      { name: 'exact', type: 'DECIMAL(38,18)' },
    ]);
    assert.equal(columns.at(-1)!.type, 'JSON');
  });

  test('ndjson has the same cells by name', async () => {
    const reply = await query(`SELECT big, exact, nothing, t FROM (${EVERYTHING}) UNION ALL SELECT 1, 1, 2, 'x'`, { format: 'ndjson' });
    assert.equal(reply.headers.get('content-type'), 'application/x-ndjson');
    assert.equal(
      reply.text.split('\n')[0],
      '{"big":9223372036854775807,"exact":123456789012345678.123456789012345678,"nothing":null,"t":"밀레 \\"인용\\", 👍\\n 끝 "}',
    );
    assert.equal(reply.text.trim().split('\n').length, 2);
  });

  test('csv tells NULL from an empty text, and quotes as RFC 4180 says', async () => {
    const reply = await query(`SELECT big, exact, nothing, empty, t, l, s AS "a ""name""" FROM (${EVERYTHING})`, { format: 'csv' });
    assert.equal(
      reply.text,
      'big,exact,nothing,empty,t,l,"a ""name"""\r\n9223372036854775807,123456789012345678.123456789012345678,,"","밀레 ""인용"", 👍\n 끝 ","[1,null,3]","{""a"":1.50,""한"":[""2026-03-01T00:00:00Z""]}"\r\n',
    );
  });

  test('parquet is read back by another DuckDB, equal in every value and type', async () => {
    const types = 'SELECT big, exact, x, nothing, empty, t, b, d, moment, l, s FROM';
    const reply = await fetch(`${server.started.address}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.started.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ sql: `${types} (${EVERYTHING})`, format: 'parquet' }),
    });
    assert.equal(reply.status, 200, reply.status === 200 ? '' : await reply.text());
    const file = join(server.path, 'answer.parquet');
    writeFileSync(file, Buffer.from(await reply.arrayBuffer()));
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
    assert.deepEqual(await rows(`SELECT * FROM '${file}'`), await rows(`${types} (${EVERYTHING})`));
    assert.deepEqual(
      await rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${file}')`),
      await rows(`SELECT column_name, column_type FROM (DESCRIBE ${types} (${EVERYTHING}))`),
    );
    const long = 'SELECT sum(9007199254740993) AS total, 1 AS one, sum($1) AS given FROM range(3)';
    const sum = await fetch(`${server.started.address}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.started.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ sql: long, params: [3], format: 'parquet' }),
    });
    writeFileSync(file, Buffer.from(await sum.arrayBuffer()));
    assert.deepEqual(await rows(`SELECT CAST(total AS VARCHAR) AS total, one FROM '${file}'`), [{ total: '27021597764222979', one: 1 }]);
    // More digits than a DECIMAL has.
    assert.equal((await query('SELECT 170141183460469231731687303715884105727::HUGEINT AS h', { format: 'parquet' })).status, 400);
    connection.closeSync();
    instance.closeSync();
  });

  test('hundreds of thousands of rows come whole in each text format, and nothing is left in the folder of results', async () => {
    for (const format of ['json', 'ndjson', 'csv']) {
      const reply = await query('SELECT range AS n, repeat(chr(54620), 10) AS t FROM range(300000)', { format });
      assert.equal(reply.headers.get('x-millrace-rows'), '300000');
      assert.equal(reply.text.match(/한{10}/g)!.length, 300_000, format);
      if (format === 'json') assert.equal((reply.json as { rows: unknown[][] }).rows[299_999]![0], 299_999);
    }
    assert.deepEqual(readdirSync(join(server.path, '.millrace', 'tmp', 'spool')), []);
    await until(() => readdirSync(join(server.path, '.millrace', 'tmp', 'slices')).every((name) => !name.startsWith('result')));
  });

  test('parameters go by place or by name, with their types; one too few, or a number that JSON could not carry, is an error', async () => {
    assert.deepEqual(await server.ask('SELECT $1 + 1, upper($2), $3, $4 IS NULL, $5', { params: [1, "o'; --", true, null, 1.5] }), [
      [2, "O'; --", true, true, 1.5],
    ]);
    assert.deepEqual(await server.ask('SELECT $who', { params: { who: '밀레' } }), [['밀레']]);
    assert.equal(await server.ask('SELECT $1', {}), 'SQL_PARAMETERS');
    assert.equal(
      (
        await server.call('POST', '/v1/query', {
          body: '{"sql":"SELECT $1","params":[9007199254740993]}',
          headers: { 'content-type': 'application/json' },
        })
      ).code,
      'QUERY_BODY',
    );
    // It would be asked with another character in its place.
    assert.equal(await server.ask('SELECT $1', { params: ['a\ud800'] }), 'QUERY_BODY');
  });

  test('an error names its place in the text', async () => {
    const { json } = await query('SELECT 1,\n  nothing_here\nFROM range(3)');
    const { params } = (json as { error: { params: { line: number; column: number; position: number } } }).error;
    assert.deepEqual([params.line, params.column, params.position], [2, 3, 12]);
  });

  test('statements that write are for editors, and say what they did', async () => {
    const viewer = await server.token('viewer');
    assert.equal(await server.ask('CREATE TABLE main.made AS SELECT 1 AS a', {}, viewer), 'SQL_KIND');
    const [made] = (await server.ask('CREATE TABLE main.made AS SELECT range AS a FROM range(5)')) as unknown[][];
    assert.equal(made![1], 'main.made');
    assert.deepEqual((await server.ask('INSERT INTO main.made SELECT 9')) as unknown[][], [
      ['insert', 'main.made', 1, (made![3] as number) + 1],
    ]);
    assert.deepEqual(await server.ask('SELECT count(*), max(a) FROM main.made', {}, viewer), [[6, 9]]);
    assert.equal(await server.ask('DELETE FROM raw.orders'), 'SQL_WRITE');
    assert.equal(await server.ask('DROP TABLE millrace.batch'), 'SQL_WRITE');
    assert.equal(await server.ask('CREATE TABLE late.x AS SELECT 1'), 'SQL_WRITE');
  });

  test('rows are cut at the limit of the request or the role, and the answer says so', async () => {
    const viewer = await server.token('viewer');
    for (const [asked, token, rows] of [
      [{ rows: 10 }, server.started.adminToken, 10],
      [{ rows: 5000 }, server.started.adminToken, 5000],
      [{}, viewer, 100],
      [{ rows: 1000 }, viewer, 100],
      [{ rows: 2048 }, server.started.adminToken, 2048],
    ] as const) {
      for (const format of ['json', 'csv', 'ndjson', 'parquet']) {
        const reply = await query('SELECT * FROM range(6000)', { limits: asked, format }, token);
        assert.deepEqual([reply.headers.get('x-millrace-rows'), reply.headers.get('x-millrace-truncated')], [String(rows), 'true'], format);
      }
    }
    for (const format of ['json', 'parquet']) {
      const whole = await query('SELECT * FROM range(100)', { format }, viewer);
      assert.deepEqual([whole.headers.get('x-millrace-rows'), whole.headers.get('x-millrace-truncated')], ['100', 'false'], format);
    }
  });

  test('a query ends at its time, of the request or the role', async () => {
    const viewer = await server.token('viewer');
    assert.equal((await query(SLOW, { limits: { seconds: 0.3 } })).code, 'QUERY_TIMEOUT');
    assert.equal((await query(SLOW, { limits: { seconds: 60 } }, viewer)).code, 'QUERY_TIMEOUT');
    assert.equal((await query(SLOW, { limits: { seconds: 0.3 }, format: 'parquet' })).code, 'QUERY_TIMEOUT');
    assert.deepEqual(await server.ask('SELECT 1'), [[1]]);
  });

  test('a job says how far it is: a share that only grows', async () => {
    await query('CREATE TABLE counted AS SELECT range AS n FROM range(3000000)');
    const answer = query('SELECT count(DISTINCT hash(n, 1)) + count(DISTINCT hash(n, 2)) FROM counted', { job: 'counting' });
    const seen: number[] = [];
    let job = { state: 'waiting', progress: null as number | null };
    while (job.state === 'waiting' || job.state === 'running') {
      const reply = await server.call('GET', '/v1/jobs/counting');
      if (reply.status === 200) job = reply.json as typeof job;
      if (job.progress !== null) seen.push(job.progress);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual((await answer).status, 200);
    assert.ok(new Set(seen).size >= 3, `its progress was ${seen.join(', ')}`);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.ok(seen.every((share) => share >= 0 && share <= 1));
    await query('DROP TABLE counted');
  });

  test('a job is seen while it runs, with its state and progress, by its owner and by admins, and can be cancelled by them only', async () => {
    const [owner, other] = [await server.token('editor'), await server.token('editor')];
    const answer = query(SLOW, { job: 'slow-1' }, owner);
    await until(async () => (await server.call('GET', '/v1/jobs/slow-1', { token: owner })).status === 200);
    assert.equal((await server.call('GET', '/v1/jobs/slow-1', { token: other })).code, 'NOT_ALLOWED');
    assert.equal((await server.call('DELETE', '/v1/jobs/slow-1', { token: other })).code, 'NOT_ALLOWED');
    const idsOf = async (token?: string) =>
      ((await server.call('GET', '/v1/jobs', token === undefined ? {} : { token })).json as { id: string }[]).map(({ id }) => id);
    assert.equal(((await server.call('GET', '/v1/jobs/slow-1', { token: owner })).json as { state: string }).state, 'running');
    assert.ok((await idsOf()).includes('slow-1'));
    assert.ok((await idsOf(owner)).includes('slow-1'));
    assert.deepEqual(await idsOf(other), []);
    assert.equal((await server.call('DELETE', '/v1/jobs/slow-1', { token: owner })).status, 200);
    assert.equal((await answer).code, 'QUERY_CANCELLED');
    const job = (await server.call('GET', '/v1/jobs/slow-1')).json as { state: string; error: { code: string } };
    assert.deepEqual([job.state, job.error.code], ['cancelled', 'QUERY_CANCELLED']);
  });

  test('a client that hangs up ends its query, and nobody else’s', async () => {
    const mine = query(SLOW, { job: 'mine' });
    await until(async () => (await server.call('GET', '/v1/jobs/mine')).status === 200);
    const hangUp = async (job: string) => {
      const gone = new AbortController();
      const asked = fetch(`${server.started.address}/v1/query`, {
        method: 'POST',
        signal: gone.signal,
        headers: { authorization: `Bearer ${await server.token('viewer')}`, 'content-type': 'application/json' },
        body: JSON.stringify({ sql: SLOW, job, limits: { seconds: 1 } }),
      }).catch(() => null);
      return { gone, asked };
    };
    const theirs = await hangUp('theirs');
    await until(async () => (await server.call('GET', '/v1/jobs/theirs')).status === 200);
    theirs.gone.abort();
    await theirs.asked;
    await until(async () => ((await server.call('GET', '/v1/jobs/theirs')).json as { state: string }).state === 'cancelled');
    // The name of another's job does not help.
    const thief = await hangUp('mine');
    thief.gone.abort();
    await thief.asked;
    assert.deepEqual(await server.ask('SELECT 1'), [[1]]);
    assert.equal(((await server.call('GET', '/v1/jobs/mine')).json as { state: string }).state, 'running');
    await server.call('DELETE', '/v1/jobs/mine');
    assert.equal((await mine).code, 'QUERY_CANCELLED');
  });

  test('a statement that writes ends at its time, when it is cancelled and when its client is gone: nothing of it stays, and deliveries go on', async () => {
    const endless = `CREATE TABLE main.endless AS ${SLOW.replaceAll('100000', '1000000')}`;
    assert.equal((await query(endless, { limits: { seconds: 0.3 } })).code, 'QUERY_TIMEOUT');
    const state = async (job: string) => ((await server.call('GET', `/v1/jobs/${job}`)).json as { state?: string }).state;
    const answer = query(endless, { job: 'writes' });
    await until(async () => (await state('writes')) === 'running');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await server.call('DELETE', '/v1/jobs/writes');
    assert.equal((await answer).code, 'QUERY_CANCELLED');
    const gone = new AbortController();
    const headers = { authorization: `Bearer ${server.started.adminToken}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ sql: endless, job: 'left' });
    const left = fetch(`${server.started.address}/v1/query`, { method: 'POST', signal: gone.signal, headers, body }).catch(() => null);
    await until(async () => (await state('left')) === 'running');
    gone.abort();
    await left;
    await until(async () => (await state('left')) === 'cancelled');
    assert.equal(await server.ask('FROM main.endless'), 'SQL_TABLE');
    await server.send('others', { id: 'after', n: 1 });
    await server.delivered();
    assert.deepEqual(await server.ask(`SELECT n FROM raw.others WHERE id = 'after'`), [[1]]);
  });

  test('beyond a role’s places queries wait, and beyond the queue they are refused with 429 and Retry-After; a waiting one can be cancelled', async (t) => {
    const server = await running(t, { settings: 'roles:\n  viewer: {seconds: 600, rows: 100, concurrency: 1}\n' });
    const query = (sql: string, more: Record<string, unknown> = {}, token?: string) =>
      server.call('POST', '/v1/query', { body: { sql, ...more }, ...(token === undefined ? {} : { token }) });
    const viewer = await server.token('viewer');
    const first = query(SLOW, { job: 'first' }, viewer);
    await until(async () => (await server.call('GET', '/v1/jobs/first')).status === 200);
    const waiting = Array.from({ length: 32 }, (_, k) =>
      fetch(`${server.started.address}/v1/query`, {
        method: 'POST',
        headers: { authorization: `Bearer ${viewer}`, 'content-type': 'application/json' },
        body: JSON.stringify({ sql: 'SELECT 1', job: `w${k}` }),
      }).then((response) => response.json() as Promise<{ error?: { code: string } }>),
    );
    await until(
      async () =>
        ((await server.call('GET', '/v1/jobs')).json as { state: string }[]).filter(({ state }) => state === 'waiting').length === 32,
    );
    const refused = await query('SELECT 1', {}, viewer);
    assert.deepEqual([refused.status, refused.code, refused.headers.get('retry-after')], [429, 'QUERY_BUSY', '1']);
    assert.deepEqual(await server.ask('SELECT 1'), [[1]], 'other roles have their own places');
    await server.call('DELETE', '/v1/jobs/w5');
    assert.equal((await waiting[5]!).error?.code, 'QUERY_CANCELLED');
    await server.call('DELETE', '/v1/jobs/first');
    assert.equal((await first).code, 'QUERY_CANCELLED');
    assert.equal((await Promise.all(waiting)).filter((answer) => answer.error === undefined).length, 31);
  });

  test('a file is loaded over HTTP, once for each Idempotency-Key, gzip too', async () => {
    const { gzipSync } = await import('node:zlib');
    const csv = 'id,name\n1,밀레\n2,b\n';
    const load = (headers: Record<string, string>, body: string | Buffer = csv) =>
      server.call('POST', '/v1/load/main.loaded?format=csv&mode=append', { body, headers: { 'content-type': 'text/csv', ...headers } });
    const first = await load({ 'idempotency-key': 'k' });
    assert.deepEqual([first.status, (first.json as { rows: number }).rows], [200, 2]);
    assert.deepEqual((await load({ 'idempotency-key': 'k' })).json, first.json);
    assert.equal((await load({ 'content-encoding': 'gzip' }, gzipSync('id,name\n3,c\n'))).status, 200);
    assert.deepEqual(await server.ask('SELECT name FROM main.loaded ORDER BY id'), [['밀레'], ['b'], ['c']]);
    assert.deepEqual(readdirSync(join(server.path, '.millrace', 'tmp', 'uploads')), []);
    const { tables } = (await server.call('GET', '/v1/catalog')).json as { tables: { name: string; origin: string }[] };
    assert.equal(tables.find(({ name }) => name === 'loaded')!.origin, 'load');
  });

  test('the catalog has everything that has a name', async () => {
    const definitions: Record<string, string> = {
      'metrics/revenue.yaml': 'title: Revenue\ntable: raw.orders\nexpression: sum(n)\ntime: _time\n',
      'journeys/buying.yaml': 'broken: [',
      'dashboards/shop.yaml': 'title: Shop\ntiles:\n  - { title: N, sql: SELECT 1 AS n }\n',
      'queries/big_orders.sql': 'SELECT * FROM raw.orders WHERE n > 10',
      'transfers/files.yaml':
        'source: folder\nconnection: { path: incoming, pattern: "*.csv" }\ntables:\n  files: { target: main.files, mode: append }\n',
    };
    for (const [file, text] of Object.entries(definitions)) {
      mkdirSync(join(server.path, file, '..'), { recursive: true });
      writeFileSync(join(server.path, file), text);
    }
    const scheduled = "CREATE SCHEDULED QUERY mart.daily OPTIONS (cron = '0 6 * * *') AS SELECT range AS n FROM range(3)";
    const kept = await query(scheduled);
    assert.equal(kept.status, 200, kept.text);
    const brought =
      "CREATE MODEL main.sizes OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT (range % 17) / 3 AS x, range % 17 AS y FROM range(300)";
    const trained = await query(brought);
    assert.equal(trained.status, 200, trained.text);
    const named = async () => ((await server.call('GET', '/v1/catalog')).json as { named: { kind: string; name: string }[] }).named;
    await until(async () => (await named()).length >= 7);
    assert.deepEqual((await named()).map(({ kind, name }) => `${kind} ${name}`).sort(), [
      ...['dashboard shop', 'journey buying', 'metric revenue', 'model main.sizes', 'question big_orders', 'scheduled query mart.daily'],
      'transfer files',
    ]);
  });

  test('a table may have a Korean name, and a file as Excel writes it in Korea (CP949) or with UTF-16 is read as it was meant', async () => {
    const load = (table: string, body: Buffer) =>
      server.call('POST', `/v1/load/${encodeURIComponent(table)}?format=csv`, { body, headers: { 'content-type': 'text/csv' } });
    // "상품,금액\n사과,12000\n", by iconv.
    const korean = Buffer.from('bbf3c7b02cb1ddbed70abbe7b0fa2c31323030300a', 'hex');
    assert.deepEqual(((await load('main.주문', korean)).json as { rows: number }).rows, 1);
    const wide = Buffer.from('\ufeff상품,금액\n배,8500\n', 'utf16le');
    assert.deepEqual(((await load('main.주문', wide)).json as { rows: number }).rows, 1);
    assert.deepEqual(await server.ask('SELECT 상품, 금액 FROM main.주문 ORDER BY 금액'), [
      ['배', 8500],
      ['사과', 12000],
    ]);
    assert.equal((await server.ask('CREATE TABLE mart.합계 AS SELECT sum(금액) AS 합 FROM 주문')).length, 1);
    assert.deepEqual(await server.ask('SELECT 합::BIGINT FROM mart.합계'), [[20500]]);
    const refused = await load('main.주문'.normalize('NFD'), korean);
    assert.equal((refused.json as { error: { code: string } }).error.code, 'TABLE_NAME', 'what looks the same must be the same');
    await until(async () => readdirSync(join(server.path, '.millrace', 'tmp', 'uploads')).length === 0);
  });

  test('metrics are Prometheus text with the topics as labels', async () => {
    await server.send('orders', '{"id":"m","n":1}');
    await server.delivered();
    const { text, headers } = await server.call('GET', '/metrics');
    assert.match(headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^millrace_records_accepted_total\{topic="orders"\} 1$/m);
    assert.match(text, /^millrace_warehouse_ready 1$/m);
    for (const line of text.trim().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) millrace_\w+ .+|millrace_\w+(\{\w+="[^"]*"\})? -?[\d.e+-]+)$/);
  });
});

// A Millrace of its own: what the questions before have left would let the memory watch be first.
test('what the front reads whole of a table is bounded, and it goes on', async (t) => {
  const server = await running(t);
  await server.ask("CREATE TABLE main.texts AS SELECT i % 2 AS bought, repeat('x', 10000) || i AS text FROM range(5000) r(i)");
  const targets = (table: string) => server.call('GET', `/v1/targets?table=${table}`);
  const refused = await targets('main.texts');
  assert.deepEqual([refused.status, refused.code], [507, 'QUERY_RESULT_SIZE']);
  await server.ask('CREATE TABLE main.shorter AS SELECT bought, left(text, 20) AS text FROM main.texts');
  const { targets: found } = (await targets('main.shorter')).json as { targets: { column: string }[] };
  assert.equal(found[0]!.column, 'bought');
});

test('a model that is trained here reads instants by the workspace’s clock', async (t) => {
  const server = await running(t);
  await server.ask(`CREATE TABLE looks AS
    SELECT seen, seen AT TIME ZONE 'Asia/Seoul' AS wall, CASE WHEN hour(seen AT TIME ZONE 'Asia/Seoul') < 7 THEN 'yes' ELSE 'no' END AS bought
    FROM (SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_minutes(((i * 7919) % 250000)::INTEGER) AS seen FROM range(3000) t(i))`);
  for (const column of ['seen', 'wall'])
    await server.ask(`CREATE MODEL by_${column} OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, input_label_cols = ['bought'])
      AS SELECT ${column}, bought FROM looks`);
  const chances = (column: string) =>
    server.ask(`SELECT ${column === 'seen' ? "seen AT TIME ZONE 'Asia/Seoul'" : 'wall'} AS at_wall, predicted_bought_probs[2].prob AS p
      FROM ML.PREDICT(MODEL by_${column}, (SELECT ${column} FROM looks)) ORDER BY at_wall`);
  const [bySeen, byWall] = [await chances('seen'), await chances('wall')];
  assert.equal(bySeen.length, 3000);
  assert.deepEqual(bySeen, byWall);
  assert.ok(new Set((byWall as unknown[][]).map(([, p]) => p)).size > 1);
});
