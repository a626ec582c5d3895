/** A file behind a URL: fetched to the disk under limits, read by its kind, and left alone while the server says that it has not changed. */
import { lookup } from 'node:dns';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import querystring from 'node:querystring';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Bytes, fail, MillraceError } from '#core';
import { addressFilter } from '../files/address.ts';
import { dataFiles } from '../files/bytes.ts';
import { type FileKind, kindOf } from '../files/kind.ts';
import { fileOptions, openDataFiles } from '../files/open.ts';
import type { Opened, Place, Source } from '../source.ts';

const MOST_REDIRECTS = 5;
const NO_RULES = { downloadBytes: 16 * 2 ** 30, downloadTime: 3_600_000, privateAddresses: [], env: null, files: null };

export const http: Source = {
  name: 'http',
  title: 'HTTP(S) URLs',
  summary: 'A file behind a URL: CSV, JSON, Parquet or Excel. Private addresses are refused unless millrace.yaml allows them.',
  options: [
    { name: 'url', type: 'text', summary: 'Where the file is: http:// or https://.', required: true },
    { name: 'authorization', type: 'text', summary: 'The header of that name, such as "Bearer …".', secret: true },
    ...fileOptions,
  ],
  async open(connection, place) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-http-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    try {
      const path = join(folder, 'file');
      const authorization = connection['authorization'] as string | null;
      const fetched = await fetchFile(String(connection['url']), path, authorization, place);
      if (fetched === null) {
        remove();
        return { ...nothingNew, unchanged: true };
      }
      const format = String(connection['format']);
      const kind = format === 'auto' ? await kindOf(path) : (format as FileKind);
      const files =
        kind === 'xlsx'
          ? [{ path, name: fetched.name, table: fetched.name, format: kind, member: null }]
          : dataFiles(path, kind, fetched.name);
      const opened = await openDataFiles(files, kind, connection, { version: fetched.version });
      return {
        ...opened,
        async close() {
          await opened.close();
          remove();
        },
      };
    } catch (thrown) {
      remove();
      throw thrown;
    }
  },
  guess(address) {
    return /^https?:\/\//i.test(address) ? { connection: { url: address }, secrets: {} } : null;
  },
};

/** What is never asked, since there is nothing to do. */
const nothingNew: Opened = {
  describe: async () => [],
  snapshot: async (_table, cursor, after) => ({ span: { cursor, after, upTo: null }, without: false }),
  async *read() {},
  checksum: async () => [],
  hashes: async () => [],
  async close() {},
};

interface Fetched {
  readonly name: string;
  /** What the server calls this content; null where it doesn't. */
  readonly version: string | null;
}

/** Null when the server says that the content is the known one. Errors: TRANSFER_ADDRESS, TRANSFER_FETCH, TRANSFER_READ, TRANSFER_OPTION. */
async function fetchFile(address: string, path: string, authorization: string | null, place: Place): Promise<Fetched | null> {
  const rules = place.rules ?? NO_RULES;
  const signal = AbortSignal.timeout(rules.downloadTime);
  const allowed = addressFilter(rules.privateAddresses);
  const first = urlOf(address);
  let url = first;
  for (let redirects = 0; ; redirects++) {
    // A secret goes to the server that it was meant for, and to no other.
    const secret = url.origin === first.origin ? authorization : null;
    const answer = await ask(
      url,
      { ...conditions(knownBy(place)), ...(secret === null ? {} : { authorization: secret }) },
      allowed,
      signal,
    );
    const status = answer.statusCode!;
    if (status >= 300 && status < 400 && status !== 304 && answer.headers.location !== undefined) {
      answer.destroy();
      if (redirects === MOST_REDIRECTS) refused(url, `it leads on more than ${MOST_REDIRECTS} times`);
      const next = urlOf(answer.headers.location, url);
      if (url.protocol === 'https:' && next.protocol !== 'https:') refused(url, 'it leads from https to http');
      url = next;
      continue;
    }
    if (status === 304) {
      answer.destroy();
      return null;
    }
    if (status !== 200) {
      answer.destroy();
      if (status >= 500 || status === 429 || status === 408) unread(url, `the server answers ${status}`);
      refused(url, `the server answers ${status}`);
    }
    await save(answer, path, url, rules.downloadBytes, signal);
    return { name: nameOf(url), version: stamped(place, versionOf(answer)) };
  }
}

function urlOf(address: string, base?: URL): URL {
  const url = URL.parse(address, base?.href) ?? fail('TRANSFER_OPTION', { source: 'http', option: 'url', problem: 'it is no URL' });
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    fail('TRANSFER_OPTION', { source: 'http', option: 'url', problem: 'it begins with neither http:// nor https://' });
  if (url.username !== '' || url.password !== '')
    fail('TRANSFER_OPTION', { source: 'http', option: 'url', problem: 'it holds a password; use "authorization: { env: NAME }"' });
  return url;
}

/** A name to show. A path may hold a percent sign that stands for nothing. */
function nameOf({ pathname }: URL): string {
  const last = basename(pathname);
  return querystring.unescape(last).slice(0, 100) || 'file';
}

/** Without the query, which often holds a key. */
const shown = (url: URL): string => url.origin + url.pathname;
const refused = (url: URL, problem: string): never => fail('TRANSFER_FETCH', { url: shown(url), problem });
const unread = (url: URL, problem: string, cause?: unknown): never => fail('TRANSFER_READ', { table: shown(url), problem }, cause);

async function ask(
  url: URL,
  headers: Record<string, string>,
  allowed: (address: string) => boolean,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // An address in numbers is connected to without being looked up.
  if (isIP(host) !== 0 && !allowed(host)) fail('TRANSFER_ADDRESS', { host });
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      headers: { 'accept-encoding': 'identity', 'user-agent': 'millrace', ...headers },
      lookup: checkedLookup(allowed),
      agent: false,
      signal,
    });
    asking.once('response', resolve);
    asking.once('error', (cause) => {
      if (cause instanceof MillraceError) reject(cause);
      else
        reject(
          new MillraceError('TRANSFER_READ', { table: shown(url), problem: signal.aborted ? 'it takes too long' : cause.message }, cause),
        );
    });
    asking.end();
  });
}

/** The connection goes to the very address that was checked: a name that changes its address between two questions gains nothing. */
function checkedLookup(allowed: (address: string) => boolean): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (problem, addresses) => {
      if (problem !== null) return done(problem, '', 0);
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => allowed(address)))
        return done(new MillraceError('TRANSFER_ADDRESS', { host }) as NodeJS.ErrnoException, '', 0);
      if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

async function save(answer: IncomingMessage, path: string, url: URL, most: Bytes, signal: AbortSignal): Promise<void> {
  let size = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > most) done(new MillraceError('TRANSFER_FETCH', { url: shown(url), problem: `it has more than ${most} bytes` }));
      else done(null, chunk);
    },
  });
  try {
    await pipeline(answer, counted, createWriteStream(path, { mode: 0o600 }), { signal });
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    unread(url, signal.aborted ? 'it takes too long' : (thrown as Error).message, thrown);
  }
}

const MARK = { etag: 'etag ', modified: 'modified ' };

function versionOf({ headers }: IncomingMessage): string | null {
  if (headers.etag !== undefined) return (MARK.etag + headers.etag).slice(0, 500);
  return headers['last-modified'] === undefined ? null : (MARK.modified + headers['last-modified']).slice(0, 500);
}

const stamped = ({ stamp = '-' }: Place, version: string | null): string | null => (version === null ? null : `${stamp} ${version}`);

function knownBy({ stamp = '-', known = null }: Place): string | null {
  return known?.startsWith(`${stamp} `) === true ? known.slice(stamp.length + 1) : null;
}

/** RFC 9110, 13.1.2 and 13.1.3. */
function conditions(known: string | null): Record<string, string> {
  if (known?.startsWith(MARK.etag) === true) return { 'if-none-match': known.slice(MARK.etag.length) };
  return known?.startsWith(MARK.modified) === true ? { 'if-modified-since': known.slice(MARK.modified.length) } : {};
}
