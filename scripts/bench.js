// npm run bench NAME [-- --json|--quick]: runs bench/NAME.ts; without a name lists what there is.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { home } from '../bin/node24.js';
import { ensureInstalled, runNode24 } from './install.js';

const folder = join(home, 'bench');
const [name, ...rest] = process.argv.slice(2);

if (name === undefined || name.startsWith('-')) {
  process.stdout.write('npm run bench NAME [-- --quick] [-- --json]\n\n');
  for (const each of benches()) process.stdout.write(`  ${each.padEnd(12)} ${summary(each)}\n`);
} else if (!existsSync(join(folder, `${name}.ts`))) {
  process.stderr.write(`There is no bench "${name}"; there are: ${benches().join(', ')}\n`);
  process.exitCode = 2;
} else {
  await ensureInstalled();
  const { code } = await runNode24(['--conditions=source', join(folder, `${name}.ts`), ...rest]);
  process.exitCode = code;
}

/** A file in bench/ is a bench if it begins with a comment that says what it measures; report.ts and other parts don't. */
function benches() {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && summary(file.slice(0, -3)) !== '')
    .map((file) => file.slice(0, -3));
}

function summary(bench) {
  return /^(?:\/\*\*?|\/\/)\s*(.*?)\s*(?:\*\/)?\n/.exec(readFileSync(join(folder, `${bench}.ts`), 'utf8'))?.[1] ?? '';
}
