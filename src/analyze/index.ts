export type { Analyst, Answer, Asking, Format, JobState, OwnStatements, RoleLimits } from './query.ts';
export { openAnalyst } from './query.ts';
