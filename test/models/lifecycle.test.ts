import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelFile, openModels } from '#analyze';
import { modelPath, moveIntoPlace, readModelFile, writeAside } from '../../src/platform/models/file.ts';
import { replayRows } from '../../src/platform/models/golden.ts';
import { provenOnnx } from '../../src/platform/models/onnx/proven.ts';
import { replayScript, scriptOf } from '../../src/platform/models/script.ts';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { openWorkshop } from '../../src/platform/models/workshop.ts';
import { fileOf, type House, openHouse, refused, TREES, VISITORS } from './fixture.ts';

const TRAIN = `OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors`;
const LONG = `OPTIONS(input_label_cols = ['bought'], budget = '10 minutes') AS SELECT * FROM visitors`;

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);
const entry = (name: string) => house.told().find((each) => each.name === name)!;
const aside = () => readdirSync(join(house.dataPath, 'models')).filter((name) => name.startsWith('.'));

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !holds(); await sleep(20)) assert.ok(Date.now() < end, `in vain: ${what}`);
}

const training = (job: string) => house.models.trainings().find((each) => each.job === job);
const best = (job: string) => training(job)?.progress?.best ?? null;

describe('the life of a model', { timeout: 180_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
    await ask(`CREATE MODEL m ${TRAIN}`);
  });
  after(() => house.close());

  test('a version keeps its statement, its data’s batch and figures; its file has the hash of the row', async () => {
    const [row] = await ask('SELECT * FROM millrace.model');
    assert.match(row!['query'], /^CREATE MODEL m OPTIONS/);
    assert.equal(row!['rows'], 4000);
    const [batch] = await ask(`SELECT batch FROM millrace.batch WHERE target = 'main.visitors'`);
    assert.equal(row!['data_batch'], batch!['batch']);
    const file = readModelFile(modelPath(house.dataPath, 'main.m', 1), { name: 'main.m', version: 1, hash: row!['hash'] });
    assert.deepEqual(JSON.parse(row!['metrics']), file.model.report!.scores);
    assert.deepEqual((await ask('SELECT state, version FROM millrace.model_run'))[0], { state: 'done', version: 1 });
  });

  test('golden rows are two hundred, with missing values and categories that were never seen', () => {
    const { golden } = house.models.list().length === 1 ? fileOf(house, 'main.m', 1) : assert.fail();
    assert.ok(golden.rows.length >= 200);
    assert.equal(golden.answers.length, golden.rows.length);
    const known = new Set(['mail', 'search', 'ad', 'direct', null]);
    assert.ok(golden.rows.some((row) => !known.has(row['source'] as string | null)));
    for (const column of ['pages', 'source', 'seen', 'member'])
      assert.ok(
        golden.rows.some((row) => row[column] === null),
        column,
      );
  });

  test('the exported script gives the golden answers in a Node of its own, and needs no file beside it', () => {
    const file = fileOf(house, 'main.m', 1);
    const folder = mkdtempSync(join(tmpdir(), 'millrace-export-'));
    try {
      writeFileSync(join(folder, 'model.mjs'), scriptOf(file));
      const program = `import { predict } from './model.mjs';
        console.log(JSON.stringify(JSON.parse(process.argv[1]).map((row) => predict(row).probabilities)));`;
      const words = ['--input-type=module', '-e', program, JSON.stringify(file.golden.rows)];
      const answers = JSON.parse(execFileSync(process.execPath, words, { cwd: folder, env: {} }).toString()) as number[][];
      answers.forEach((answer, row) => {
        for (const [k, value] of answer.entries()) assert.ok(Math.abs(value - file.golden.answers[row]![k]!) < 1e-9);
      });
      assert.doesNotMatch(scriptOf(file).replaceAll(/"(?:[^"\\]|\\.)*"/g, ''), /^\s*import\b/m);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a target that answers otherwise is refused, whichever it is', async () => {
    const file = fileOf(house, 'main.m', 1);
    const broken = scriptOf(file).replace('Array.from(probabilities)', 'Array.from(probabilities, (p) => p + 2e-6)');
    await assert.rejects(replayScript(file, broken), refused('MODEL_GOLDEN', { target: 'as exported JavaScript' }));
    await assert.rejects(replayScript(file, 'export const predict = () => { throw new Error("no"); };'), refused('MODEL_GOLDEN'));
    await replayScript(file, scriptOf(file).replace('Array.from(probabilities)', 'Array.from(probabilities, (p) => p + 1e-8)'));
    // Each target by itself: what SQL gave, what a row over HTTP gets, what the bytes of the ONNX file say.
    const workshop = openWorkshop({ dataPath: house.dataPath, memory: 400e6, files: join(house.dataPath, 'shown'), timeZone: 'UTC' });
    const off = (by: number) => file.golden.answers.map((answer, row) => (row === 150 ? answer.map((p) => p + by) : answer));
    await workshop.prove(file, off(1e-8));
    await assert.rejects(workshop.prove(file, off(2e-6)), refused('MODEL_GOLDEN', { target: 'in SQL', row: 151 }));
    const otherwise = { ...file, golden: { ...file.golden, answers: off(2e-6) } };
    assert.throws(() => replayRows(otherwise), refused('MODEL_GOLDEN', { target: 'over HTTP', row: 151 }));
    const together = (by: number) => ({ answer: () => Float64Array.from(off(by).flat()) });
    replayRows(file, together(1e-8));
    assert.throws(() => replayRows(file, together(2e-6)), refused('MODEL_GOLDEN', { target: 'over HTTP, all rows at once', row: 151 }));
    assert.throws(() => provenOnnx(otherwise), refused('MODEL_GOLDEN', { target: 'as exported ONNX', row: 151 }));
    await assert.rejects(replayScript(otherwise, scriptOf(file)), refused('MODEL_GOLDEN', { target: 'as exported JavaScript', row: 151 }));
  });

  test('a new version takes over, a challenger waits; both are named, promoted and rolled back', async () => {
    await ask(`CREATE OR REPLACE MODEL m ${TRAIN}`);
    await ask(`CREATE MODEL m OPTIONS(${TREES}, input_label_cols = ['bought'], alias = 'challenger') AS SELECT * FROM visitors`);
    assert.deepEqual(entry('main.m').aliases, { challenger: 3, champion: 2 });
    assert.deepEqual((await house.models.promote('m@challenger', 'champion', 'ann')).aliases, { challenger: 3, champion: 3 });
    assert.equal((await house.models.rollBack('m', 'ann')).aliases['champion'], 2);
    assert.equal((await house.models.rollBack('m', 'ann')).aliases['champion'], 1);
    await assert.rejects(house.models.rollBack('m', 'ann'), refused('MODEL_UNKNOWN'));
    assert.deepEqual(await ask(`CREATE MODEL IF NOT EXISTS m ${TRAIN}`), [{ model: null }]);
    assert.equal(entry('main.m').versions.length, 3);
  });

  test('a changed file is refused, and the champion goes on', async () => {
    const path = modelPath(house.dataPath, 'main.m', 3);
    const before = readFileSync(path, 'utf8');
    const champion = house.told()[0]!.aliases['champion'];
    const problems: unknown[] = [];
    const server = openModelServer(house.dataPath, (thrown) => problems.push(thrown));
    server.update(house.told());
    const row = fileOf(house, 'main.m', 3).golden.rows[0]!;
    const served = await server.predict('m', [row], false);
    writeFileSync(path, before.replace('"format":"millrace-model-file"', '"format":"millrace-model-fila"'));
    const renamed = house.told().map((each) => ({ ...each, aliases: { ...each.aliases, champion: 3 } }));
    server.update(renamed);
    assert.deepEqual(await server.predict('m', [row], false), { ...served, version: champion });
    assert.equal(problems.length, 1);
    await assert.rejects(server.predict('m@3', [row], false), refused('MODEL_FILE'));
    rmSync(path);
    await assert.rejects(server.predict('m@3', [row], false), refused('MODEL_FILE'));
    writeFileSync(path, before);
    server.update(renamed);
    assert.equal((await server.predict('m', [row], false)).version, 3);
  });

  test('champions take no more memory than there is for models, and what a file tells is read once', async () => {
    await ask(`CREATE MODEL small ${TRAIN}`);
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)), 1);
    server.update(house.told());
    const row = fileOf(house, 'main.small', 1).golden.rows[0]!;
    const { inputs, model } = fileOf(house, 'main.small', 1);
    for (const name of ['small', 'm', 'small']) await server.predict(name, [row], false);
    assert.deepEqual(server.about('small').facts.inputs, inputs);
    await server.predict('m', [row], false);
    rmSync(modelPath(house.dataPath, 'main.small', 1));
    await assert.rejects(server.predict('small', [row], false), refused('MODEL_FILE'));
    assert.deepEqual(server.about('small@1').facts.report, model.report);
  });

  test('scripts are tried one at a time, however many ask for one', async () => {
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, childrenOf(process.pid, '--input-type=module').length);
    }, 5);
    await Promise.all([1, 2, 3, 4].map(() => server.exported('m', 'js')));
    clearInterval(watch);
    assert.equal(most, 1);
  });

  test('a version whose file was changed on disk can be neither promoted nor rolled back to, though it is in memory', async () => {
    await ask(`CREATE MODEL kept ${TRAIN}`);
    await ask(`CREATE OR REPLACE MODEL kept ${TRAIN}`);
    const path = modelPath(house.dataPath, 'main.kept', 1);
    const before = readFileSync(path);
    assert.equal((await ask('SELECT * FROM ML.PREDICT(MODEL kept@1, TABLE visitors)')).length, 4000);
    writeFileSync(path, before.toString().replace('"millrace-model-file"', '"millrace-model-fila"'));
    await assert.rejects(house.models.promote('kept@1', 'champion', 'ann'), refused('MODEL_FILE'));
    await assert.rejects(house.models.rollBack('kept', 'ann'), refused('MODEL_FILE'));
    await assert.rejects(ask(`ALTER MODEL kept@1 SET OPTIONS(alias = 'champion')`), refused('MODEL_FILE'));
    assert.equal(entry('main.kept').aliases['champion'], 2);
    writeFileSync(path, before);
    assert.equal((await house.models.rollBack('kept', 'ann')).aliases['champion'], 1);
    await ask('DROP MODEL kept');
  });

  test('a file with other golden answers can’t be promoted', async () => {
    const path = modelPath(house.dataPath, 'main.m', 2);
    const file = JSON.parse(readFileSync(path, 'utf8')) as ModelFile;
    const wrong = file.golden.answers.map((answer, row) => (row === 7 ? answer.map((value) => 1 - value) : answer));
    const fresh = `${path}.new`;
    const { hash } = writeAside(fresh, { ...file, golden: { ...file.golden, answers: wrong } });
    const before = readFileSync(path);
    moveIntoPlace(fresh, path);
    const was = entry('main.m').aliases['champion'];
    await house.store.write(async (tx) => {
      await tx.run('UPDATE millrace.model SET hash = $1 WHERE version = 2', [hash]);
    });
    await house.models.promote('m@1', 'spare', 'ann');
    await assert.rejects(house.models.promote('m@2', 'champion', 'ann'), refused('MODEL_GOLDEN', { row: 8, target: 'in SQL' }));
    assert.equal(entry('main.m').aliases['champion'], was);
    writeFileSync(path, before);
  });

  test('a model that is dropped while it serves is unknown from then on, and its files are gone', async () => {
    await ask(`CREATE MODEL gone ${TRAIN}`);
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const row = fileOf(house, 'main.gone', 1).golden.rows[0]!;
    await server.predict('gone', [row], false);
    await ask('DROP MODEL gone');
    server.update(house.told());
    await assert.rejects(server.predict('gone', [row], false), refused('MODEL_UNKNOWN'));
    assert.ok(!existsSync(join(house.dataPath, 'models', 'main.gone')));
    await assert.rejects(ask('SELECT * FROM ML.PREDICT(MODEL gone, TABLE visitors)'), refused('MODEL_UNKNOWN'));
    await ask('DROP MODEL IF EXISTS gone');
  });

  test('a search that is ended keeps the best model so far', async () => {
    const asked = ask(`CREATE MODEL ended ${LONG}`, { job: 'ended' });
    await until(() => best('ended') !== null, 'a first model');
    assert.ok(house.models.stop('ended'));
    await asked;
    assert.equal(fileOf(house, 'main.ended', 1).model.report!.stopped, true);
    assert.equal(house.models.stop('ended'), false);
  });

  test('a cancelled training leaves nothing, and what there was goes on serving', async () => {
    const was = entry('main.m');
    const asked = ask(`CREATE OR REPLACE MODEL m ${LONG}`, { job: 'cancelled' });
    await until(() => best('cancelled') !== null, 'a first model');
    house.cancel('cancelled');
    await assert.rejects(asked, refused('QUERY_CANCELLED'));
    await until(() => training('cancelled') === undefined, 'its end');
    assert.deepEqual(entry('main.m'), was);
    assert.deepEqual(aside(), []);
    assert.deepEqual(readdirSync(house.store.folders.slices), []);
    assert.deepEqual((await ask(`SELECT state, code FROM millrace.model_run WHERE job = 'cancelled'`))[0], {
      state: 'failed',
      code: 'MODEL_STOPPED',
    });
  });

  test('trainings that go on or wait take no place from questions', async () => {
    const jobs = ['t1', 't2', 't3', 't4', 't5'];
    const trainings = jobs.map((job) => ask(`CREATE MODEL ${job} ${LONG}`, { job }).catch((thrown: unknown) => thrown));
    await until(() => jobs.every((job) => ['training', 'waiting'].includes(training(job)?.state ?? '')), 'the trainings');
    assert.deepEqual(await ask('SELECT 1 AS one'), [{ one: 1 }]);
    for (const job of jobs) house.cancel(job);
    for (const ended of await Promise.all(trainings)) assert.equal((ended as { code?: string }).code, 'QUERY_CANCELLED');
  });

  test('a training process that is killed is a coded error, and the next training runs', async () => {
    const asked = ask(`CREATE MODEL killed ${LONG}`, { job: 'killed' });
    await until(() => best('killed') !== null, 'a first model');
    process.kill(trainerOf(process.pid), 'SIGKILL');
    await assert.rejects(asked, refused('MODEL_TRAINER', { reason: 'SIGKILL' }));
    assert.equal(entry('main.killed'), undefined);
    await ask(`CREATE MODEL killed ${TRAIN}`);
    assert.equal(entry('main.killed').aliases['champion'], 1);
  });

  test('models are there after a restart of the warehouse', async () => {
    const was = house.models.list();
    const again = await openModels({
      store: house.store,
      workshop: openWorkshop({ dataPath: house.dataPath, memory: 3e8, files: join(house.dataPath, 'shown'), timeZone: 'UTC' }),
      onChange: () => assert.fail(),
    });
    assert.deepEqual(again.list(), was);
  });
});

describe('ALTER MODEL', { timeout: 60_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
    for (let version = 1; version <= 2; version++) await ask(`CREATE OR REPLACE MODEL m ${TRAIN}`);
  });
  after(() => house.close());

  test('an alias, a description and what is logged are set; what makes no sense is refused and changes nothing', async () => {
    await ask(`ALTER MODEL m@1 SET OPTIONS(alias = 'champion', description = 'who buys', log_topic = 'asked', log_share = 0.5)`);
    assert.deepEqual(entry('main.m').aliases, { champion: 1 });
    const was = { description: 'who buys', log_topic: 'asked', log_share: 0.5 };
    assert.deepEqual(entry('main.m').settings, was);
    for (const [sql, code] of [
      [`ALTER MODEL m SET OPTIONS(log_share = 2)`, 'MODEL_OPTION'],
      [`ALTER MODEL m SET OPTIONS(colour = 'red')`, 'MODEL_OPTION'],
      [`ALTER MODEL m SET OPTIONS(alias = 'no alias')`, 'MODEL_OPTION'],
      [`ALTER MODEL m@9 SET OPTIONS(description = 'x')`, 'MODEL_UNKNOWN'],
      [`ALTER MODEL nope SET OPTIONS(description = 'x')`, 'MODEL_UNKNOWN'],
      [`ALTER MODEL m SET DEFAULT`, 'SQL_SYNTAX'],
    ] as const)
      await assert.rejects(ask(sql), refused(code), sql);
    assert.deepEqual(entry('main.m').settings, was);
    assert.equal((await ask(`ALTER MODEL IF EXISTS nope SET OPTIONS(description = 'x')`))[0]!['model'], null);
  });

  test('a model that is renamed keeps its versions, aliases and settings, answers under the new name only, and takes no other’s name', async () => {
    const was = entry('main.m');
    await ask('ALTER MODEL m RENAME TO n');
    assert.deepEqual(entry('main.n'), { ...was, name: 'main.n' });
    assert.equal((await ask('SELECT * FROM ML.PREDICT(MODEL n@2, TABLE visitors)')).length, 4000);
    await assert.rejects(ask('SELECT * FROM ML.PREDICT(MODEL m, TABLE visitors)'), refused('MODEL_UNKNOWN'));
    assert.ok(!existsSync(join(house.dataPath, 'models', 'main.m')));
    await ask(`CREATE MODEL m ${TRAIN}`);
    await assert.rejects(ask('ALTER MODEL m RENAME TO n'), refused('MODEL_EXISTS', { model: 'main.n' }));
    await assert.rejects(ask('ALTER MODEL m RENAME TO "Not a name"'), refused('TABLE_NAME'));
    assert.deepEqual(
      house.told().map(({ name }) => name),
      ['main.m', 'main.n'],
    );
  });
});

test('a training that outgrows its memory is ended with a coded error', { timeout: 60_000 }, async () => {
  const small = await openHouse(undefined, 90_000_000);
  try {
    await small.ask(VISITORS);
    await assert.rejects(small.ask(`CREATE MODEL m ${TRAIN}`), refused('MODEL_MEMORY'));
    assert.deepEqual(small.told(), []);
  } finally {
    await small.close();
  }
});

/** The process that runs trainer.ts for this one. */
function trainerOf(parent: number): number {
  const found = childrenOf(parent, 'trainer.ts');
  assert.equal(found.length, 1);
  return Number(found[0]);
}

/** Processes of a parent that have this in their command line, from the kernel's list. */
function childrenOf(parent: number, word: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return ppid === parent && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word);
    } catch {
      // It ended between the list and the look.
      return false;
    }
  });
}
