// A record a second into each of 200 topics, with and without a client that asks all the time: how fast does the warehouse's file grow, once it has what the topics need? (--quick: the last setting alone.)
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, buildProgram, newWorkspace, processTree, query, residentBytes, startProgram, untilDelivered, untilReady } from './program.ts';
import { type Figure, type Goal, report } from './report.ts';

/** kB a second: 8.6 GB a day. */
const MOST = 100;
/** Seconds before it is measured. */
const SETTLES = { quick: 30, whole: 120 };
const OWN_FIELDS = 15;
const topic =
  'id: event_id\ntime: at\ntype: kind\nfields:\n  event_id: text\n  at: timestamp\n  kind: text\n' +
  Array.from({ length: OWN_FIELDS }, (_, k) => `  own${k}: text\n`).join('');
/** Some 0.2 s of computing. */
const heavy = 'SELECT k % 100000 AS g, count(*), avg(v), max(w) FROM main.history GROUP BY g ORDER BY 2 DESC LIMIT 10';

interface Setting {
  readonly key: string;
  readonly title: string;
  readonly topics: number;
  readonly asking: boolean;
}

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const seconds = quick ? 15 : 60;
  const home = buildProgram();
  const settings: Setting[] = [
    { key: 'some', title: '20 topics', topics: 20, asking: true },
    { key: 'many', title: '200 topics', topics: 200, asking: false },
    { key: 'many_asked', title: '200 topics, asked all the time', topics: 200, asking: true },
  ];
  const figures: Record<string, Figure> = {};
  const goals: Goal[] = [];
  for (const setting of settings.slice(quick ? -1 : 0)) {
    const { grown, size, most, lost } = await measure(home, setting, seconds, quick ? SETTLES.quick : SETTLES.whole);
    const { key, title } = setting;
    figures[`${key}_grown`] = { title: `${title}: the file grows by`, unit: 'kB/s', value: grown / 1000 / seconds };
    figures[`${key}_size`] = { title: '  its size then', unit: 'MB', value: size / 1e6 };
    figures[`${key}_memory`] = { title: '  most memory of all processes', unit: 'MB', value: most / 1e6 };
    figures[`${key}_lost`] = { title: '  records lost or doubled', value: lost };
    goals.push({ figure: `${key}_grown`, at: 'most', value: MOST }, { figure: `${key}_lost`, at: 'most', value: 0 });
  }
  report({ bench: 'trickle', figures, goals });
}

async function measure(home: string, { topics, asking }: Setting, seconds: number, settles: number) {
  const names = Array.from({ length: topics }, (_, k) => `device_${k}`);
  const workspace = newWorkspace(home, Object.fromEntries(names.map((name) => [name, topic])));
  const { running, stop } = await startProgram({ home, workspace });
  await untilReady(running);
  // A slow statement comes before, as it does in a day.
  await query(running, 'CREATE TABLE main.history AS SELECT k, random() AS v, md5(k::VARCHAR) AS w FROM range(2000000) t(k)');
  const file = join(workspace, '.millrace', 'warehouse.duckdb');
  let [n, most] = [0, 0];
  const round = async () => {
    const began = performance.now();
    const sent = names.map((name) => {
      const own = Object.fromEntries(Array.from({ length: OWN_FIELDS }, (_, k) => [`own${k}`, `v${n % 97}`]));
      const record = { event_id: `e-${n++}`, at: new Date().toISOString(), kind: 'k', ...own };
      return ask(running, 'POST', `/v1/topics/${name}/records`, JSON.stringify([record]));
    });
    for (const { status } of await Promise.all(sent)) if (status !== 200) throw new Error(`a record was answered ${status}`);
    most = Math.max(
      most,
      processTree(running.pid).reduce((sum, pid) => sum + residentBytes(pid), 0),
    );
    await sleep(Math.max(0, 1000 - (performance.now() - began)));
  };
  let over = false;
  const reading = asking
    ? readAll(
        () => query(running, heavy),
        () => over,
      )
    : Promise.resolve();
  // The first rows make the tables, and the first blocks of a few rows each, which are taken again after they were joined.
  for (let k = 0; k < settles; k++) await round();
  const before = statSync(file).size;
  for (let k = 0; k < seconds; k++) await round();
  const { size } = statSync(file);
  over = true;
  await reading;
  await untilDelivered(running);
  let stored = 0;
  for (const name of names) stored += Number((await query(running, `SELECT count(*) FROM raw.${name}`))[0]![0]);
  await stop();
  return { grown: size - before, size, most, lost: Math.abs(n - stored) };
}

async function readAll(read: () => Promise<unknown>, over: () => boolean): Promise<void> {
  while (!over()) await read();
}

await main();
