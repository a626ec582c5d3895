import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

export interface Postgres {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The server's process. */
  readonly pid: number | null;
  /** As an administrator; answers are values as text, the way the server prints them. */
  ask(sql: string): Promise<Record<string, unknown>[]>;
  /** The administrator goes on in another database. */
  use(database: string): Promise<void>;
  /** Ends the server at once, as a crash would. */
  kill(): void;
  /** The same by kill -9 of all of its processes at once: those that are left would go on until they wait for something. */
  killAll(): Promise<void>;
  /** Starts it again in the same folder, at the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const FOLDER = '/usr/lib/postgresql';
const BIN = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(FOLDER, version, 'bin'))
      .find((path) => existsSync(join(path, 'postgres')))
  : undefined;

/** Why there is no server to test with; null when there is one. */
export const absent = BIN === undefined ? 'PostgreSQL is not installed (Debian: postgresql)' : null;

/** The server refuses to run as root. */
function identity(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** A server of its own in its own folder and port, ready for logical replication. `settings` go to postgresql.conf. */
export async function startPostgres(settings: readonly string[] = []): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
  const who = identity();
  chmodSync(folder, 0o755);
  if (who !== null) chownSync(folder, who.uid, who.gid);
  const data = join(folder, 'data');
  const port = await freePort();
  execFileSync(join(BIN!, 'initdb'), ['-D', data, '-U', 'admin', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], {
    stdio: 'ignore',
    cwd: folder,
    ...who,
  });
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'local all admin trust\nhost all admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n',
  );
  writeFileSync(
    join(data, 'postgresql.conf'),
    [
      `port = ${port}`,
      "listen_addresses = '127.0.0.1'",
      `unix_socket_directories = '${folder}'`,
      'wal_level = logical',
      'fsync = off',
      'synchronous_commit = off',
      'shared_buffers = 64MB',
      'max_wal_senders = 8',
      'max_replication_slots = 12',
      'wal_sender_timeout = 10s',
      ...settings,
      '',
    ].join('\n'),
  );
  let server = start();
  let admin = await connected();
  await admin.query(`CREATE DATABASE shop`);
  await admin.end();
  admin = await connected('shop');
  await admin.query(`CREATE ROLE reader LOGIN REPLICATION PASSWORD 'pass word@1'`);
  await admin.query('GRANT CREATE ON DATABASE shop TO reader');
  await admin.query('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader');

  function start() {
    const child = spawn(join(BIN!, 'postgres'), ['-D', data], { stdio: 'ignore', cwd: folder, ...who });
    return { child, ended: new Promise<void>((resolve) => child.once('exit', () => resolve())) };
  }

  async function connected(database = 'postgres'): Promise<Client> {
    for (let tries = 0; ; tries++) {
      const client = new Client({
        host: '127.0.0.1',
        port,
        user: 'admin',
        database,
        types: { getTypeParser: () => (text: string) => text },
      });
      client.on('error', () => {});
      try {
        await client.connect();
        await client.query("SET TimeZone = 'UTC'");
        return client;
      } catch (thrown) {
        if (tries > 200) throw thrown;
        await sleep(50);
      }
    }
  }

  return {
    host: '127.0.0.1',
    port,
    user: 'reader',
    password: 'pass word@1',
    database: 'shop',
    pid: server.child.pid ?? null,
    async ask(sql) {
      const answer = await admin.query(sql);
      return (Array.isArray(answer) ? [] : answer.rows) as Record<string, unknown>[];
    },
    async use(database) {
      await admin.end();
      admin = await connected(database);
    },
    kill() {
      server.child.kill('SIGQUIT');
    },
    async killAll() {
      const { rows } = await admin.query('SELECT pid FROM pg_stat_activity');
      for (const pid of [server.child.pid!, ...rows.map((row) => Number(row.pid))]) process.kill(pid, 'SIGKILL');
    },
    async restart() {
      await server.ended;
      server = start();
      admin = await connected('shop');
    },
    async stop() {
      await admin.end().catch(() => {});
      server.child.kill('SIGQUIT');
      await server.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
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
