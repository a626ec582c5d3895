import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';

export interface MariaDb {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The server's socket, for its own client program; null for one that was not started here. */
  readonly socket: string | null;
  /** The server's process, where it was started here. */
  readonly pid: number | null;
  ask(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  kill(): void;
  /** Starts it again in the same folder, at the same port, after its end. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const PROGRAM = ['/usr/sbin/mariadbd', '/usr/local/sbin/mariadbd', '/usr/bin/mariadbd'].find((path) => existsSync(path));

/** Why there is no server to test with; null when there is one. */
export const absent =
  PROGRAM === undefined && process.env['MILLRACE_TEST_MYSQL'] === undefined
    ? 'MariaDB is not installed (Debian: mariadb-server) and MILLRACE_TEST_MYSQL names no server'
    : null;

/** What makes a server write its log of changes as rows. */
const LOGGING = ['--log-bin=log', '--server-id=1', '--binlog-format=ROW'];

/** A server of its own in its own folder and port, or the one of MILLRACE_TEST_MYSQL=mysql://user:password@host:port/database. */
export async function startMariaDb(extra: readonly string[] = []): Promise<MariaDb> {
  const given = process.env['MILLRACE_TEST_MYSQL'];
  return given === undefined ? started(PROGRAM!, extra) : connected(new URL(given));
}

/** A server that writes its log of changes as rows, and whose reader may follow it. */
export async function startLoggedMariaDb(extra: readonly string[] = []): Promise<MariaDb> {
  const db = await startMariaDb([...LOGGING, ...extra]);
  await db.ask(`GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO reader@'127.0.0.1'`);
  return db;
}

/** From here on, all that the primary writes comes to the replica too; what was made with the servers both have already. */
export async function replicate(replica: MariaDb, primary: MariaDb): Promise<void> {
  await primary.ask(`GRANT REPLICATION SLAVE ON *.* TO reader@'127.0.0.1'`);
  await replica.ask('RESET MASTER');
  const [at] = await primary.ask('SELECT @@gtid_binlog_pos AS gtids');
  await replica.ask(`SET GLOBAL gtid_slave_pos = '${at!['gtids']}'`);
  await replica.ask(
    `CHANGE MASTER TO MASTER_HOST = '${primary.host}', MASTER_PORT = ${primary.port}, MASTER_USER = '${primary.user}',
       MASTER_PASSWORD = '${primary.password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1`,
  );
  await replica.ask('START SLAVE');
}

/** It follows nobody any more. */
export async function promote(replica: MariaDb): Promise<void> {
  await replica.ask('STOP SLAVE');
  await replica.ask('RESET SLAVE ALL');
}

async function connected(url: URL): Promise<MariaDb> {
  const of = {
    host: url.hostname,
    port: Number(url.port || 3306),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  };
  const connection = await createConnection({ ...of, charset: 'utf8mb4' });
  return { ...of, socket: null, pid: null, ask: asker(connection), kill() {}, async restart() {}, stop: () => connection.end() };
}

async function started(program: string, extra: readonly string[]): Promise<MariaDb> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mariadb-'));
  const data = join(folder, 'data');
  const socket = join(folder, 's.sock');
  const { username } = userInfo();
  // One that begins removes the temporary tables in its folder, others' too.
  const env = { ...process.env, TMPDIR: folder };
  execFileSync(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, `--user=${username}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const port = await freePort();
  const options = [
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${socket}`,
    `--port=${port}`,
    `--user=${username}`,
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    '--innodb-buffer-pool-size=64M',
    '--innodb-flush-log-at-trx-commit=0',
    '--local-infile=1',
    ...extra,
  ];
  let server = start();
  let root = await administrator();

  function start() {
    const child = spawn(program, options, { env, stdio: 'ignore' });
    return { child, ended: new Promise<void>((resolve) => child.once('exit', () => resolve())) };
  }

  async function administrator(): Promise<Connection> {
    const connection = await patiently(() =>
      createConnection({ socketPath: socket, user: 'root', charset: 'utf8mb4', multipleStatements: true }),
    );
    // It may be killed.
    connection.on('error', () => {});
    return connection;
  }

  await root.query(
    "CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'pass word@1'; GRANT SELECT ON shop.* TO reader@'127.0.0.1'; USE shop",
  );
  return {
    host: '127.0.0.1',
    port,
    user: 'reader',
    password: 'pass word@1',
    database: 'shop',
    socket,
    pid: server.child.pid ?? null,
    ask: (sql, values) => asker(root)(sql, values),
    kill: () => void server.child.kill('SIGKILL'),
    async restart() {
      await server.ended;
      server = start();
      root = await administrator();
      await root.query('USE shop');
    },
    async stop() {
      root.destroy();
      server.child.kill('SIGKILL');
      await server.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function asker(connection: Connection): MariaDb['ask'] {
  return async (sql, values) => {
    const [rows] = await connection.query(sql, values);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  };
}

async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (thrown) {
      if (tries > 150) throw thrown;
      await sleep(100);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
