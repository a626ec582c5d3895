export { lookAtSource } from '#platform';
export type * from './api.ts';
export { type Started, type StartOptions, startMillrace } from './start.ts';
