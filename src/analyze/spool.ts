import { closeSync, createReadStream, openSync, rmSync, statfsSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Bytes, fail, type Millis, MillraceError } from '#core';
import { newTextBuffer, type TextBuffer } from '#store';

const IN_MEMORY: Bytes = 1024 * 1024;
const LARGEST: Bytes = 8 * 1024 * 1024 * 1024;
/** So often it is looked how large a file has become that the engine writes. */
const LOOK: Millis = 20;
/** All of them together, beside a quarter of what is free at the start: those who read slowly must not fill the disk under the log. */
const MOST: Bytes = 16 * 1024 * 1024 * 1024;

/**
 * A finished result on its way to a client: small ones stay in memory, large ones in a file without a name. The query ends
 * before the first byte is sent, so that no slow client holds a transaction open, and an error is a proper answer.
 */
export interface Spool {
  /** What is being written. */
  readonly text: TextBuffer;
  /** Puts what was written into the file where it is much; called now and then. */
  settle(): void;
  /** Everything that was written, as a stream; the spool is gone when the stream ends or is destroyed. */
  stream(): { bytes: number; body: Readable };
  drop(): void;
}

/** A result that the engine writes into files: they count as they grow. */
export interface FileSpool {
  /** A file that is about to be written; those before count on until the end. */
  follow(path: string): void;
  /** The file of that path, whole; the others are gone at once. Errors: QUERY_RESULT_SIZE, QUERY_ROOM. */
  stream(path: string): { bytes: number; body: Readable };
  drop(): void;
}

export interface Spools {
  /** Errors, of what writes to it: QUERY_RESULT_SIZE, QUERY_ROOM. */
  begin(): Spool;
  /** `onFull` hears, while a file is written, that there is no room for more of it, and ends the writing. */
  files(onFull: (why: MillraceError) => void): FileSpool;
}

export function newSpools(folder: string, most: Bytes = roomIn(folder)): Spools {
  let held: Bytes = 0;

  function hold(bytes: Bytes): () => void {
    if (held + bytes > most) fail('QUERY_ROOM', { limit: most });
    held += bytes;
    let holds = true;
    return () => {
      if (holds) held -= bytes;
      holds = false;
    };
  }

  return { begin: () => newSpool(folder, hold), files: (onFull) => newFileSpool(hold, onFull) };
}

type Hold = (bytes: Bytes) => () => void;

function newFileSpool(hold: Hold, onFull: (why: MillraceError) => void): FileSpool {
  const paths: string[] = [];
  const holds: (() => void)[] = [];
  let held: Bytes = 0;
  const letGo = () => {
    for (const release of holds.splice(0)) release();
  };
  const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

  function count(): void {
    const size = paths.reduce((sum, path) => sum + sizeOf(path), 0);
    if (size <= held) return;
    if (size > LARGEST) fail('QUERY_RESULT_SIZE', { limit: LARGEST });
    holds.push(hold(size - held));
    held = size;
  }

  const looking = setInterval(() => {
    try {
      count();
    } catch (thrown) {
      clearInterval(looking);
      if (!(thrown instanceof MillraceError)) throw thrown;
      onFull(thrown);
    }
  }, LOOK);

  return {
    follow: (path) => void paths.push(path),
    stream(path) {
      count();
      clearInterval(looking);
      for (const other of paths) if (other !== path) rmSync(other, { force: true });
      letGo();
      const bytes = sizeOf(path);
      holds.push(hold(bytes));
      const fd = openSync(path, 'r');
      unlinkSync(path);
      return { bytes, body: createReadStream('', { fd, start: 0, highWaterMark: 256 * 1024 }).once('close', letGo) };
    },
    drop() {
      clearInterval(looking);
      letGo();
      for (const path of paths) rmSync(path, { force: true });
    },
  };
}

function roomIn(folder: string): Bytes {
  const { bavail, bsize } = statfsSync(folder);
  return Math.min(MOST, Math.floor((bavail * bsize) / 4));
}

let count = 0;

function newSpool(folder: string, hold: Hold): Spool {
  const text = newTextBuffer();
  const holds: (() => void)[] = [];
  const letGo = () => {
    for (const release of holds.splice(0)) release();
  };
  let fd = -1;
  let bytes = 0;
  const path = join(folder, `${process.pid}-${++count}`);

  function toFile(): void {
    holds.push(hold(text.end));
    if (fd < 0) fd = openSync(path, 'wx+', 0o600);
    for (let at = 0; at < text.end; ) at += writeSync(fd, text.bytes, at, text.end - at);
    bytes += text.end;
    text.end = 0;
    if (bytes > LARGEST) fail('QUERY_RESULT_SIZE', { limit: LARGEST });
  }

  return {
    text,
    settle() {
      if (text.end > IN_MEMORY) toFile();
    },
    stream() {
      if (fd < 0 && text.end <= IN_MEMORY) {
        const body = text.bytes.subarray(0, text.end);
        return { bytes: body.length, body: whole(body) };
      }
      toFile();
      // The open descriptor keeps the file; its name can go now, so nothing is left behind however this ends.
      unlinkSync(path);
      return { bytes, body: createReadStream('', { fd, start: 0, highWaterMark: 256 * 1024 }).once('close', letGo) };
    },
    drop() {
      text.end = 0;
      letGo();
      if (fd < 0) return;
      closeSync(fd);
      unlinkSync(path);
      fd = -1;
    },
  };
}

/** A stream of one piece (`Readable.from` takes turns of the loop for each). */
function whole(body: Buffer): Readable {
  return new Readable({
    highWaterMark: IN_MEMORY,
    read() {
      this.push(body);
      this.push(null);
    },
  });
}
