/** A dashboard's file, read and saved. */
import type { DashboardAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';

const at = (name: string) => `/v1/dashboards/${encodeURIComponent(name)}`;

/** Saves over the version that was read; null where there should be none. DASHBOARD_CHANGED. */
export const saveFile = (name: string, next: { text: string } | { definition: object }, version: string | null) =>
  call<DashboardAnswer>('PUT', at(name), { body: { ...next, version } });

/** What stands there by now; null where somebody removed it. */
export async function newestFile(name: string): Promise<DashboardAnswer | null> {
  try {
    return await call<DashboardAnswer>('GET', at(name));
  } catch (thrown) {
    if (thrown instanceof Trouble && thrown.body.code === 'DASHBOARD_UNKNOWN') return null;
    throw thrown;
  }
}
