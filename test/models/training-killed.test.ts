import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { running, until, workspaceIn } from '../server/fixture.ts';
import { VISITORS } from './fixture.ts';

const front = fileURLToPath(new URL('../server/front.ts', import.meta.url));
const search = (budget: string) =>
  `CREATE OR REPLACE MODEL buyers OPTIONS(input_label_cols = ['bought'], ${budget}) AS SELECT * EXCLUDE (id, spent) FROM visitors`;

/** The training process of that workspace. */
function trainerIn(path: string): number | undefined {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map(Number)
    .find((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return words.includes('trainer') && words.includes(path);
      } catch {
        // It ended between the list and the look.
        return false;
      }
    });
}

test('a program that is killed in the middle of a training leaves no process and no file behind, and its champion serves again', async (t) => {
  const path = workspaceIn(t);
  const first = spawn(process.execPath, ['--conditions=source', front, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => first.kill('SIGKILL'));
  const [address, token] = JSON.parse(String((await once(first.stdout, 'data'))[0])) as [string, string];
  const call = async (method: string, url: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(address + url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    return { status: answer.status, json: (await answer.json()) as never };
  };
  const sql = (text: string) => call('POST', '/v1/query', { sql: text });
  await until(async () => (await sql('SELECT 1')).status === 200);
  assert.equal((await sql(VISITORS)).status, 200);
  assert.equal((await sql(search("model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 5"))).status, 200);
  const asked = { rows: [{ pages: 90, source: 'mail' }] };
  const served = (await call('POST', '/v1/models/buyers/predict', asked)).json;
  // Cut off by the kill.
  sql(search("budget = '10 minutes'")).catch(() => {});
  await until(async () => {
    const { trainings } = (await call('GET', '/v1/trainings')).json as { trainings: { progress: { best: unknown } | null }[] };
    return trainings[0]?.progress?.best != null;
  });
  assert.ok(trainerIn(path) !== undefined, 'a training runs');
  first.kill('SIGKILL');
  await once(first, 'exit');
  await until(async () => trainerIn(path) === undefined);
  const server = await running(t, { path });
  assert.deepEqual((await server.call('POST', '/v1/models/buyers/predict', { body: asked })).json, served);
  const models = join(path, '.millrace', 'models');
  assert.deepEqual([readdirSync(models), readdirSync(join(models, 'main.buyers'))], [['main.buyers'], ['1.json']]);
  assert.ok(
    !existsSync(join(path, '.millrace', 'tmp')) || readdirSync(join(path, '.millrace', 'tmp')).every((name) => !name.endsWith('.parquet')),
  );
  assert.ok(Array.isArray(await server.ask(search('num_trials = 1'))), 'the next training runs');
  assert.deepEqual(await server.ask('SELECT version FROM millrace.model ORDER BY version'), [[1], [2]]);
});
