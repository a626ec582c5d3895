/** Days and hours of instants are those of the workspace's zone, wherever a model answers. DuckDB's own clock is the oracle. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clockOf } from '#core';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { fileOf, type House, openHouse, type Row } from './fixture.ts';

const SEOUL = 'Asia/Seoul';
let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);

/** `seen` is an instant and `wall` what a clock in Seoul shows then. Who looks in at night there, or on a Sunday, buys. */
const LOOKS = `CREATE OR REPLACE TABLE looks AS
  SELECT i AS id, seen, seen AT TIME ZONE '${SEOUL}' AS wall,
    CASE WHEN hour(seen AT TIME ZONE '${SEOUL}') < 7 OR dayofweek(seen AT TIME ZONE '${SEOUL}') = 0 THEN 'yes' ELSE 'no' END AS bought
  FROM (SELECT i, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_minutes(((i * 7919) % 250000)::INTEGER) AS seen FROM range(6000) t(i))`;
const train = (name: string, column: string) =>
  ask(`CREATE OR REPLACE MODEL ${name} OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 30, input_label_cols = ['bought'])
    AS SELECT ${column} AS seen, bought FROM looks`);
const answers = async (name: string, column: string): Promise<Row[]> =>
  ask(`SELECT p.predicted_bought AS said, p.predicted_bought_probs[2].prob AS p, l.bought
    FROM ML.PREDICT(MODEL ${name}, (SELECT id, ${column} AS seen FROM looks)) p JOIN looks l USING (id) ORDER BY id`);

describe('times by a clock', { timeout: 120_000 }, () => {
  before(async () => {
    house = await openHouse(undefined, undefined, undefined, SEOUL);
    await ask(LOOKS);
  });
  after(() => house.close());

  test('an instant is read by the workspace’s clock, to the bit as the wall-clock time that SQL makes of it', async () => {
    await train('instants', 'seen');
    await train('walls', 'wall');
    const [byInstant, byWall] = [await answers('instants', 'seen'), await answers('walls', 'wall')];
    assert.deepEqual(byInstant, byWall);
    assert.ok(byInstant.filter(({ said, bought }) => said !== bought).length < 60);
  });

  test('over HTTP too, where an instant may be written with any offset', async () => {
    await train('instants', 'seen');
    const [inSql] = await answers('instants', 'seen');
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const [{ millis }] = (await ask('SELECT epoch_ms(seen) AS millis FROM looks WHERE id = 0')) as [Row];
    const utc = new Date(Number(millis));
    const seoul = `${new Date(Number(millis) + 9 * 3_600_000).toISOString().slice(0, -1)}+09:00`;
    for (const spelled of [Number(millis), utc.toISOString(), seoul]) {
      const { predictions } = await server.predict('instants', [{ seen: spelled }], false);
      assert.equal((predictions[0]!['probabilities'] as Row)['yes'], inSql!['p'], String(spelled));
    }
  });

  test('stands in the model with its version, so that no reader takes it for UTC', async () => {
    await train('instants', 'seen');
    const { model } = fileOf(house, 'main.instants', house.models.list().find(({ name }) => name === 'main.instants')!.versions.length);
    assert.ok(model.format === 'millrace-model');
    assert.equal(model.version, 3);
    await ask(`CREATE OR REPLACE MODEL groups OPTIONS(model_type = 'KMEANS', num_clusters = 3) AS SELECT seen FROM looks`);
    const groups = fileOf(house, 'main.groups', 1).model;
    assert.ok(groups.format === 'clusters');
    assert.equal(groups.clusters.version, 2);
  });
});

test('a clock is set as DuckDB sets it: summer times, half hours, a day left out, seconds', async () => {
  const zones = [
    'Asia/Seoul',
    'America/New_York',
    'Europe/London',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'Africa/Monrovia',
    'Asia/Kathmandu',
  ];
  const other = await openHouse();
  try {
    for (const zone of zones) {
      const clock = clockOf(zone);
      const around = clock.slice(1).flatMap(([since]) => [since - 1000, since, since + 1000]);
      const spread = Array.from({ length: 500 }, (_, i) => ((i * 104_729) % 500) * 86_400_000 * 30 + i * 1_234_000);
      const instants = [...around, ...spread].filter((at) => at >= 0 && at < Date.UTC(2037, 0, 1));
      const rows = await other.ask(
        `SELECT i, epoch_ms(to_timestamp(i / 1000) AT TIME ZONE '${zone}') - i AS ahead FROM (SELECT unnest([${instants.join(', ')}])::BIGINT AS i) ORDER BY i`,
      );
      assert.equal(rows.length, instants.length);
      for (const { i, ahead } of rows) {
        const own = clock.findLast(([since]) => since <= Number(i))![1];
        assert.equal(own, Number(ahead), `${zone} ${new Date(Number(i)).toISOString()}`);
      }
    }
  } finally {
    await other.close();
  }
});
