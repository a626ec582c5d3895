// The console's files: web/ → web/dist/, each also packed, so that the server only hands out what is there.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { home } from '../bin/node24.js';
import { runNode24 } from './install.js';

const built = join(home, 'web', 'dist');
/** Smaller ones gain nothing. */
const smallest = 1024;

/** Ends the process when it fails. */
export async function buildConsole() {
  const { code, output } = await runNode24(
    [join(home, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--config', join(home, 'web', 'vite.config.js')],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  if (code !== 0) {
    process.stderr.write(output);
    process.exit(code);
  }
  const assets = join(built, 'assets');
  for (const name of readdirSync(assets)) {
    const bytes = readFileSync(join(assets, name));
    if (bytes.length >= smallest && /\.(js|css|svg)$/.test(name)) writeFileSync(join(assets, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

/** Builds it unless web/dist/ is newer than everything that it is made from. */
export async function ensureConsole() {
  const page = join(built, 'index.html');
  const sources = ['web', 'src/core', 'src/definition', 'src/visualize', 'src/server/api.ts', 'package-lock.json'];
  if (existsSync(page) && Math.max(...sources.map(newest)) < statSync(page).mtimeMs) return;
  process.stderr.write('Building the console …\n');
  await buildConsole();
}

/** The time of the newest file at or under a path of the repository. */
function newest(path) {
  const root = join(home, path);
  if (statSync(root).isFile()) return statSync(root).mtimeMs;
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  return Math.max(
    ...files
      .map((file) => join(file.parentPath, file.name))
      .filter((file) => !file.startsWith(built))
      .map((file) => statSync(file).mtimeMs),
  );
}
