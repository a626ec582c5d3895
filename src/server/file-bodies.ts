/** Bodies that are files: they go to disk as they come, unpacked. */
import { statfsSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fail, type MillraceError } from '#core';
import type { Front } from '#platform';

/** What unpacks the body. Errors: BODY_ENCODING. */
export function unpacking({ 'content-encoding': said = 'identity' }: IncomingHttpHeaders): Transform[] {
  const encoding = said.toLowerCase();
  if (encoding === 'identity') return [];
  return encoding === 'gzip' || encoding === 'x-gzip' ? [createGunzip()] : fail('BODY_ENCODING', { encoding: encoding.slice(0, 40) });
}

/** Ends a body that still comes when nothing may be written any more. */
export function whileRoom(refusal: () => MillraceError | null): Transform {
  return new Transform({ transform: (chunk, _encoding, done) => done(refusal(), chunk) });
}

/** Why a body did not come to disk whole: it is not what was announced, its sender went away, or the disk is full; anything else is a defect. */
export function cutBody({ uploads, workspace }: Front, cause: NodeJS.ErrnoException): never {
  const { code } = cause;
  if (code?.startsWith('Z_')) fail('BODY_GZIP', { problem: cause.message }, cause);
  if (code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET') fail('REQUEST_INVALID', { problem: 'it ended in the middle' }, cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const { bavail, bsize } = statfsSync(uploads);
    fail('DISK_FULL', { free: bavail * bsize, reserve: workspace.settings.limits.diskReserve }, cause);
  }
  throw cause;
}
