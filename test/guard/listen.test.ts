import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkListen } from '#guard';

const loopback = ['127.0.0.1', '127.0.0.53', '127.255.255.254', '::1', '[::1]', 'localhost', 'LocalHost'];
const elsewhere = [
  '',
  '0.0.0.0',
  '::',
  '::0',
  '10.0.0.5',
  '192.168.1.1',
  '128.0.0.1',
  '127.1',
  '0127.0.0.1',
  '127.0.0.1.nip.io',
  'localhost.example.org',
  'my-host',
  '::ffff:10.0.0.5',
  'fe80::1%eth0',
  '*',
  '2130706433',
];

test('this machine may be listened on without TLS', () => {
  for (const host of loopback) checkListen({ host, tls: false, insecureHttp: false });
});

test('any other address is refused without TLS, also one that only looks like this machine', () => {
  for (const host of elsewhere) {
    assert.throws(() => checkListen({ host, tls: false, insecureHttp: false }), { code: 'HOST_UNSAFE' }, host);
  }
});

test('any address is taken with TLS, or when it is said to be insecure on purpose', () => {
  for (const host of elsewhere) {
    checkListen({ host, tls: true, insecureHttp: false });
    checkListen({ host, tls: false, insecureHttp: true });
  }
});
