/**
 * Where the records of a body stand: one object, an array, or one object a line. What is broken is stepped over so that it harms
 * nothing that can be told from it.
 */
import { type ErrorCode, MillraceError } from '#core';
import { type Keys, keysOf, newScan, type Scan, scanObject } from './scan.ts';

/** The error that a scan left, in the catalogue's words. Positions count from the record's first byte. */
export function scanError(scan: Scan, from: number, depth: number): MillraceError {
  const at = scan.errorAt - from;
  switch (scan.code) {
    case 'RECORD_TOO_DEEP':
      return new MillraceError('RECORD_TOO_DEEP', { limit: depth });
    case 'RECORD_DUPLICATE_KEY':
      return new MillraceError('RECORD_DUPLICATE_KEY', { key: scan.problem.slice(0, 100) });
    case 'RECORD_NOT_OBJECT':
      return new MillraceError('RECORD_NOT_OBJECT', { found: scan.problem });
    case 'RECORD_SURROGATE':
      return new MillraceError('RECORD_SURROGATE', { unit: scan.problem, at });
    default:
      return new MillraceError(scan.code as ErrorCode, { problem: scan.problem, at });
  }
}

const isSpace = (c: number | undefined): boolean => c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;

function skipSpace(body: Buffer, i: number): number {
  while (i < body.length && isSpace(body[i])) i++;
  return i;
}

/**
 * Finds the records of a body (one object, an array, or one object a line) and calls `each` with every one right after it was
 * scanned. Before each, `several` may take some and give the place behind the last of them. A broken record of an array is stepped over by its brackets; if then the array does not end as an array must, what
 * follows the broken one can't be trusted, and is rejected with it as one piece.
 */
export function split(
  scan: Scan,
  body: Buffer,
  keys: Keys,
  depth: number,
  each: (from: number, to: number, problem: MillraceError | null) => void,
  several: (at: number, array: boolean) => number,
): void {
  let i = skipSpace(body, body.length >= 3 && body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0);
  if (body[i] !== 0x5b) {
    while (i < body.length) {
      const behind = several(i, false);
      if (behind > i) {
        i = skipSpace(body, behind);
        continue;
      }
      scanObject(scan, body, i, body.length, keys, depth);
      let end = scan.end;
      if (scan.code !== '') {
        const newline = lineEnd(scan, body, i);
        end = newline < 0 ? body.length : newline;
      }
      each(i, end, null);
      i = skipSpace(body, end);
    }
    return;
  }
  i = skipSpace(body, i + 1);
  if (body[i] === 0x5d) return;
  let verified = false;
  for (;;) {
    let end = several(i, true);
    if (end === i) {
      scanObject(scan, body, i, body.length, keys, depth);
      end = scan.end;
      if (scan.code !== '') {
        end = looseEnd(body, i);
        verified ||= end >= 0 && endsAsArray(body, end);
        if (!verified) {
          each(i, body.length, scanError(scan, i, depth));
          return;
        }
      }
      each(i, end, null);
    }
    i = skipSpace(body, end);
    if (body[i] === 0x5d) {
      const rest = skipSpace(body, i + 1);
      if (rest < body.length) each(rest, body.length, new MillraceError('BODY_JSON', { problem: 'something follows the array', at: rest }));
      return;
    }
    if (body[i] !== 0x2c) {
      each(i, body.length, new MillraceError('BODY_JSON', { problem: 'a comma or ] was expected', at: i }));
      return;
    }
    i = skipSpace(body, i + 1);
  }
}

/** Where the line of a broken record ends, or -1. Only of one that is JSON is it known that it goes on to where its error stands. */
function lineEnd(scan: Scan, body: Buffer, at: number): number {
  return body.indexOf(0x0a, scan.code === 'RECORD_JSON' ? at : scan.errorAt);
}

const ownScan = newScan();
const noKeys = keysOf([]);
/** The most that limits.depth can be: a record that nests deeper is broken everywhere. */
const DEEPEST = 256;
/** "\ud83d\ude00": a token that is cut reads as an error at its first byte. */
const LONGEST_TOKEN = 12;

/**
 * Where the record at `at` (no space before it) ends in a text of one object a line, as intake will find it in a body: a program that
 * sends a file in pieces cuts it there. `last`: nothing follows these bytes; otherwise -1 says that only more of them tell.
 */
export function recordEnd(bytes: Buffer, at: number, last: boolean): number {
  scanObject(ownScan, bytes, at, bytes.length, noKeys, DEEPEST);
  if (ownScan.code === '') return ownScan.end;
  if (!last && ownScan.errorAt + LONGEST_TOKEN > bytes.length) return -1;
  const newline = lineEnd(ownScan, bytes, at);
  return newline < 0 && last ? bytes.length : newline;
}

/** A piece that comes out of quarantine is one record or none: what is found in a part of it is not what was sent. Calls `each` once. */
export function onePiece(
  scan: Scan,
  piece: Buffer,
  keys: Keys,
  depth: number,
  each: (from: number, to: number, problem: MillraceError | null) => void,
): void {
  const from = skipSpace(piece, 0);
  scanObject(scan, piece, from, piece.length, keys, depth);
  const rest = scan.code === '' ? skipSpace(piece, scan.end) : piece.length;
  if (rest === piece.length) each(from, scan.code === '' ? scan.end : piece.length, null);
  else each(from, piece.length, new MillraceError('RECORD_JSON', { problem: 'something follows the object', at: rest - from }));
}

/** Where a broken element ends by its brackets and quotes alone, or -1. */
function looseEnd(body: Buffer, i: number): number {
  let open = 0;
  for (; i < body.length; i++) {
    const c = body[i];
    if (c === 0x22) {
      for (i++; i < body.length && body[i] !== 0x22; i++) if (body[i] === 0x5c) i++;
    } else if (c === 0x7b || c === 0x5b) open++;
    else if (c === 0x7d || c === 0x5d) {
      if (open === 0) return i;
      open--;
    } else if (c === 0x2c && open === 0) return i;
  }
  return -1;
}

/** Do brackets and quotes from `i` on close exactly the one array that is open? */
function endsAsArray(body: Buffer, i: number): boolean {
  for (;;) {
    i = skipSpace(body, i);
    if (body[i] === 0x5d) return skipSpace(body, i + 1) === body.length;
    if (body[i] !== 0x2c) return false;
    i = looseEnd(body, i + 1);
    if (i < 0) return false;
  }
}
