import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { fail, type Millis } from '#core';
import { readSecretFile, writeSecretFile } from './file.ts';

/** Links that carry what they allow, signed, so that nothing needs to be kept of them. Deleting links.key voids all of them. */
export interface Links {
  /** HMAC-SHA-256 (RFC 2104) over content and expiry with this workspace's own key, which is made with the first link. GUARD_FILE. */
  sign(content: unknown, expires: Millis): string;
  /** What was signed: LINK_INVALID for any other text, LINK_EXPIRED once its time is over. */
  read(link: string): { content: unknown; expires: Millis };
}

/** A link is typed into chats and mails; more than this is none of ours. */
const longest = 4096;
const keyBytes = 32;

export function openLinks(dataPath: string, clock: () => Millis = Date.now): Links {
  const file = join(dataPath, 'links.key');
  const key = (): Buffer | null => {
    const text = readSecretFile(file)?.trim();
    if (text === undefined) return null;
    const held = Buffer.from(text, 'base64url');
    return held.length === keyBytes ? held : fail('GUARD_FILE', { file: 'links.key', problem: `it does not hold ${keyBytes} bytes` });
  };
  const made = (): Buffer => {
    const fresh = randomBytes(keyBytes);
    writeSecretFile(file, `${fresh.toString('base64url')}\n`);
    return fresh;
  };
  return {
    sign(content, expires) {
      const body = Buffer.from(JSON.stringify({ expires, content })).toString('base64url');
      const link = `${body}.${seal(key() ?? made(), body).toString('base64url')}`;
      return link.length <= longest ? link : fail('REQUEST_INVALID', { problem: 'the link would be too long; choose fewer filters' });
    },
    read(link) {
      const [, body, mark] = (link.length <= longest && /^([\w-]+)\.([\w-]{43})$/.exec(link)) || [];
      const held = body === undefined ? null : key();
      if (body === undefined || mark === undefined || held === null) return fail('LINK_INVALID');
      // Compared as text: of the 43 letters the last has bits that no byte holds, and another letter there would be another link.
      const expected = Buffer.from(seal(held, body).toString('base64url'));
      if (!timingSafeEqual(expected, Buffer.from(mark))) return fail('LINK_INVALID');
      const { expires, content } = JSON.parse(Buffer.from(body, 'base64url').toString()) as { expires: Millis; content: unknown };
      return clock() < expires ? { content, expires } : fail('LINK_EXPIRED', { expired: new Date(expires).toISOString() });
    },
  };
}

function seal(key: Buffer, body: string): Buffer {
  return createHmac('sha256', key).update(`millrace link 1\n${body}`).digest();
}
