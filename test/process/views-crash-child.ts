/** Writes to a warehouse with views until it is killed: inserts, updates and deletes, each with its change record. */
import { openKeeper } from '#process';
import { readStatement } from '#sql';
import { openStore } from '#store';
import { definitions } from './views-crash-definitions.ts';

const [folder, seed] = process.argv.slice(2) as [string, string];
const store = await openStore({ dataPath: folder, memory: 400e6, threads: 2 });
const files = {
  list: () => Object.entries(definitions).map(([name, text]) => ({ name, file: name, text })),
  save: () => {},
  remove: () => {},
};
await store.write(async (tx) => {
  await tx.run('CREATE TABLE IF NOT EXISTS main.account (id BIGINT, owner VARCHAR, balance DECIMAL(18,2), _batch BIGINT)');
  await tx.run('CREATE TABLE IF NOT EXISTS change."main.account" AS FROM main.account LIMIT 0');
  tx.changed({ kind: 'transfer', target: 'main.account', rows: 0 });
});
const keeper = await openKeeper({ store, files, onProblem: (problem) => process.send!({ problem: String(problem) }) });
const problems = await keeper.define();
if (problems.length > 0) process.send!({ problem: JSON.stringify(problems) });
process.send!({ ready: true });
let checking = false;
process.on('message', async () => {
  checking = true;
  // The lane is in order: behind this write no other is on its way.
  await store.write(async () => {});
  await keeper.settle(20_000);
  const differing: string[] = [];
  for (const [name, text] of Object.entries(definitions)) {
    const reader = await store.reader();
    const statement = await readStatement(text, (part) => reader.serialize(part));
    reader.close();
    if (statement.kind !== 'create_materialized_view') continue;
    const kept = `SELECT * EXCLUDE (_batch) FROM ${name}`;
    const [row] = await store.rows(
      `SELECT (SELECT count(*) FROM (${kept} EXCEPT ALL (${statement.body}))) + (SELECT count(*) FROM ((${statement.body}) EXCEPT ALL ${kept})) AS n`,
    );
    if (Number(row!['n']) > 0) differing.push(name);
  }
  const [count] = await store.rows('SELECT count(*) AS n FROM main.account');
  process.send!({ differing, rows: Number(count!['n']) });
});

let state = Number(seed) + 1;
const below = (limit: number): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};
while (!checking) {
  await store.write(async (tx) => {
    const key = below(200);
    const rows = await tx.run(
      `INSERT INTO change."main.account" SELECT * EXCLUDE (_batch), ${tx.batch} FROM main.account WHERE id BETWEEN ${key} AND ${key + 5}`,
    );
    await tx.run(`DELETE FROM main.account WHERE id BETWEEN ${key} AND ${key + 5}`);
    const kept = below(6);
    await tx.run(
      `INSERT INTO main.account SELECT ${key} + i, 'o' || (${below(20)} + i) % 20, ${below(10_000)} / 100.0, ${tx.batch} FROM range(${kept}) AS r(i)`,
    );
    tx.changed({ kind: 'transfer', target: 'main.account', rows: rows + kept });
  });
  await new Promise((resolve) => setTimeout(resolve, below(4)));
}
