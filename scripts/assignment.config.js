// The assignment of experiments as one file that needs no other: for servers (`import 'millrace/assignment'`) and for a tracker in the browser.
import { join } from 'node:path';
import { home } from '../bin/node24.js';

export default {
  root: home,
  publicDir: false,
  logLevel: 'warn',
  resolve: { conditions: ['source'] },
  build: {
    lib: { entry: join(home, 'src', 'experiment', 'assignment.ts'), formats: ['es'], fileName: () => 'assignment.js' },
    outDir: join(home, 'dist'),
    emptyOutDir: false,
    target: 'es2020',
    minify: false,
    // It has SHA-256 of the core, and nothing else of it.
    rolldownOptions: { treeshake: { moduleSideEffects: false } },
  },
};
