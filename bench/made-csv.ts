/** Writes lines like lineitem's into a file and says how many seconds DuckDB alone takes to read it into a table. Arguments: the file, rows. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

/** About 126 bytes a row. */
function writeLines(path: string, rows: number): void {
  const instruct = ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'];
  const mode = ['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'];
  const days = Array.from({ length: 2600 }, (_, k) => new Date(Date.UTC(1992, 0, 2 + k)).toISOString().slice(0, 10));
  const file = openSync(path, 'w');
  let lines: string[] = [];
  for (let s = 0; s < rows; s++) {
    const comment = `carefully regular deposits ${((s * 2_654_435_761) % 4_294_967_296).toString(16)} sleep furiously`.slice(
      0,
      10 + (s % 34),
    );
    const money = [(s % 50) + 1, ((s * 31) % 9_490_000) / 100 + 901, (s % 11) / 100, (s % 9) / 100].map((value) => value.toFixed(2));
    const keys = [Math.floor(s / 4) + 1, ((s * 7919) % 200_000) + 1, ((s * 104_729) % 10_000) + 1, (s % 4) + 1];
    const shipped = [days[(s * 13) % 2500], days[29 + ((s * 17) % 2450)], days[2 + ((s * 13) % 2500)]];
    lines.push([...keys, ...money, 'NRA'[s % 3], 'OF'[s % 2], ...shipped, instruct[s % 4], mode[s % 7], comment].join(','));
    if (lines.length < 20_000 && s + 1 < rows) continue;
    writeSync(file, `${lines.join('\n')}\n`);
    lines = [];
  }
  closeSync(file);
}

async function duckSeconds(csv: string): Promise<number> {
  const path = `${csv}.duckdb`;
  const instance = await DuckDBInstance.create(path, { threads: '2', memory_limit: '500MB' });
  const connection = await instance.connect();
  const began = performance.now();
  await connection.run(`CREATE TABLE t AS SELECT * FROM read_csv('${csv}', sample_size = -1, header = false)`);
  const seconds = (performance.now() - began) / 1000;
  connection.closeSync();
  instance.closeSync();
  rmSync(path, { force: true });
  return seconds;
}

const [path, rows] = process.argv.slice(2) as [string, string];
writeLines(path, Number(rows));
process.send!(await duckSeconds(path));
process.disconnect();
