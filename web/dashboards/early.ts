/**
 * The dashboard that the address named when the console was opened: its file is asked for before the console's code is read, and its tiles'
 * questions as soon as it has come, so that the warehouse computes while the page is still being made.
 */
import { timeRanges } from '#visualize';
import type { DashboardAnswer } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { namedDashboard } from '../begun.ts';
import { whoIsThere } from '../session.ts';
import { setZone } from '../zone.ts';
import { askTilesAhead } from './asking.ts';
import { keptDraft } from './draft.ts';
import { isOn, readChoice, tabsOf } from './parameters.ts';

let early: { readonly name: string; readonly file: Promise<DashboardAnswer> } | null = null;

if (namedDashboard !== undefined) {
  const name = decodeURIComponent(namedDashboard);
  early = { name, file: call<DashboardAnswer>('GET', `/v1/dashboards/${namedDashboard}`) };
  Promise.all([early.file, whoIsThere()]).then(
    ([{ dashboard }, { time_zone }]) => {
      // Days are those of the workspace.
      setZone(time_zone);
      if (dashboard === null || keptDraft(name) !== null) return;
      const choice = readChoice(dashboard, location.search, timeRanges);
      const tabs = tabsOf(dashboard);
      askTilesAhead(
        dashboard.tiles.filter((tile) => isOn(tile, choice.tab, tabs)),
        choice,
      );
    },
    // Whoever has not signed in yet asks again when he has; what else is wrong is said by the page.
    () => {
      early = null;
    },
  );
}

/** Once: what is asked for again has changed. */
export function askFile(name: string, signal: AbortSignal): Promise<DashboardAnswer> {
  const held = early?.name === name ? early.file : null;
  early = null;
  return held ?? call('GET', `/v1/dashboards/${encodeURIComponent(name)}`, { signal });
}
