/** Opens the warehouse in the folder that is given, says what is there, and delivers until it is killed: new fields and changed types among them. */
import { openStore } from '#store';
import { parseTopic } from '#workspace';
import { delivery, opening } from './fixture.ts';

const EACH = 400;
const topic = parseTopic('visits', 'id: id\nfields:\n  id: text\n', 'topics/visits.yaml');
const store = await openStore({ ...opening(process.argv[2]!), checkpointAt: 200_000 });
process.once('disconnect', () => process.exit(1));
await store.prepare([topic]);
const [held] = await store.rows(
  'SELECT count(*) AS rows, count(DISTINCT id) AS ids, coalesce(max(id::INTEGER) + 1, 0) AS next FROM raw.visits',
);
let next = Number(held!['next']);
process.send!({ rows: Number(held!['rows']), ids: Number(held!['ids']), next });
for (let round = 0; ; round++) {
  const records = Array.from({ length: EACH }, (_, k) => ({
    // The field of each tenth round begins as a number and is text in the next.
    json: JSON.stringify({ id: String(next + k), page: 'x'.repeat(100), [`n${Math.floor(next / EACH / 10)}`]: round % 2 ? 'one' : 1 }),
    id: String(next + k),
  }));
  await store.deliver([delivery(topic, store.positions().get('visits') ?? 0, records)]);
  // Not a delivery: its checkpoint clears what was deleted.
  if (round % 7 === 3)
    await store.write(async (tx) => {
      await tx.run(
        'CREATE OR REPLACE TABLE main.some AS SELECT * FROM raw.visits LIMIT 1000; DELETE FROM main.some WHERE id::INTEGER % 2 = 0',
      );
      tx.changed({ kind: 'statement', target: 'main.some', rows: 0 });
    });
  next += EACH;
  process.send!({ delivered: next });
}
