/** What is chosen above a dashboard stands in the address, so that a link shows the same. */
import type { Choice, Dashboard, TimeRange } from '#visualize';

/** The choice, and how it is looked at. */
export interface Seen extends Choice {
  readonly compare: boolean;
  /** null: the first one. */
  readonly tab: string | null;
}

const day = /^\d{4}-\d{2}-\d{2}$/;

export function readChoice({ range, filters }: Dashboard, search: string, ranges: readonly TimeRange[]): Seen {
  const asked = new URLSearchParams(search);
  const [from, to] = [asked.get('from') ?? '', asked.get('to') ?? ''];
  const chosen = ranges.find((each) => each === asked.get('range'));
  const custom = asked.get('range') === 'custom' && day.test(from) && day.test(to);
  const values = filters.flatMap(({ name }) => (asked.has(`f.${name}`) ? [[name, asked.get(`f.${name}`)!]] : []));
  return {
    range: custom ? 'custom' : (chosen ?? range),
    from: custom ? from : '',
    to: custom ? to : '',
    filters: Object.fromEntries(values),
    compare: asked.get('compare') === 'previous',
    tab: asked.get('tab'),
  };
}

export function writeChoice({ range, from, to, filters, compare, tab }: Seen): string {
  const words = new URLSearchParams({ range });
  if (range === 'custom') {
    words.set('from', from);
    words.set('to', to);
  }
  if (compare) words.set('compare', 'previous');
  if (tab !== null) words.set('tab', tab);
  for (const [name, value] of Object.entries(filters)) words.set(`f.${name}`, value);
  return `?${words}`;
}

/** The names of the tabs, in the order in which the tiles name them. */
export function tabsOf({ tiles }: Pick<Dashboard, 'tiles'>): string[] {
  return [...new Set(tiles.flatMap(({ tab }) => tab ?? []))];
}

/** Whether a tile stands on a tab: one that names none stands on the first. */
export function isOn(tile: Dashboard['tiles'][number], tab: string | null, tabs: readonly string[]): boolean {
  return tabs.length === 0 || (tile.tab ?? tabs[0]) === (tab !== null && tabs.includes(tab) ? tab : tabs[0]);
}

/**
 * The tiles with one of them moved by so many places among those of its tab, or as far as it goes; the very same where it can't. Tiles of
 * other tabs stay where they are.
 */
export function moved(tiles: Dashboard['tiles'], at: number, by: number): Dashboard['tiles'] {
  const tabs = tabsOf({ tiles });
  const tabOf = (tile: Dashboard['tiles'][number]) => tile.tab ?? tabs[0] ?? null;
  const places = [...tiles.keys()].filter((place) => tabOf(tiles[place]!) === tabOf(tiles[at]!));
  const from = places.indexOf(at);
  const to = Math.max(0, Math.min(places.length - 1, from + by));
  if (to === from) return tiles;
  const order = places.toSpliced(from, 1).toSpliced(to, 0, at);
  const next = places.reduce<Dashboard['tiles']>((list, place, k) => list.with(place, tiles[order[k]!]!), tiles);
  // A tile that names no tab stands on the first, which may be another one by now.
  return tabsOf({ tiles: next })[0] === tabs[0] ? next : next.map((tile) => ({ ...tile, tab: tabOf(tile) }));
}
