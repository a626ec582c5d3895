import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { running, until } from '../server/fixture.ts';

test('killed while it scores, the program comes back with a view that equals its query', async (t) => {
  const visits = 'id: id\nfields:\n  id: text\n  shop: text\n  pages: integer\n  source: text\n';
  const server = await running(t, { topics: { visits } });
  const warehouse = (): number =>
    readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number)
      .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('warehouse'))!;
  let sent = 0;
  const send = async (count: number) => {
    const lines = Array.from({ length: count }, () => {
      const k = sent++;
      return JSON.stringify({ id: `v${k}`, shop: `shop ${k % 7}`, pages: (k * 7919) % 100, source: ['mail', 'ad', 'direct'][k % 3] });
    });
    assert.equal((await server.send('visits', lines.join('\n'))).status, 200);
  };
  await send(600);
  await server.delivered();
  const train = (rounds: number) =>
    server.ask(`CREATE OR REPLACE MODEL buyers OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = ${rounds}, input_label_cols = ['bought'])
      AS SELECT pages, source, CASE WHEN pages > 50 OR source = 'mail' THEN 'yes' ELSE 'no' END AS bought FROM raw.visits`);
  assert.ok(Array.isArray(await train(3)));
  const query =
    'SELECT shop, id, predicted_bought, predicted_bought_probs FROM ML.PREDICT(MODEL buyers, (SELECT shop, id, pages, source FROM raw.visits))';
  const made = await server.ask(
    `CREATE MATERIALIZED VIEW mart.buyers PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query}`,
  );
  assert.deepEqual(made, [['mart.buyers', 'partitions', '']]);
  // Compared there: of thousands of rows that differ (the version before, for a moment) a difference is no text to be made here.
  const isRight = async () =>
    JSON.stringify(
      await server.ask(`WITH kept AS (SELECT * EXCLUDE (_batch) FROM mart.buyers), asked AS (${query}) SELECT (SELECT count(*) FROM kept),
        (SELECT count(*) FROM (FROM kept EXCEPT ALL FROM asked)), (SELECT count(*) FROM (FROM asked EXCEPT ALL FROM kept))`),
    ) === `[[${sent},0,0]]`;
  await until(isRight);
  for (let round = 0; round < 4; round++) {
    await send(1500);
    if (round === 2) assert.ok(Array.isArray(await train(12)));
    // Somewhere in a delivery, a refresh or between them.
    await new Promise((resolve) => setTimeout(resolve, 60 * round));
    process.kill(warehouse(), 'SIGKILL');
    await until(async () => Array.isArray(await server.ask('SELECT 1')));
    await server.delivered();
    await until(isRight);
  }
  const blast = await server.call('GET', '/v1/views/blast?table=main.buyers');
  assert.deepEqual((blast.json as { affected: unknown }).affected, [{ kind: 'materialized view', name: 'mart.buyers', goes: false }]);
  const lineage = await server.call('GET', '/v1/lineage?table=mart.buyers');
  assert.ok(
    (lineage.json as { edges: unknown[] }).edges.some(
      (edge) => JSON.stringify(edge) === JSON.stringify({ from: 'model main.buyers', to: 'table mart.buyers' }),
    ),
    lineage.text,
  );
  assert.deepEqual(await server.ask('DROP MODEL buyers'), 'VIEW_READ');
  assert.ok(Array.isArray(await server.ask('DROP MODEL buyers CASCADE')));
  process.kill(warehouse(), 'SIGKILL');
  await until(async () => JSON.stringify(await server.ask('SELECT count(*) FROM mart.buyers')) === `[[${sent}]]`);
  const problems = async () =>
    ((await server.call('GET', '/v1/views')).json as { problems: { code: string }[] }).problems.map(({ code }) => code);
  assert.deepEqual(await problems(), ['MODEL_UNKNOWN']);
  assert.ok(Array.isArray(await train(5)));
  await until(async () => (await problems()).length === 0 && (await isRight()));
});
