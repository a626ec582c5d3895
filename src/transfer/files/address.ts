/** Which addresses of the net a URL of a user may lead to. */
import { BlockList, isIP } from 'node:net';
import { fail } from '#core';

/** IANA's special-purpose registry for IPv4 (RFC 6890 and later), with multicast and what is reserved. */
const NOT_PUBLIC_4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Of IPv6 only 2000::/3 is routed; in it these are special or lead on to an IPv4 address. */
const NOT_PUBLIC_6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const closed = new BlockList();
for (const [net, prefix] of NOT_PUBLIC_4) closed.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of NOT_PUBLIC_6) closed.addSubnet(net, prefix, 'ipv6');
const routed = new BlockList();
routed.addSubnet('2000::', 3, 'ipv6');

/** Says of an address in its numbers whether it may be connected to. `allowed`: addresses and blocks that may although they are not public. */
export function addressFilter(allowed: readonly string[]): (address: string) => boolean {
  const open = new BlockList();
  for (const block of allowed) {
    const [net, prefix] = block.split('/') as [string, string | undefined];
    const version = isIP(net);
    const bits = Number(prefix ?? (version === 4 ? 32 : 128));
    if (version === 0 || !(bits >= 0 && bits <= (version === 4 ? 32 : 128)))
      fail('TRANSFER_OPTION', { source: 'http', option: 'transfer.private_addresses', problem: `"${block}" is no address and no block` });
    open.addSubnet(net, bits, version === 4 ? 'ipv4' : 'ipv6');
  }
  return (address) => {
    const plain = mapped(address) ?? address;
    if (isIP(plain) === 4) return open.check(plain, 'ipv4') || !closed.check(plain, 'ipv4');
    if (isIP(plain) !== 6) return false;
    return open.check(plain, 'ipv6') || (routed.check(plain, 'ipv6') && !closed.check(plain, 'ipv6'));
  };
}

/** The IPv4 address in ::ffff:a.b.c.d, in any spelling; null where it is none. */
function mapped(address: string): string | null {
  if (isIP(address) !== 6) return null;
  // The URL parser writes each address in one way (RFC 5952), the last two groups in hexadecimal.
  const groups = /^\[::ffff:([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(new URL(`http://[${address.replace(/%.*/, '')}]`).hostname);
  if (groups === null) return null;
  const [high, low] = [Number.parseInt(groups[1]!, 16), Number.parseInt(groups[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
