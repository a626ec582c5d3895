import { readFileSync } from 'node:fs';

/** The version of the package that this code belongs to; src/ and dist/ lie equally deep. */
export const version: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
