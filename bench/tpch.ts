/** Data of the shape that TPC-H's specification (3.0, clause 4.2) publishes, made by hashes: the same bytes at every run of one DuckDB version. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { tpchSchema } from '../test/sql/tpch.ts';
import { machine } from './report.ts';

/** A DuckDB file with the eight tables at `scale` (1: 6 million lines, about 1 GB of text); kept in the temporary folder for the next run. */
export async function tpchFile(scale: number): Promise<string> {
  const folder = join(tmpdir(), `millrace-tpch-${machine().duckdb}`);
  const file = join(folder, `scale-${scale}.duckdb`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  process.stderr.write(`Making TPC-H data at scale ${scale} …\n`);
  const instance = await DuckDBInstance.create(unfinished);
  try {
    const connection = await instance.connect();
    await connection.run("SET preserve_insertion_order = true; SET memory_limit = '2GB'");
    for (const statement of [...tpchSchema.split(';'), ...MACROS, ...fillings(scale), 'CHECKPOINT']) {
      if (statement.trim() !== '') await connection.run(statement);
    }
    connection.closeSync();
  } finally {
    instance.closeSync();
  }
  renameSync(unfinished, file);
  rmSync(`${unfinished}.wal`, { force: true });
  return file;
}

/** Temporary, so that the file holds the eight tables and nothing else. */
const MACROS = [
  // Uniform in 0 … n − 1, for each column (c) of each row (k) its own.
  `CREATE TEMP MACRO pick(k, c, n) AS (hash(k, c) % n)::BIGINT`,
  `CREATE TEMP MACRO one(k, c, words) AS words[1 + (hash(k, c) % len(words))::BIGINT]`,
  `CREATE TEMP MACRO words(k, c) AS (one(k, c || 1, ['quick', 'careful', 'final', 'special', 'pending', 'regular', 'express', 'bold', 'even', 'ironic']) || ' ' ||
     one(k, c || 2, ['deposits', 'requests', 'accounts', 'packages', 'theodolites', 'instructions', 'foxes', 'pinto beans', 'platelets', 'ideas']) || ' ' ||
     one(k, c || 3, ['sleep', 'wake', 'haggle', 'nag', 'cajole', 'detect', 'integrate', 'boost', 'affix', 'doze']) || ' ' ||
     one(k, c || 4, ['slyly', 'furiously', 'blithely', 'quickly', 'carefully', 'fluffily', 'ruthlessly', 'above', 'among', 'across']) || ' ' ||
     one(k, c || 5, ['requests', 'the dolphins', 'the asymptotes', 'the sauternes', 'accounts', 'the hockey players', 'excuses', 'dependencies']))`,
  `CREATE TEMP MACRO phone(nation, k) AS printf('%d-%03d-%03d-%04d', nation + 10, 100 + pick(k, 'ph1', 900), 100 + pick(k, 'ph2', 900), 1000 + pick(k, 'ph3', 9000))`,
  // Clause 4.2.3: P_RETAILPRICE in cents.
  `CREATE TEMP MACRO retail(p) AS (90000 + ((p // 10) % 20001) + 100 * (p % 1000))`,
  `CREATE TEMP MACRO colours() AS ['almond', 'antique', 'aquamarine', 'azure', 'beige', 'bisque', 'black', 'blanched', 'blue', 'blush', 'brown', 'burlywood',
     'burnished', 'chartreuse', 'chiffon', 'chocolate', 'coral', 'cornflower', 'cornsilk', 'cream', 'cyan', 'dark', 'deep', 'dim', 'dodger', 'drab', 'firebrick',
     'floral', 'forest', 'frosted', 'gainsboro', 'ghost', 'goldenrod', 'green', 'grey', 'honeydew', 'hot', 'indian', 'ivory', 'khaki', 'lace', 'lavender']`,
];

const NATIONS = [
  ['ALGERIA', 0],
  ['ARGENTINA', 1],
  ['BRAZIL', 1],
  ['CANADA', 1],
  ['EGYPT', 4],
  ['ETHIOPIA', 0],
  ['FRANCE', 3],
  ['GERMANY', 3],
  ['INDIA', 2],
  ['INDONESIA', 2],
  ['IRAN', 4],
  ['IRAQ', 4],
  ['JAPAN', 2],
  ['JORDAN', 4],
  ['KENYA', 0],
  ['MOROCCO', 0],
  ['MOZAMBIQUE', 0],
  ['PERU', 1],
  ['CHINA', 2],
  ['ROMANIA', 3],
  ['SAUDI ARABIA', 4],
  ['VIETNAM', 2],
  ['RUSSIA', 3],
  ['UNITED KINGDOM', 3],
  ['UNITED STATES', 1],
] as const;

function fillings(scale: number): string[] {
  const suppliers = Math.round(10_000 * scale);
  const customers = Math.round(150_000 * scale);
  const parts = Math.round(200_000 * scale);
  const orders = Math.round(1_500_000 * scale);
  // Clause 4.2.3: the four suppliers of a part.
  const supplierOf = (part: string, i: string) =>
    `((${part} + (${i} * ((${suppliers} // 4) + ((${part} - 1) // ${suppliers})))) % ${suppliers}) + 1`;
  return [
    `INSERT INTO region SELECT k - 1, ['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'][k], words(k, 'r') FROM range(1, 6) t(k)`,
    `INSERT INTO nation VALUES ${NATIONS.map(([name, region], k) => `(${k}, '${name}', ${region}, 'nation ${k}')`).join(', ')}`,
    `INSERT INTO supplier SELECT k, printf('Supplier#%09d', k), hash(k, 'sa')::VARCHAR, pick(k, 'sn', 25), phone(pick(k, 'sn', 25), k),
       (pick(k, 'sb', 1099999) - 99999)::DECIMAL(18,2) / 100,
       CASE WHEN pick(k, 'sc', 2000) = 0 THEN 'about Customer sleep Complaints' ELSE words(k, 'sc') END FROM range(1, ${suppliers + 1}) t(k)`,
    `INSERT INTO customer SELECT k, printf('Customer#%09d', k), hash(k, 'ca')::VARCHAR, pick(k, 'cn', 25), phone(pick(k, 'cn', 25), k),
       (pick(k, 'cb', 1099999) - 99999)::DECIMAL(18,2) / 100,
       one(k, 'cm', ['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD']), words(k, 'cc') FROM range(1, ${customers + 1}) t(k)`,
    `INSERT INTO part SELECT k, one(k, 'n1', colours()) || ' ' || one(k, 'n2', colours()) || ' ' || one(k, 'n3', colours()),
       'Manufacturer#' || (1 + pick(k, 'pm', 5)), 'Brand#' || (1 + pick(k, 'pm', 5)) || (1 + pick(k, 'pb', 5)),
       one(k, 't1', ['STANDARD', 'SMALL', 'MEDIUM', 'LARGE', 'ECONOMY', 'PROMO']) || ' ' ||
       one(k, 't2', ['ANODIZED', 'BURNISHED', 'PLATED', 'POLISHED', 'BRUSHED']) || ' ' || one(k, 't3', ['TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER']),
       1 + pick(k, 'ps', 50), one(k, 'c1', ['SM', 'LG', 'MED', 'JUMBO', 'WRAP']) || ' ' ||
       one(k, 'c2', ['CASE', 'BOX', 'BAG', 'JAR', 'PKG', 'PACK', 'CAN', 'DRUM']), retail(k)::DECIMAL(18,2) / 100, words(k, 'pc')
     FROM range(1, ${parts + 1}) t(k)`,
    `INSERT INTO partsupp SELECT k, ${supplierOf('k', 'i')}, 1 + pick(k * 4 + i, 'pa', 9999), (100 + pick(k * 4 + i, 'pp', 99901))::DECIMAL(18,2) / 100,
       words(k * 4 + i, 'psc') FROM range(1, ${parts + 1}) t(k), range(4) u(i) ORDER BY k, i`,
    // Clause 4.2.3: keys are sparse, 8 of each 32; dates leave room for the longest way.
    `CREATE TEMP TABLE made AS SELECT k, (k // 8) * 32 + k % 8 + 1 AS orderkey, DATE '1992-01-01' + pick(k, 'od', 2406)::INTEGER AS day,
       1 + pick(k, 'ln', 7) AS lines FROM range(${orders}) t(k)`,
    `INSERT INTO lineitem SELECT orderkey, part, ${supplierOf('part', "pick(x, 'ls', 4)")}, i, quantity,
       (quantity * retail(part))::DECIMAL(18,2) / 100, pick(x, 'ld', 11)::DECIMAL(18,2) / 100, pick(x, 'lt', 9)::DECIMAL(18,2) / 100,
       CASE WHEN received > DATE '1995-06-17' THEN 'N' ELSE one(x, 'lf', ['R', 'A']) END,
       CASE WHEN shipped > DATE '1995-06-17' THEN 'O' ELSE 'F' END, shipped, day + (30 + pick(x, 'lc', 61))::INTEGER, received,
       one(x, 'li', ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']),
       one(x, 'lm', ['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB']), words(x, 'lw')
     FROM (SELECT *, shipped + (1 + pick(x, 'lr', 30))::INTEGER AS received FROM (
       SELECT orderkey, day, i, k * 8 + i AS x, 1 + pick(k * 8 + i, 'lp', ${parts}) AS part, 1 + pick(k * 8 + i, 'lq', 50) AS quantity,
         day + (1 + pick(k * 8 + i, 'lh', 121))::INTEGER AS shipped
       FROM made, range(1, 8) u(i) WHERE i <= lines)) ORDER BY orderkey, i`,
    // A third of the customers never order.
    `INSERT INTO orders SELECT orderkey, customer + CASE WHEN customer % 3 = 0 THEN 1 ELSE 0 END, status, total, day,
       one(k, 'op', ['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']), printf('Clerk#%09d', 1 + pick(k, 'oc', ${Math.max(1, Math.round(1000 * scale))})),
       0, words(k, 'ow')
     FROM (SELECT *, 1 + pick(k, 'ou', ${customers - 1}) AS customer FROM made) JOIN (
       SELECT l_orderkey, CASE WHEN bool_and(l_linestatus = 'F') THEN 'F' WHEN bool_and(l_linestatus = 'O') THEN 'O' ELSE 'P' END AS status,
         sum(l_extendedprice * (1 + l_tax) * (1 - l_discount))::DECIMAL(15,2) AS total
       FROM lineitem GROUP BY l_orderkey) ON l_orderkey = orderkey ORDER BY orderkey`,
  ];
}
