import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type NexmarkEvent, nexmark, topics } from './nexmark/generator.ts';
import { openViews, shuffled, type Views } from './views-fixture.ts';

const folder = join(import.meta.dirname, 'nexmark');
const cases = readdirSync(folder)
  .filter((name) => name.endsWith('.sql'))
  .map((name) => {
    const [statements, batch] = readFileSync(join(folder, name), 'utf8').split('-- BATCH') as [string, string];
    const definitions = statements.split(';').filter((text) => text.trim() !== '');
    return { name: name.replace('.sql', ''), definitions, batch };
  });

/** Parts of the stream as deliveries of one topic each, the events of every part in a disorder of its own. */
function deliveries(events: readonly NexmarkEvent[], size: number): NexmarkEvent[][] {
  const disordered = shuffled(events, 11);
  const parts = Array.from({ length: Math.ceil(disordered.length / size) }, (_, k) => disordered.slice(k * size, (k + 1) * size));
  return parts.flatMap((part) => (['bid', 'auction', 'person'] as const).map((topic) => part.filter((event) => event.topic === topic)));
}

describe('Nexmark', () => {
  let views: Views;
  const events = [...nexmark({ seed: 5, events: 6000, perSecond: 50, start: Date.parse('2026-01-01T00:00:00Z') })];

  before(async () => {
    views = await openViews();
    const all = deliveries(events, 1500).filter((part) => part.length > 0);
    for (const part of all.slice(0, 3)) await views.send(topics[part[0]!.topic], part);
    for (const { definitions } of cases)
      for (const definition of definitions) await views.sql(definition.replace(/ AS\n/, ` OPTIONS (refresh = '100 milliseconds') AS\n`));
    for (const part of [...all.slice(3), all[4]!]) {
      await views.send(topics[part[0]!.topic], part);
      await views.settle();
    }
  });
  after(() => views.close());

  test('needs no full recompute for any query', () => {
    assert.deepEqual(views.problems, []);
    for (const view of views.keeper.states()) {
      assert.deepEqual([view.mode, view.reasons], ['partitions', []], view.name);
      assert.ok(
        view.plan.every((line) => !line.includes('whole')),
        view.plan.join('\n'),
      );
      assert.notEqual(view.last?.mode, 'whole', view.name);
    }
    assert.ok(cases.length >= 10);
  });

  for (const { name, batch } of cases) {
    test(`${name}: a view over the disordered stream equals the query in batch`, async () => {
      const kept = await views.rows(`SELECT * FROM nexmark.${name}`);
      assert.ok(kept.length > 0);
      assert.deepEqual(kept, await views.rows(batch));
    });
  }
});
