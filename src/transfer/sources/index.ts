import type { Source } from '../source.ts';
import { csv } from './csv.ts';
import { folder } from './folder.ts';
import { http } from './http.ts';
import { json } from './json.ts';
import { mysql } from './mysql.ts';
import { parquet } from './parquet.ts';
import { postgres } from './postgres.ts';
import { storeReports } from './store-reports.ts';
import { xlsx } from './xlsx.ts';

/** Every source that a transfer can name. */
export const sources: readonly Source[] = [mysql, postgres, csv, json, parquet, xlsx, http, folder, storeReports];
