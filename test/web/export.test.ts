import assert from 'node:assert/strict';
import { test } from 'node:test';
import { charts } from '#visualize';
import { exportsOf } from '../../web/chart/export-kinds.ts';

test('a tile is offered as a picture where there is one to draw, and always as rows', () => {
  const data = {
    columns: ['page VARCHAR', 'device VARCHAR', 'n BIGINT'].map((each) => ({ name: each.split(' ')[0]!, type: each.split(' ')[1]! })),
    rows: [
      ['/', 'phone', 1],
      ['/', 'desk', 2],
    ],
  };
  const offered = (kind: string) => exportsOf({ kind }, data).join(' ');
  for (const kind of ['bar', 'pie', 'heatmap', 'sankey']) assert.equal(offered(kind), 'png svg csv xlsx', kind);
  // Without times no calendar can be drawn.
  for (const kind of ['number', 'table', 'pivot', 'calendar']) assert.equal(offered(kind), 'csv xlsx', kind);
  for (const { name } of charts) assert.match(offered(name), /csv xlsx$/);
});
