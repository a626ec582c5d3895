// npm run docs: writes docs/cli.md from the commands' own descriptions. test/cli/words.test.ts holds the two together.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { home } from '../bin/node24.js';
import { ensureInstalled, runNode24 } from './install.js';

const condition = '--conditions=source';

if (process.execArgv.includes(condition)) {
  const { commands } = await import('../src/cli/commands/index.ts');
  const { reference } = await import('../src/cli/help.ts');
  mkdirSync(join(home, 'docs'), { recursive: true });
  writeFileSync(join(home, 'docs', 'cli.md'), reference(commands));
} else {
  await ensureInstalled();
  const { code } = await runNode24([condition, fileURLToPath(import.meta.url)]);
  process.exitCode = code;
}
