import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Kept {
  readonly version: string;
  readonly by: string;
  readonly text: string;
}

export interface DashboardVersions {
  /** As the newest one, unless it is that already. */
  keep(name: string, kept: Kept): void;
  /** The newest first. */
  list(name: string): { version: string; at: string; by: string }[];
  read(name: string, version: string): string | null;
}

const most = 50;

/** Earlier texts of dashboards: <folder>/<name>/<number>-<version>.json, the newest 50 of each. */
export function dashboardVersions(folder: string): DashboardVersions {
  const files = (name: string) => {
    const path = join(folder, name);
    const all = existsSync(path) ? readdirSync(path) : [];
    return all.filter((file) => /^\d{8}-[0-9a-f]{16}\.json$/.test(file)).sort();
  };
  const open = (name: string, file: string) => JSON.parse(readFileSync(join(folder, name, file), 'utf8')) as Kept & { at: string };
  const versionOf = (file: string) => file.slice(9, 25);
  return {
    keep(name, kept) {
      const held = files(name);
      const newest = held.at(-1);
      if (newest !== undefined && versionOf(newest) === kept.version) return;
      const next = String(newest === undefined ? 1 : Number(newest.slice(0, 8)) + 1).padStart(8, '0');
      mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
      const at = new Date().toISOString();
      writeFileSync(join(folder, name, `${next}-${kept.version}.json`), `${JSON.stringify({ at, ...kept })}\n`, {
        flush: true,
        mode: 0o600,
      });
      for (const old of held.slice(0, Math.max(0, held.length + 1 - most))) rmSync(join(folder, name, old));
    },
    list: (name) =>
      files(name)
        .reverse()
        .map((file) => {
          const { version, at, by } = open(name, file);
          return { version, at, by };
        }),
    read(name, version) {
      const file = files(name).findLast((each) => versionOf(each) === version);
      return file === undefined ? null : open(name, file).text;
    },
  };
}
