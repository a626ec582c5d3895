/** Millrace on the workspace that is named, in a process of its own, for tests that kill it. Its first line is its address and token. */
import { startMillrace } from '#server';

const started = await startMillrace({ workspace: process.argv[2]!, log: null });
process.stdout.write(`${JSON.stringify([started.address, started.adminToken])}\n`);
