export { http } from './http.ts';
export { parseBytes, residentBytes, residentTreeBytes } from './memory.ts';
export type { Pool } from './pool.ts';
export { startPool } from './pool.ts';
export { standBack } from './priority.ts';
export type { Progress, ProgressOptions } from './progress.ts';
export { progress } from './progress.ts';
export type { ExitReason, Supervised, SuperviseOptions } from './supervise.ts';
export { supervise } from './supervise.ts';
