import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { type Started, startMillrace } from '#server';
import { millrace } from '../cli/fixture.ts';
import { DATA, type Row, withoutData } from './fixture.ts';

const ADULT = 'age,workclass,fnlwgt,education,education_num,marital,occupation,relationship,race,sex,gain,loss,hours,country,income';

let workspace: string;
let server: Started;

/** How the warehouse ended stands beside a failure. */
const told = (line: string): void => {
  if (/"(warehouse\.exit|memory\.[a-z_]+)"/.test(line)) process.stderr.write(`the warehouse ended: ${line}`);
};

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Row }> {
  const raw = typeof body === 'string' || Buffer.isBuffer(body);
  const headers = { authorization: `Bearer ${server.adminToken}`, 'content-type': raw ? 'application/octet-stream' : 'application/json' };
  const answer = await fetch(server.address + path, {
    method,
    headers: body === undefined ? { authorization: headers.authorization } : headers,
    ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : { text } };
}

async function sql(text: string): Promise<Row[]> {
  const { status, body } = await call('POST', '/v1/query', { sql: text });
  assert.equal(status, 200, JSON.stringify(body));
  return body['rows'].map((row: unknown[]) => Object.fromEntries(row.map((value, k) => [body['columns'][k].name, value])));
}

const load = async (table: string, bytes: Buffer | string, format = 'csv') => {
  const { status, body } = await call('POST', `/v1/load/${table}?format=${format}&mode=replace`, bytes);
  assert.equal(status, 200, JSON.stringify(body));
};
const unpacked = (path: string) => gunzipSync(readFileSync(join(DATA, path)));

/** What SQL and HTTP answer to the same rows. */
async function bothWays(model: string, query: string, label: string): Promise<void> {
  const inSql = await sql(`SELECT * FROM ML.PREDICT(MODEL ${model}, (${query}))`);
  const rows = inSql.map(({ [`predicted_${label}`]: _, [`predicted_${label}_probs`]: __, ...row }) => row);
  const { status, body } = await call('POST', `/v1/models/${model}/predict`, { rows });
  assert.equal(status, 200, JSON.stringify(body));
  inSql.forEach((row, at) => {
    for (const { label: name, prob } of row[`predicted_${label}_probs`])
      assert.ok(Math.abs(body['predictions'][at].probabilities[String(name)] - prob) < 1e-6);
    assert.equal(body['predictions'][at][`predicted_${label}`], row[`predicted_${label}`]);
  });
}

describe('models on real data, from load to REST', { timeout: 240_000, skip: withoutData }, () => {
  before(async () => {
    workspace = mkdtempSync(join(tmpdir(), 'millrace-real-'));
    await millrace(['init', join(workspace, 'w')]);
    // The front is this process, whose own rows (150 MB) are in the sum that is watched: of 1 GB, training could leave the warehouse none.
    server = await startMillrace({ workspace: join(workspace, 'w'), memory: 1.5e9, log: { write: told } });
    for (let tries = 0; (await call('GET', '/ready')).status !== 200; tries++) {
      assert.ok(tries < 600, 'the warehouse is not ready');
      await sleep(50);
    }
  });
  after(async () => {
    await server?.stop();
    rmSync(workspace, { recursive: true, force: true });
  });

  test('telco-churn: an AUC of 0.82 on held-out rows; SQL, HTTP and the exported script answer alike', async () => {
    await load('telco', unpacked('telco-churn/Telco-Customer-Churn.csv.gz'));
    await sql(`CREATE MODEL churn OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['Churn']) AS SELECT * FROM telco`);
    const [figures] = await sql('SELECT * FROM ML.EVALUATE(MODEL churn)');
    assert.ok(figures!['roc_auc'] > 0.82, `AUC ${figures!['roc_auc']}`);
    await bothWays('churn', 'SELECT * FROM telco USING SAMPLE reservoir(500 ROWS) REPEATABLE (1)', 'Churn');
    const { status, body } = await call('GET', '/v1/models/churn/export?format=js');
    assert.equal(status, 200);
    const path = join(workspace, 'churn.mjs');
    writeFileSync(path, body['text']);
    const script = (await import(path)) as { predict(row: unknown): { probabilities: number[] } };
    for (const row of await sql('SELECT * FROM ML.PREDICT(MODEL churn, (SELECT * FROM telco LIMIT 100))'))
      assert.ok(Math.abs(script.predict(row).probabilities[1]! - row['predicted_Churn_probs'][1].prob) < 1e-6);
  });

  test('adult-census: the official test set, an accuracy of 0.86 and an AUC of 0.92 as trees reach it elsewhere', async () => {
    const clean = (path: string) =>
      unpacked(path)
        .toString()
        .split('\n')
        .filter((line) => line.includes(',') && !line.startsWith('|'))
        .map((line) =>
          line
            .replaceAll(/, */g, ',')
            .replaceAll('?', '')
            .replace(/\.\s*$/, ''),
        )
        .join('\n');
    await load('adult', `${ADULT}\n${clean('adult-census/adult-train.csv.gz')}\n`);
    await load('adult_test', `${ADULT}\n${clean('adult-census/adult-test.csv.gz')}\n`);
    await sql(`CREATE MODEL income OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['income']) AS SELECT * FROM adult`);
    const [figures] = await sql('SELECT * FROM ML.EVALUATE(MODEL income, TABLE adult_test)');
    assert.ok(figures!['accuracy'] > 0.865 && figures!['roc_auc'] > 0.92, JSON.stringify(figures));
    const matrix = await sql('SELECT * FROM ML.CONFUSION_MATRIX(MODEL income, TABLE adult_test)');
    const total = matrix.reduce(
      (sum, { expected_label: _, ...counts }) => sum + Object.values(counts as Record<string, number>).reduce((a, b) => a + b, 0),
      0,
    );
    assert.equal(total, 16_281);
    await bothWays('income', 'SELECT * FROM adult_test LIMIT 1000', 'income');
  });

  test('ga-merch: propensity to buy from sessions shaped by SQL ranks buyers first, and the report warns of how few they are', async () => {
    await load('ga', readFileSync(join(DATA, 'ga-merch-sessions/ga_sample.parquet')), 'parquet');
    await sql(`CREATE TABLE sessions AS SELECT visitNumber AS visit, totals.hits AS hits, totals.pageviews AS pages, totals.timeOnSite AS seconds,
      channelGrouping AS channel, device.deviceCategory AS device, geoNetwork.country AS country, coalesce(totals.transactions, 0) > 0 AS bought FROM ga`);
    await sql(`CREATE MODEL propensity OPTIONS(input_label_cols = ['bought'], num_trials = 2) AS SELECT * FROM sessions`);
    const { body } = await call('GET', '/v1/models/propensity');
    assert.equal(body['report'].task, 'classification');
    assert.ok(
      body['report'].warnings.some((warning: { kind: string }) => warning.kind === 'imbalance'),
      JSON.stringify(body['report'].warnings),
    );
    const [ranked] = await sql(`SELECT avg(bought::INT) FILTER (decile = 1) AS top, avg(bought::INT) AS all FROM (
      SELECT bought, ntile(10) OVER (ORDER BY predicted_bought_probs[2].prob DESC) AS decile FROM ML.PREDICT(MODEL propensity, TABLE sessions))`);
    assert.ok(ranked!['top'] > 3 * ranked!['all'], JSON.stringify(ranked));
    await bothWays('propensity', 'SELECT * FROM sessions LIMIT 300', 'bought');
  });

  test('uci-online-retail: who buys no more and what a customer spends next month, from SQL; both hold in a month that came later', async () => {
    await load('retail', unpacked('uci-online-retail/online_retail.csv.gz'));
    await sql(`CREATE TABLE months AS
      WITH line AS (SELECT CustomerID AS customer, InvoiceNo AS invoice, InvoiceDate AS sold, Quantity * UnitPrice AS amount, Country AS country
          FROM retail WHERE CustomerID IS NOT NULL),
        month AS (SELECT (DATE '2011-06-01' + to_months(m::INTEGER))::DATE AS month FROM range(6) t(m))
      SELECT month, customer, any_value(country) AS country, count(DISTINCT invoice) FILTER (sold < month) AS orders, date_diff('day', min(sold), month) AS age,
        date_diff('day', max(sold) FILTER (sold < month), month) AS recency, coalesce(sum(amount) FILTER (sold < month), 0) AS spent,
        coalesce(sum(amount) FILTER (sold < month AND sold >= month - INTERVAL 30 DAY), 0) AS spent_lately,
        coalesce(sum(amount) FILTER (sold >= month AND sold < month + INTERVAL 1 MONTH), 0) AS value,
        count(*) FILTER (sold >= month AND sold < month + INTERVAL 1 MONTH) = 0 AS gone
      FROM month, line GROUP BY month, customer HAVING min(sold) < month`);
    const train = (label: string, type: string, other: string) =>
      sql(`CREATE MODEL next_${label} OPTIONS(model_type = 'BOOSTED_TREE_${type}', input_label_cols = ['${label}'])
        AS SELECT * EXCLUDE (month, customer, ${other}) FROM months WHERE month < '2011-11-01'`);
    await train('value', 'REGRESSOR', 'gone');
    await train('gone', 'CLASSIFIER', 'value');
    const later = `(SELECT * FROM months WHERE month = '2011-11-01')`;
    const [churn] = await sql(`SELECT roc_auc FROM ML.EVALUATE(MODEL next_gone, ${later})`);
    assert.ok(churn!['roc_auc'] > 0.72, JSON.stringify(churn));
    // Beside what anyone would do without a model: a customer spends what they spent in the last thirty days. A few wholesalers are most of
    // the error, so it depends on which rows are set aside in training, hence on their order: twelve orders gave 0.83 to 0.95 of it.
    const [value] = await sql(`SELECT avg(abs(value - predicted_value)) AS error, avg(abs(value - spent_lately)) AS plain,
        sum(value) FILTER (first) / sum(value) AS top, sum(value) FILTER (lately) / sum(value) AS plain_top
      FROM (SELECT *, ntile(10) OVER (ORDER BY predicted_value DESC) = 1 AS first, ntile(10) OVER (ORDER BY spent_lately DESC) = 1 AS lately
        FROM ML.PREDICT(MODEL next_value, ${later}))`);
    assert.ok(value!['error'] < value!['plain'] && value!['top'] > value!['plain_top'] + 0.05, JSON.stringify(value));
    await bothWays('next_gone', `SELECT * FROM months WHERE month = '2011-11-01' LIMIT 300`, 'gone');
  });

  test('kept requests are compared with the training: like rows raise no alarm, shifted ones do', async () => {
    const env = { MILLRACE_ADDRESS: server.address, MILLRACE_TOKEN: server.adminToken };
    const looked = async (...words: string[]) => {
      const done = await millrace(['model', 'drift', 'churn', ...words], { env });
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    assert.match((await millrace(['model', 'drift', 'churn'], { env })).stderr, /ALTER MODEL/);
    writeFileSync(join(workspace, 'w', 'topics', 'churn_asked.yaml'), 'title: Requests to the churn model\n');
    for (let tries = 0; !(await call('GET', '/v1/catalog')).body['topics'].some((topic: Row) => topic['name'] === 'churn_asked'); tries++) {
      assert.ok(tries < 200, 'the topic is not known');
      await sleep(50);
    }
    await sql(`ALTER MODEL churn SET OPTIONS(log_topic = 'churn_asked', log_share = 1)`);
    const rows = await sql('SELECT * FROM telco USING SAMPLE reservoir(800 ROWS) REPEATABLE (7)');
    const kept = async (send: unknown[]) => {
      const { body } = await call('POST', '/v1/models/churn/predict', { rows: send });
      assert.deepEqual(body['logged'], { topic: 'churn_asked', accepted: send.length, error: null });
    };
    const arrived = async (count: number) => {
      for (let tries = 0; ; tries++, await sleep(50)) {
        const { body } = await call('POST', '/v1/query', { sql: 'SELECT count(*) FROM raw.churn_asked' });
        if (body['rows']?.[0]?.[0] === count) return;
        assert.ok(tries < 400, `in vain: ${count} kept requests`);
      }
    };
    await kept(rows);
    await arrived(800);
    const like = await looked();
    assert.match(like, /MonthlyCharges/);
    assert.doesNotMatch(like, /\byes\b/);
    await kept(rows.map((row) => ({ ...row, MonthlyCharges: row['MonthlyCharges'] * 1.6 })));
    await arrived(1600);
    assert.match(await looked(), /MonthlyCharges.*\byes\b/);
    await sql('CREATE TABLE dearer AS SELECT * REPLACE (MonthlyCharges * 1.6 AS MonthlyCharges) FROM telco');
    assert.match(await looked('dearer'), /MonthlyCharges.*\byes\b/);
    await sql('ALTER MODEL churn SET OPTIONS(log_topic = NULL)');
    assert.equal((await call('POST', '/v1/models/churn/predict', { rows: rows.slice(0, 1) })).body['logged'], undefined);
    await sql(`ALTER MODEL churn SET OPTIONS(log_topic = 'no name!')`);
    const refusedLog = (await call('POST', '/v1/models/churn/predict', { rows: rows.slice(0, 1) })).body;
    assert.equal(refusedLog['predictions'].length, 1);
    assert.deepEqual([refusedLog['logged'].accepted, refusedLog['logged'].error.code], [0, 'TOPIC_NAME']);
    await sql('ALTER MODEL churn SET OPTIONS(log_topic = NULL)');
  });

  // https://cloud.google.com/bigquery/docs/create-machine-learning-model, with single quotes for texts.
  test('BigQuery ML’s tutorial of Google Analytics: purchases by country, in its own statements', async () => {
    await sql(`CREATE OR REPLACE MODEL sample_model OPTIONS(model_type='logistic_reg') AS
      SELECT IF(totals.transactions IS NULL, 0, 1) AS label, IFNULL(device.operatingSystem, '') AS os, device.isMobile AS is_mobile,
        IFNULL(geoNetwork.country, '') AS country, IFNULL(totals.pageviews, 0) AS pageviews FROM ga`);
    const [figures] = await sql(`SELECT * FROM ML.EVALUATE(MODEL sample_model, (SELECT IF(totals.transactions IS NULL, 0, 1) AS label,
        IFNULL(device.operatingSystem, '') AS os, device.isMobile AS is_mobile, IFNULL(geoNetwork.country, '') AS country, IFNULL(totals.pageviews, 0) AS pageviews FROM ga))`);
    assert.ok(figures!['roc_auc'] > 0.9, JSON.stringify(figures));
    const countries = await sql(`SELECT country, SUM(predicted_label) AS total_predicted_purchases FROM ML.PREDICT(MODEL sample_model, (
        SELECT IFNULL(device.operatingSystem, '') AS os, device.isMobile AS is_mobile, IFNULL(totals.pageviews, 0) AS pageviews, IFNULL(geoNetwork.country, '') AS country FROM ga))
      GROUP BY country ORDER BY total_predicted_purchases DESC LIMIT 10`);
    assert.equal(countries[0]!['country'], 'United States');
    assert.equal(countries.length, 10);
  });

  // https://cloud.google.com/bigquery/docs/logistic-regression-prediction
  test('BigQuery ML’s tutorial of the census: a logistic regression, evaluated, asked, and read', async () => {
    await sql(`CREATE OR REPLACE VIEW input_data AS SELECT age, workclass, marital AS marital_status, education_num, occupation, hours AS hours_per_week,
        income AS income_bracket, fnlwgt AS functional_weight, CASE WHEN MOD(fnlwgt, 10) < 8 THEN 'training' WHEN MOD(fnlwgt, 10) = 8 THEN 'evaluation' ELSE 'prediction' END AS dataframe FROM adult`);
    await sql(`CREATE OR REPLACE MODEL census_model OPTIONS(model_type='LOGISTIC_REG', input_label_cols=['income_bracket'], max_iterations=15) AS
      SELECT * EXCLUDE(dataframe, functional_weight) FROM input_data WHERE dataframe = 'training'`);
    const [figures] = await sql(`SELECT * FROM ML.EVALUATE(MODEL census_model, (SELECT * FROM input_data WHERE dataframe = 'evaluation'))`);
    assert.ok(figures!['roc_auc'] > 0.88 && figures!['accuracy'] > 0.8, JSON.stringify(figures));
    const predicted = await sql(`SELECT * FROM ML.PREDICT(MODEL census_model, (SELECT * FROM input_data WHERE dataframe = 'prediction'))`);
    assert.ok(predicted.length > 3000 && predicted.every((row) => ['<=50K', '>50K'].includes(row['predicted_income_bracket'])));
    const weights = await sql(`SELECT * FROM ML.WEIGHTS(MODEL census_model) WHERE processed_input = 'education_num'`);
    assert.ok(weights[0]!['weight'] > 0);
  });

  test('requests that can’t be answered are told why, and the next one is answered', async () => {
    const row = { tenure: 3, Contract: 'One year' };
    for (const [body, status, code] of [
      [{}, 400, 'MODEL_REQUEST'],
      [{ rows: [] }, 400, 'MODEL_REQUEST'],
      [{ rows: [1] }, 400, 'MODEL_REQUEST'],
      [{ rows: [row], how: 1 }, 400, 'MODEL_REQUEST'],
      [{ rows: Array.from({ length: 10_001 }, () => row) }, 400, 'MODEL_REQUEST'],
      [{ rows: [{ nothing: 1 }] }, 400, 'MODEL_INPUT'],
      [{ rows: [{ tenure: 'long' }] }, 400, 'MODEL_INPUT'],
      [{ rows: [{ tenure: [1] }] }, 400, 'MODEL_INPUT'],
    ] as const) {
      const answer = await call('POST', '/v1/models/churn/predict', body);
      assert.deepEqual([answer.status, answer.body['error'].code], [status, code], JSON.stringify(body).slice(0, 100));
    }
    assert.equal((await call('POST', '/v1/models/nope/predict', { rows: [row] })).status, 404);
    assert.equal((await call('POST', '/v1/models/churn/predict', { rows: [row], explain: true })).status, 200);
  });

  test('a request of 100 MB is refused before it is taken', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const { port } = new URL(server.address);
      const headers = { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json', 'content-length': 100e6 };
      const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/v1/models/churn/predict', headers }, (answer) =>
        resolve(answer.statusCode!),
      );
      sent.once('error', reject);
      sent.write('{"rows":[');
    });
    assert.ok(status === 413 || status === 400, String(status));
  });

  test('predictions go on while the warehouse is gone', async () => {
    const row = { tenure: 3, Contract: 'One year' };
    const first = await call('POST', '/v1/models/churn/predict', { rows: [row] });
    const child = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number);
    const warehouse = child.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('warehouse.ts'));
    process.kill(warehouse!, 'SIGKILL');
    assert.deepEqual(await call('POST', '/v1/models/churn/predict', { rows: [row] }), first);
    for (let tries = 0; (await call('GET', '/ready')).status !== 200 || (await call('GET', '/v1/trainings')).status !== 200; tries++) {
      assert.ok(tries < 600, 'the warehouse is not back');
      await sleep(50);
    }
    assert.deepEqual(await call('POST', '/v1/models/churn/predict', { rows: [row] }), first);
  });

  test('the command line trains, lists, shows, predicts, compares, exports, promotes and rolls back', async () => {
    const env = { MILLRACE_ADDRESS: server.address, MILLRACE_TOKEN: server.adminToken };
    const run = async (words: string[], stdin?: string) => {
      const done = await millrace(['model', ...words], { env, ...(stdin === undefined ? {} : { stdin }) });
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    assert.match(await run(['targets', 'telco']), /^column.*\n-*[^\n]*\n?Churn +classification +two values/);
    assert.match((await millrace(['model', 'targets', 'no"such'], { env })).stderr, /^SQL_TABLE/);
    assert.match((await millrace(['model', 'train', 'telco'], { env })).stderr, /millrace model targets telco/);
    assert.match(
      await run(['train', 'telco', '--predict', 'Churn', '--type', 'LOGISTIC_REG', '--name', 'churn', '--alias', 'challenger']),
      /main\.churn version 2 is its challenger/,
    );
    assert.match(await run(['list']), /main\.churn\s+2\s+challenger\s+LOGISTIC_REG/);
    assert.match(await run(['show', 'churn@2']), /Judged on 1,409 rows/);
    const predicted = JSON.parse(await run(['predict', 'churn@2'], '{"tenure":1,"Contract":"Month-to-month"}\n'));
    assert.equal(typeof predicted['predicted_Churn'], 'boolean');
    const told = JSON.parse(await run(['predict', 'churn@2', '--explain'], '{"tenure":1,"Contract":"Month-to-month"}\n'));
    const [moved] = told['explanation'] as [{ base: number; columns: Record<string, number> }];
    const logOdds = Object.values(moved.columns).reduce((sum, value) => sum + value, moved.base);
    assert.ok(Math.abs(1 / (1 + Math.exp(-logOdds)) - told['probabilities']['true']) < 1e-6, JSON.stringify(told));
    assert.match(await run(['compare', 'churn@challenger', 'telco', '--baseline', '1']), /roc_auc.*the same rows/);
    assert.match((await millrace(['model', 'compare', 'churn@challenger', 'nosuch'], { env })).stderr, /^SQL_TABLE/);
    assert.match(await run(['promote', 'churn@challenger']), /Beside the champion so far.*logLoss.*champion is version 2/s);
    const shadow = await millrace(['model', 'promote', 'churn@1', '--alias', 'shadow'], { env });
    assert.match(shadow.stderr, /^Not compared with the shadow so far/);
    assert.match(shadow.stdout, /shadow is version 1/);
    assert.match(await run(['rollback', 'churn']), /champion is version 1/);
    const portable = join(workspace, 'exported.onnx');
    await run(['export', 'churn', '--format', 'onnx', '--output', portable]);
    assert.ok(readFileSync(portable).includes('TreeEnsemble'));
    const path = join(workspace, 'exported.json');
    await run(['export', 'churn', '--output', path]);
    assert.equal(JSON.parse(readFileSync(path, 'utf8')).format, 'millrace-model-file');
    for (const [times, ends] of [
      [1, /main\.stopped version 1 is its champion/],
      [2, /^MODEL_STOPPED|^QUERY_CANCELLED/m],
    ] as const) {
      const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
      const words = ['--conditions=source', main, 'model', 'train', 'telco', '--predict', 'Churn', '--budget', '20m', '--name', 'stopped'];
      const child = spawn(process.execPath, words, { env: { ...process.env, ...env } });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
      const ended = once(child, 'exit');
      for (let tries = 0; !said.includes('best so far'); tries++, await sleep(50)) assert.ok(tries < 1200, `no model: ${said}`);
      child.kill('SIGINT');
      if (times === 2) {
        for (let tries = 0; !said.includes('Ctrl-C again'); tries++, await sleep(2)) assert.ok(tries < 3000, said);
        child.kill('SIGINT');
      }
      const [code] = await ended;
      assert.deepEqual([code === 0, ends.test(said)], [times === 1, true], said);
      const kept = await millrace(['model', 'show', 'stopped'], { env });
      if (times === 1) assert.match(kept.stdout, /The search was stopped early/);
      else assert.match(kept.stderr, /^MODEL_UNKNOWN/);
      if (times === 1) await run(['drop', 'stopped']);
    }
    await run(['drop', 'churn']);
    const gone = await millrace(['model', 'show', 'churn'], { env });
    assert.match(gone.stderr, /^MODEL_UNKNOWN/);
  });
});
