// npm run demo: everything that a fresh machine needs, then the main job. Its own words go to stderr, so that stdout is the demo's.
import { join } from 'node:path';
import { home } from '../bin/node24.js';
import { ensureConsole } from './console.js';
import { ensureInstalled, run } from './install.js';

await ensureInstalled();
await ensureConsole();
const { code } = await run(process.execPath, [join(home, 'bin', 'millrace.js'), 'demo', ...process.argv.slice(2)], { cwd: process.cwd() });
process.exitCode = code;
