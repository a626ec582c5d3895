import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '#store';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { type House, openHouse, refused, TREES, VISITORS } from './fixture.ts';

const TRAIN = `OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors`;
const LONG = `OPTIONS(input_label_cols = ['bought'], budget = '10 minutes') AS SELECT * FROM visitors`;

describe('changes of models that meet', { timeout: 180_000 }, () => {
  let house: House;
  /** The registry's tables are read only once this is done. */
  let gate: Promise<unknown> = Promise.resolve();
  const slow = (store: Store): Store => ({
    ...store,
    async rows(sql, values) {
      if (/FROM millrace\.model/.test(sql)) await gate;
      return store.rows(sql, values);
    },
  });
  const ask: House['ask'] = (sql, more) => house.ask(sql, more);
  const entry = (name: string) => house.told().find((each) => each.name === name);
  const training = (job: string) => house.models.trainings().find((each) => each.job === job);
  async function until(holds: () => boolean, what: string): Promise<void> {
    for (const end = Date.now() + 60_000; !holds(); await sleep(5)) assert.ok(Date.now() < end, `in vain: ${what}`);
  }
  before(async () => {
    house = await openHouse(undefined, undefined, slow);
    await ask(VISITORS);
  });
  after(() => house.close());

  test('a version that is made while its model is dropped, or gets another name, keeps its file', async () => {
    for (const [name, change] of [
      ['dropped', 'DROP MODEL dropped'],
      ['renamed', 'ALTER MODEL renamed RENAME TO fresh'],
    ] as const) {
      await ask(`CREATE MODEL ${name} ${TRAIN}`);
      const release = Promise.withResolvers<void>();
      gate = release.promise;
      const changing = ask(change);
      const creating = ask(`CREATE OR REPLACE MODEL ${name} ${TRAIN}`, { job: name });
      await until(() => training(name)?.state === 'checking', 'its checks');
      await sleep(1000);
      release.resolve();
      await Promise.all([changing, creating]);
      assert.deepEqual(
        entry(`main.${name}`)!.versions.map(({ version }) => version),
        [1],
      );
      assert.equal((await ask(`SELECT * FROM ML.PREDICT(MODEL ${name}, TABLE visitors)`)).length, 4000);
    }
    assert.equal((await ask('SELECT * FROM ML.PREDICT(MODEL fresh, TABLE visitors)')).length, 4000);
  });

  test('of two who make a model of one name at once, one is told that it exists', async () => {
    const made = await Promise.allSettled([1, 2].map(() => ask(`CREATE MODEL twice ${TRAIN}`)));
    const failed = made.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    assert.equal(failed.length, 1);
    refused('MODEL_EXISTS', { model: 'main.twice' })(failed[0]);
    assert.equal(entry('main.twice')!.versions.length, 1);
  });

  test('a model that is dropped while it is promoted has no alias after', async () => {
    await ask(`CREATE MODEL brief ${TRAIN}`);
    const promoting = assert.rejects(house.models.promote('brief@1', 'spare', 'ann'), refused('MODEL_UNKNOWN'));
    await ask('DROP MODEL brief');
    await promoting;
    assert.deepEqual(await ask(`SELECT * FROM millrace.model_alias WHERE name = 'main.brief'`), []);
  });

  test('rolling back passes over a version that was named twice, as often as there was another before', async () => {
    for (let version = 1; version <= 3; version++) await ask(`CREATE OR REPLACE MODEL again ${TRAIN}`);
    for (const version of [2, 2, 3, 3]) await house.models.promote(`again@${version}`, 'champion', 'ann');
    // Champions so far: 1, 2, 3, 2, 2, 3, 3.
    for (const version of [2, 3, 2, 1]) assert.equal((await house.models.rollBack('again', 'ann')).aliases['champion'], version);
    await assert.rejects(house.models.rollBack('again', 'ann'), refused('MODEL_UNKNOWN'));
    await house.models.promote('again@3', 'champion', 'ann');
    assert.equal((await house.models.rollBack('again', 'ann')).aliases['champion'], 1);
  });

  test('a model and a contribution analysis have no name in common', async () => {
    await ask(`CREATE MODEL named ${TRAIN}`);
    const why = (name: string) =>
      ask(`CREATE OR REPLACE MODEL ${name} OPTIONS(model_type = 'CONTRIBUTION_ANALYSIS', contribution_metric = 'SUM(spent)', is_test_col = 'member',
        dimension_id_cols = ['source']) AS SELECT source, spent, member FROM visitors`);
    await why('reasons');
    await assert.rejects(why('named'), refused('MODEL_EXISTS'));
    await assert.rejects(ask(`CREATE OR REPLACE MODEL reasons ${TRAIN}`), refused('MODEL_EXISTS'));
    await assert.rejects(ask('ALTER MODEL named RENAME TO reasons'), refused('MODEL_EXISTS', { model: 'main.reasons' }));
    assert.ok(!existsSync(join(house.dataPath, 'models', 'main.reasons')));
  });

  test('a model that was renamed answers under its new name, whoever has the old one', async () => {
    await ask(`CREATE MODEL former ${TRAIN}`);
    await ask('ALTER MODEL former RENAME TO later');
    await ask(`CREATE MODEL former ${TRAIN}`);
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    for (const name of ['later', 'former']) assert.equal((await server.predict(name, [{ pages: 3 }], false)).model, `main.${name}`);
    assert.equal((JSON.parse(String(await server.exported('later', 'json'))) as { name: string }).name, 'main.later');
  });

  test('a training that waits for another ends at once when it is stopped or cancelled, and the one under way goes on', async () => {
    const first = ask(`CREATE MODEL first ${LONG}`, { job: 'first' });
    await until(() => training('first')?.progress?.best != null, 'a first model');
    const stopped = assert.rejects(ask(`CREATE MODEL second ${LONG}`, { job: 'second' }), refused('LEARN_STOPPED'));
    const cancelled = assert.rejects(ask(`CREATE MODEL third ${LONG}`, { job: 'third' }), refused('QUERY_CANCELLED'));
    await until(() => training('second')?.state === 'waiting' && training('third')?.state === 'waiting', 'two that wait');
    assert.ok(house.models.stop('second'));
    house.cancel('third');
    await Promise.all([stopped, cancelled]);
    assert.equal(training('first')?.state, 'training');
    assert.ok(house.models.stop('first'));
    await first;
    assert.equal(entry('main.first')!.versions.length, 1);
  });

  test('a training that is stopped while it reads its rows is not begun', async () => {
    const rows = 'SELECT v.* FROM visitors v, range(5000) t(i) WHERE hash(v.id, i) % 5000 = 0';
    const asked = assert.rejects(
      ask(`CREATE MODEL unread OPTIONS(${TREES}, input_label_cols = ['bought']) AS ${rows}`, { job: 'unread' }),
      refused('LEARN_STOPPED'),
    );
    await until(() => training('unread')?.state === 'reading', 'its reading');
    assert.ok(house.models.stop('unread'));
    await asked;
    assert.equal(entry('main.unread'), undefined);
  });
});
