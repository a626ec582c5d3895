/** A server of the database whose certificate an authority of ours has signed: for its own name, or for another one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSource } from '#transfer';
import { connectionTo, type Reached } from './harness.ts';
import { type MariaDb, absent as noMariaDb, startMariaDb } from './mariadb.ts';
import { absent as noPostgres, type Postgres, startPostgres } from './postgres-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });

function certify(name: string, subject: string): void {
  writeFileSync(at(`${name}.ext`), `subjectAltName=${subject}\n`);
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=any');
  openssl(
    ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'],
    ...['-out', `${name}.pem`, '-extfile', `${name}.ext`],
  );
}

before(() => {
  chmodSync(folder, 0o755);
  const authority = ['-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=our authority'];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...authority, '-days', '2');
  certify('other', 'DNS:db.example.com');
  certify('name', 'DNS:localhost');
  certify('address', 'IP:127.0.0.1');
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function opens(source: string, db: Reached, host: string): Promise<string> {
  const of = { ...connectionTo(db), host, tls: true, ca: at('ca.pem') };
  try {
    const opened = await openSource({ source, connection: of }, { folder, anywhere: true, env: { PW: db.password } });
    await opened.describe([]);
    await opened.close();
    return 'opened';
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
}

const EACH = [
  ['other', 'localhost', 'TRANSFER_CONNECT'],
  ['other', '127.0.0.1', 'TRANSFER_CONNECT'],
  ['name', 'localhost', 'opened'],
  ['name', '127.0.0.1', 'TRANSFER_CONNECT'],
  ['address', '127.0.0.1', 'opened'],
  ['address', 'localhost', 'TRANSFER_CONNECT'],
] as const;

const NAMED = 'names a server with a certificate of its own';

describe('MariaDB over TLS', {
  skip: noMariaDb ?? (process.env['MILLRACE_TEST_MYSQL'] !== undefined && `MILLRACE_TEST_MYSQL ${NAMED}`),
}, () => {
  let db: MariaDb;
  const give = (certificate: string) => {
    for (const kind of ['key', 'pem']) copyFileSync(at(`${certificate}.${kind}`), at(`server.${kind}`));
  };
  before(async () => {
    give('other');
    db = await startMariaDb([`--ssl-cert=${at('server.pem')}`, `--ssl-key=${at('server.key')}`]);
  });
  after(() => db?.stop());

  test('a certificate is for the host that was asked for, by its name or its address; any other one is refused', async () => {
    for (const [certificate, host, outcome] of EACH) {
      give(certificate);
      await db.ask('FLUSH SSL');
      assert.equal(await opens('mysql', db, host), outcome, `${certificate} at ${host}`);
    }
  });
});

describe('PostgreSQL over TLS', { skip: noPostgres ?? false }, () => {
  let db: Postgres;
  /** It reads a key that is its own or root's, and nobody else's. */
  const give = (certificate: string) => {
    for (const kind of ['key', 'pem']) copyFileSync(at(`${certificate}.${kind}`), at(`postgres.${kind}`));
    chmodSync(at('postgres.key'), 0o600);
    if (process.getuid?.() === 0) chownSync(at('postgres.key'), nobody('-u'), nobody('-g'));
  };
  before(async () => {
    give('other');
    db = await startPostgres(['ssl = on', `ssl_cert_file = '${at('postgres.pem')}'`, `ssl_key_file = '${at('postgres.key')}'`]);
  });
  after(() => db?.stop());

  test('a certificate is for the host that was asked for, by its name or its address; any other one is refused', async () => {
    for (const [certificate, host, outcome] of EACH) {
      give(certificate);
      const before = (await db.ask('SELECT pg_conf_load_time()::text AS at'))[0]!['at'];
      await db.ask('SELECT pg_reload_conf()');
      while ((await db.ask('SELECT pg_conf_load_time()::text AS at'))[0]!['at'] === before) await sleep(5);
      assert.equal(await opens('postgres', db, host), outcome, `${certificate} at ${host}`);
    }
  });
});

function nobody(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
}
