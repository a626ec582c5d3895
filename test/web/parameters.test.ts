import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Tile } from '#visualize';
import { isOn, moved, tabsOf } from '../../web/dashboards/parameters.ts';

const tile = (title: string, tab: string | null): Tile =>
  ({ title, tab, width: 6, height: 4, sql: 'SELECT 1', source: null, chart: null, text: null, filter: null, drill: null }) as Tile;
const shown = (tiles: readonly Tile[], tab: string | null) =>
  tiles.filter((each) => isOn(each, tab, tabsOf({ tiles }))).map(({ title }) => title);

describe('a tile is moved among those of its tab', () => {
  test('whatever stands between them in the file', () => {
    const tiles = [tile('a', 'one'), tile('x', 'two'), tile('b', 'one'), tile('y', 'two'), tile('c', 'one')];
    assert.deepEqual(shown(moved(tiles, 0, 1), 'one'), ['b', 'a', 'c']);
    assert.deepEqual(shown(moved(tiles, 4, -2), 'one'), ['c', 'a', 'b']);
    assert.deepEqual(shown(moved(tiles, 0, 1), 'two'), ['x', 'y']);
    assert.equal(moved(tiles, 0, -1), tiles);
    assert.equal(moved(tiles, 3, 1), tiles);
  });

  test('every tile stays on its tab, and each tab in its place', () => {
    const some = fc.array(fc.constantFrom(null, 'one', 'two', 'three'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(some, fc.nat(), fc.integer({ min: -8, max: 8 }), (tabs, place, by) => {
        const tiles = tabs.map((tab, at) => tile(String(at), tab));
        const at = place % tiles.length;
        const next = moved(tiles, at, by);
        const before = tabsOf({ tiles });
        assert.deepEqual(tabsOf({ tiles: next }), before);
        for (const tab of before.length === 0 ? [null] : before) {
          const own = shown(tiles, tab);
          const from = own.indexOf(String(at));
          const to = Math.max(0, Math.min(own.length - 1, from + by));
          // As a list from which it is taken, and into which it is put.
          const expected = from < 0 ? own : own.toSpliced(from, 1).toSpliced(to, 0, String(at));
          assert.deepEqual(shown(next, tab), expected);
        }
      }),
    );
  });
});
