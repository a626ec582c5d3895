/** DuckDB by itself in a process of its own, with the settings that Millrace gives it: runs what it is sent and says how long it took. */
import { DuckDBInstance } from '@duckdb/node-api';

const [file, threads, memory] = process.argv.slice(2) as [string, string, string];
const instance = await DuckDBInstance.create(file);
const connection = await instance.connect();
await connection.run(`SET threads = ${threads}; SET memory_limit = '${memory}'`);

process.on('message', async (sql: string) => {
  const began = performance.now();
  const reader = await connection.runAndReadAll(sql);
  process.send!({ took: performance.now() - began, rows: reader.currentRowCount });
});
process.once('disconnect', () => process.exit());
process.send!('ready');
