// prepack: src/ as JavaScript in dist/, since Node runs no TypeScript under node_modules, and the console in web/dist/.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { home } from '../bin/node24.js';
import { buildConsole } from './console.js';
import { ensureInstalled, runNode24 } from './install.js';

const source = join(home, 'src');
const target = join(home, 'dist');

await ensureInstalled();
rmSync(target, { recursive: true, force: true });
const { code } = await runNode24([join(home, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'], {
  stdio: ['ignore', 2, 2],
});
if (code !== 0) process.exit(code);

for (const name of readdirSync(source, { recursive: true })) {
  if (extname(name) !== '.ts' && statSync(join(source, name)).isFile()) cpSync(join(source, name), join(target, name));
}

// A running program keeps its source in memory, two bytes a character where one of them is beyond Latin-1.
// A backslash before such a character stands for the character itself.
const ascii = (text) =>
  text.replace(/(\\*)([^\0-\x7f])/g, (_all, before, unit) => {
    const kept = before.length % 2 === 0 ? before : before.slice(1);
    return `${kept}\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });

// The compiler rewrites imports only; a forked or worker script is named by a URL.
const scriptUrl = /(new URL\(\s*(['"])\.[^'"]*)\.ts(\2,\s*import\.meta\.url\s*\))/g;
for (const name of readdirSync(target, { recursive: true })) {
  if (extname(name) !== '.js') continue;
  const path = join(target, name);
  const text = readFileSync(path, 'utf8').replace(scriptUrl, (_all, before, _quote, after) => `${before}.js${after}`);
  for (const [, , , script] of text.matchAll(/(new URL\(\s*(['"])(\.[^'"]*\.js)\2,)/g)) statSync(join(dirname(path), script));
  writeFileSync(path, ascii(text));
}
const vite = [join(home, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--config', join(home, 'scripts', 'assignment.config.js')];
const library = await runNode24(vite, { stdio: ['ignore', 2, 2] });
if (library.code !== 0) process.exit(library.code);
await buildConsole();
process.stderr.write('dist/ and web/dist/ are built.\n');
