/** The page's first script, which needs no other. */
import { namedDashboard } from './begun.ts';

if (namedDashboard !== undefined) {
  import('./dashboards/early.ts').catch(() => {});
  import('./dashboards/dashboard.tsx').catch(() => {});
}
import('./main.tsx');
