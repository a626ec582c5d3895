export type { Analyst, Answer, Asking, Format, JobState, RoleLimits } from './query.ts';
export { openAnalyst } from './query.ts';
