import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ModelServer, openModelServer } from '../../src/platform/models/serve.ts';
import { type House, openHouse, type Row, refused, TREES, VISITORS } from './fixture.ts';

let house: House;
let server: ModelServer;

/** One at a time, which never goes by columns. */
const singly = async (model: string, rows: readonly Row[]) =>
  (await Promise.all(rows.map((row) => server.predict(model, [row], false)))).flatMap(({ predictions }) => predictions);
const together = async (model: string, rows: readonly Row[]) => (await server.predict(model, rows, false)).predictions;

describe('many rows in one request', { timeout: 120_000 }, () => {
  let rows: readonly Row[];

  before(async () => {
    house = await openHouse();
    await house.ask(VISITORS);
    await house.ask(`CREATE MODEL trees OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors`);
    await house.ask(
      `CREATE MODEL line OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['spent'], ignore_cols = ['id']) AS SELECT * EXCLUDE (bought) FROM visitors`,
    );
    await house.ask(
      `CREATE MODEL members OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 5, input_label_cols = ['member']) AS SELECT * FROM visitors`,
    );
    await house.ask(
      `CREATE MODEL flags OPTIONS(model_type = 'LOGISTIC_REG', input_label_cols = ['bought']) AS SELECT member::VARCHAR AS member, source, bought FROM visitors`,
    );
    server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const told = await house.ask('SELECT pages, source, member, epoch_ms(seen) AS seen, spent, id FROM visitors ORDER BY id LIMIT 700');
    // As JSON has them: absent, null, never seen, spelled otherwise, times as text, numbers as text in a column of their own.
    rows = told.map((row, n) => {
      const { source, pages, ...rest } = row;
      return {
        ...rest,
        ...(n % 7 === 0 ? {} : { source: n % 11 === 0 ? null : n % 13 === 0 ? 'never seen' : ` ${source} ` }),
        ...(n % 5 === 0 ? {} : { pages }),
      };
    });
  });
  after(() => house.close());

  for (const model of ['trees', 'line', 'members', 'flags'])
    test(`${model}: each row is answered as it is alone, to the bit`, async () => {
      assert.deepEqual(await together(model, rows), await singly(model, rows));
    });

  for (const [what, change] of [
    ['texts in place of numbers', (row: Row) => ({ ...row, pages: String(row['pages'] ?? 3) })],
    ['numbers and texts in one column', (row: Row, n: number) => ({ ...row, pages: n % 2 === 0 ? 7 : '7' })],
    ['flags in place of a number', (row: Row, n: number) => ({ ...row, pages: n % 2 === 0 })],
    ['flags in place of a category', (row: Row, n: number) => ({ ...row, source: n % 2 === 0 })],
    ['numbers in place of a category', (row: Row, n: number) => ({ ...row, source: n })],
    ['times as text', (row: Row) => ({ ...row, seen: new Date(row['seen']).toISOString() })],
    ['times as text beside numbers', (row: Row, n: number) => (n % 2 ? row : { ...row, seen: new Date(row['seen']).toISOString() })],
    ['a column that no row has', ({ source: _, ...row }: Row) => row],
    ['a name that objects have by themselves', (row: Row) => ({ ...row, constructor: 1, toString: null })],
  ] as const)
    test(`${what} are answered as one at a time`, async () => {
      const changed = rows.map((row, n) => change(row, n));
      for (const model of ['trees', 'flags']) assert.deepEqual(await together(model, changed), await singly(model, changed));
    });

  test('a class may be called what every object inherits', async () => {
    await house.ask(`CREATE MODEL odd OPTIONS(model_type = 'LOGISTIC_REG', input_label_cols = ['what']) AS
      SELECT CASE WHEN bought = 'yes' THEN '__proto__' ELSE 'constructor' END AS what, pages, source FROM visitors`);
    server.update(house.told());
    const { predictions } = await server.predict('odd', [{ pages: 3 }], false);
    const chances = Object.entries(predictions[0]!['probabilities'] as Record<string, number>);
    assert.deepEqual(
      chances.map(([label]) => label),
      ['__proto__', 'constructor'],
    );
    assert.ok(Math.abs(chances[0]![1] + chances[1]![1] - 1) < 1e-9);
  });

  test('one row among many that can not be read refuses the request, with the words of the row', async () => {
    for (const bad of [{ nothing: 1 }, { pages: 'many' }, { pages: [1] }, { source: { a: 1 } }, { seen: 'yesterday' }]) {
      const changed = rows.map((row, n) => (n === 600 ? bad : row));
      const alone = await server.predict('trees', [bad], false).then(
        () => assert.fail('it was read'),
        (thrown: Error) => thrown.message,
      );
      await assert.rejects(together('trees', changed), (thrown: Error) => refused('MODEL_INPUT')(thrown) && thrown.message === alone);
    }
  });
});
