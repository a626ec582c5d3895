import { isIPv4 } from 'node:net';
import { fail } from '#core';

/**
 * Returns if it is safe to listen there: on this machine only, with TLS, or said to be insecure on purpose. HOST_UNSAFE otherwise, also
 * for an empty host, which Node takes as "all interfaces", and for any name but localhost, which may resolve to anything.
 */
export function checkListen(to: { host: string; tls: boolean; insecureHttp: boolean }): void {
  if (!isLoopback(to.host) && !to.tls && !to.insecureHttp) fail('HOST_UNSAFE', { host: to.host || 'all interfaces' });
}

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3), ::1 (RFC 4291 §2.5.3), localhost (RFC 6761 §6.3). */
function isLoopback(host: string): boolean {
  return (isIPv4(host) && host.startsWith('127.')) || host === '::1' || host === '[::1]' || host.toLowerCase() === 'localhost';
}
