import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { sessionRules, sessionViews } from '#process';
import { recogniseExport, stagingTable } from '#simulate';
import { parseTopic } from '#workspace';
import { openViews, type Sent, shuffled, type Views } from './views-fixture.ts';

const data = process.env['MILLRACE_DATA'] ?? resolve(import.meta.dirname, '../../../shared/data');
const file = join(data, 'ga-merch-sessions', 'ga_sample.parquet');
const rules = Object.keys(sessionRules) as (keyof typeof sessionRules)[];
/** The store's property counts in Pacific time: its `date` and the times of its hits agree in that zone. */
const ZONE = 'America/Los_Angeles';

async function hits(): Promise<{ topic: ReturnType<typeof parseTopic>; records: Sent[] }> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  await connection.run(`SET TimeZone = 'UTC'; CREATE SCHEMA staging; CREATE TABLE ${stagingTable} AS FROM '${file}'`);
  const columns = (await connection.runAndReadAll(`DESCRIBE ${stagingTable}`)).getRowsJson();
  const kind = recogniseExport(
    'ga_sample.parquet',
    columns.map(([name, type]) => ({ name: String(name), type: String(type) })),
  );
  const rows = (await connection.runAndReadAll(`SELECT to_json(r)::VARCHAR FROM (${kind.records}) AS r`)).getRowsJson();
  connection.closeSync();
  instance.closeSync();
  const records = rows.map(([text]) => {
    const json = JSON.parse(String(text)) as Record<string, unknown>;
    return { id: String(json['hit_id']), micros: Number(json['hit_time']) * 1000, json };
  });
  return { topic: parseTopic(kind.topic, kind.topics[kind.topic]!, 'topics/ga_hits.yaml'), records };
}

describe('hits of a day of the Google Merchandise Store', { skip: existsSync(file) ? false : `${file} is absent` }, () => {
  let views: Views;
  const definitions = rules.flatMap((rule) =>
    sessionViews({
      topic: 'ga_hits',
      rule,
      timeZone: ZONE,
      schema: `s_${rule}`,
      pageViews: ['PAGE'],
      keyEvents: [],
      fields: {
        ...{ anonymous: 'full_visitor_id', event: 'type', page: 'page', source: 'source', medium: 'medium', campaign: 'campaign' },
        ...{ order: 'order_id', revenue: 'revenue' },
      },
    }),
  );
  before(async () => {
    views = await openViews();
    const { topic, records } = await hits();
    const disordered = shuffled(records, 3);
    await views.send(topic, disordered.slice(0, 5000));
    await views.sql(`CREATE MATERIALIZED VIEW mart.own_sessions PARTITION BY session_id AS
      SELECT session_id, count(*) AS hits, min(_time) AS started FROM raw.ga_hits GROUP BY session_id`);
    for (const { sql } of definitions) await views.sql(sql);
    await views.send(topic, disordered.slice(5000));
    await views.settle();
    assert.deepEqual(views.problems, []);
  });
  after(() => views.close());

  const one = async (query: string) => Object.values((await views.store.rows(query))[0]!).map(Number);

  test('regrouped by the source’s own session ids give its 2,556 sessions', async () => {
    assert.deepEqual(await one('SELECT count(*), sum(hits) FROM mart.own_sessions'), [2556, 13_233]);
  });

  test('give each named rule’s own number of sessions, and every difference has its reason', async (t) => {
    const found: Record<string, unknown> = {};
    for (const rule of rules) {
      const both = `(SELECT e.session_id AS ours, h.session_id AS theirs, h.* FROM s_${rule}.session_events AS e JOIN raw.ga_hits AS h ON h._id = e.event_id)`;
      // A source's session that is no longer one by itself: why had the source begun it?
      const begun = `SELECT theirs, ours, arg_min(referrer, hit_number) AS referrer, any_value(source) AS source,
          lag(any_value(source)) OVER (PARTITION BY ours ORDER BY min(_time)) AS source_before, row_number() OVER (PARTITION BY ours ORDER BY min(_time)) AS n
        FROM ${both} GROUP BY theirs, ours`;
      const [sessions, parted, joined, campaign, referred, neither] = await one(`SELECT (SELECT count(DISTINCT ours) FROM ${both}),
        (SELECT count(*) - count(DISTINCT theirs) FROM (${begun})), count(*),
        count(*) FILTER (WHERE source NOT IN ('(direct)', source_before)),
        count(*) FILTER (WHERE source IN ('(direct)', source_before) AND referrer IS NOT NULL),
        count(*) FILTER (WHERE source IN ('(direct)', source_before) AND referrer IS NULL)
        FROM (${begun}) WHERE n > 1`);
      assert.equal(sessions, 2556 + parted! - joined!, rule);
      found[rule] = { sessions, joined, campaign, referred, neither };
      t.diagnostic(
        `${sessionRules[rule].title}: ${sessions} sessions. ${joined} of the source's 2,556 go on from an earlier one within 30 minutes: ` +
          `${campaign} had another campaign, ${referred} the same one but came from another site, ${neither} show no reason.`,
      );
    }
    assert.deepEqual(found, {
      ga4: { sessions: 2513, joined: 43, campaign: 15, referred: 25, neither: 3 },
      posthog: { sessions: 2513, joined: 43, campaign: 15, referred: 25, neither: 3 },
      universal: { sessions: 2528, joined: 28, campaign: 0, referred: 25, neither: 3 },
    });
  });

  test('count 43 orders worth 8,736.14 under each rule, as the export’s own hits do', async () => {
    for (const rule of rules)
      assert.deepEqual(await one(`SELECT sum(orders), sum(revenue)::DECIMAL(18,2) FROM s_${rule}.sessions`), [43, 8736.14], rule);
  });
});
