/** A server of the database whose certificate an authority of ours has signed: for its own name, or for another one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openSource } from '#transfer';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';

const skip =
  absent ?? (process.env['MILLRACE_TEST_MYSQL'] === undefined ? false : 'MILLRACE_TEST_MYSQL names a server with a certificate of its own');

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

describe('MariaDB over TLS', { skip }, () => {
  let db: MariaDb;
  before(async () => {
    chmodSync(folder, 0o755);
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=our authority',
      '-days',
      '2',
    );
    certify('other', 'DNS:db.example.com');
    certify('name', 'DNS:localhost');
    certify('address', 'IP:127.0.0.1');
    for (const kind of ['key', 'pem']) copyFileSync(at(`other.${kind}`), at(`server.${kind}`));
    db = await startMariaDb([`--ssl-cert=${at('server.pem')}`, `--ssl-key=${at('server.key')}`]);
  });
  after(async () => {
    await db?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function opens(certificate: string, host: string): Promise<string> {
    for (const kind of ['key', 'pem']) copyFileSync(at(`${certificate}.${kind}`), at(`server.${kind}`));
    await db.ask('FLUSH SSL');
    const connection = {
      host,
      port: db.port,
      user: db.user,
      password: { env: 'PW' },
      database: db.database,
      tls: true,
      ca: at('ca.pem'),
    };
    try {
      const source = await openSource({ source: 'mysql', connection }, { folder, anywhere: true, env: { PW: db.password } });
      await source.close();
      return 'opened';
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
  }

  test('a certificate is for the host that was asked for, by its name or its address; any other one is refused', async () => {
    assert.deepEqual(
      [
        await opens('other', 'localhost'),
        await opens('other', '127.0.0.1'),
        await opens('name', 'localhost'),
        await opens('name', '127.0.0.1'),
        await opens('address', '127.0.0.1'),
        await opens('address', 'localhost'),
      ],
      ['TRANSFER_CONNECT', 'TRANSFER_CONNECT', 'opened', 'TRANSFER_CONNECT', 'opened', 'TRANSFER_CONNECT'],
    );
  });
});
