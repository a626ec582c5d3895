import type { Door } from './door.ts';
import { records } from './records.ts';

/** All doors, in the order in which they are asked. */
export const doors: readonly Door[] = [records];
