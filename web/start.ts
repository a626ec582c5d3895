/** The page's first script, which needs no other. */
import { namedDashboard } from './begun.ts';

if (namedDashboard !== undefined) {
  // Only begun here: the page asks for them again, and says what is wrong.
  import('./dashboards/early.ts').catch(() => {});
  import('./dashboards/dashboard.tsx').catch(() => {});
}
import('./main.tsx');
