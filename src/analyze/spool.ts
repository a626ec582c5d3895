import { closeSync, createReadStream, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Bytes, fail } from '#core';
import { newTextBuffer, type TextBuffer } from '#store';

const IN_MEMORY: Bytes = 1024 * 1024;
const LARGEST: Bytes = 8 * 1024 * 1024 * 1024;
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

export interface Spools {
  /** Errors, of what writes to it: QUERY_RESULT_SIZE, QUERY_ROOM. */
  begin(): Spool;
  /** Counts a file of another's as one of them until it is told that it is gone. Errors: QUERY_ROOM. */
  hold(bytes: Bytes): () => void;
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

  return { begin: () => newSpool(folder, hold), hold };
}

function roomIn(folder: string): Bytes {
  const { bavail, bsize } = statfsSync(folder);
  return Math.min(MOST, Math.floor((bavail * bsize) / 4));
}

let count = 0;

function newSpool(folder: string, hold: Spools['hold']): Spool {
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
