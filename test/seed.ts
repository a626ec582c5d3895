/** Loaded before each test file: the core repeats the same random cases, so that a red run can be repeated; the long run looks for new ones. */
import fc from 'fast-check';

if (process.env['MILLRACE_LONG'] !== '1') fc.configureGlobal({ seed: 20_261_123 });
