import type { Source } from '../source.ts';
import { csv } from './csv.ts';
import { mysql } from './mysql.ts';

/** Every source that a transfer can name. */
export const sources: readonly Source[] = [mysql, csv];
