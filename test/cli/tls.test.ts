import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeRunning } from '../../src/cli/running.ts';
import { millrace } from './fixture.ts';

const bin = fileURLToPath(new URL('../../bin/millrace.js', import.meta.url));
const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A certificate for a name that is no address of this machine, signed by itself. */
function certificate(t: TestContext): { cert: string; key: string } {
  const at = folder(t);
  const [cert, key] = [join(at, 'cert.pem'), join(at, 'key.pem')];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert];
  const made = spawnSync('openssl', [...words, '-subj', '/CN=shop.example', '-addext', 'subjectAltName=DNS:shop.example']);
  assert.equal(made.status, 0, String(made.stderr));
  return { cert, key };
}

describe('commands beside a Millrace with TLS', { skip, timeout: 120_000 }, () => {
  const hosts = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
    ? ['0.0.0.0', '::']
    : ['0.0.0.0'];
  for (const host of [...hosts, '127.0.0.1'])
    test(`reach it by its certificate where it listens on ${host}, and stop it`, async (t) => {
      const workspace = join(folder(t), 'shop');
      const { cert, key } = certificate(t);
      const at = ['--workspace', workspace];
      assert.equal((await millrace(['init', workspace])).code, 0);
      assert.equal((await millrace(['topic', 'add', 'events', '-', ...at], { stdin: 'id: event_id\n' })).code, 0);
      const words = [bin, 'up', ...at, '--host', host, '--port', '0', '--tls-cert', cert, '--tls-key', key];
      const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'ignore'] });
      t.after(() => server.kill('SIGKILL'));
      const [line] = await once(createInterface(server.stdout), 'line');
      assert.match(String(line), /ready at https:/);

      const sent = await millrace(['send', 'events', ...at], { stdin: '{"event_id":"a1"}\n{"event_id":"a2"}\n' });
      assert.equal(sent.stdout, '2 accepted\n', sent.stderr);
      assert.match((await millrace(['status', ...at])).stdout, /events +2 /);
      const stopped = await millrace(['stop', ...at]);
      assert.equal(stopped.code, 0, stopped.stderr);
    });

  test('tell nothing to one that has another certificate', async (t) => {
    const path = folder(t);
    mkdirSync(join(path, '.millrace'));
    const { cert, key } = certificate(t);
    let heard = 0;
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => {
      heard++;
      response.end('{"topics":[]}');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    writeRunning(path, { pid: process.pid, address, certificate: 'AB:CD', token: 'mr_local' });
    for (const words of [['status'], ['sql', 'SELECT 1'], ['stop']])
      assert.match((await millrace([...words, '--workspace', path])).stderr, /NOT_RUNNING/);
    assert.equal(heard, 0);
  });
});
