/** In which encoding a text file is written, by evidence over all of its bytes. */
import { isAscii, isUtf8 } from 'node:buffer';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { fail } from '#core';
import { Cp949Decoder } from './cp949.ts';
import { KoreanEvidence } from './korean.ts';

export const encodings = ['utf-8', 'utf-16le', 'utf-16be', 'euc-kr', 'windows-1252'] as const;
export type Encoding = (typeof encodings)[number];

/** EUC-KR here is CP949, as the web reads it (WHATWG Encoding, index EUC-KR); Latin-1 is windows-1252. */
export async function detectEncoding(chunks: AsyncIterable<Buffer>): Promise<Encoding> {
  let first = true;
  let utf8 = true;
  let korean: Cp949Decoder | null = new Cp949Decoder();
  const evidence = new KoreanEvidence();
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (first) {
      const marked = markOf(chunk) ?? zerosOf(chunk);
      if (marked !== null) return marked;
      first = false;
    }
    // Of ASCII all of them are made; a character that is cut may end with a letter of it.
    if (tail.length === 0 && korean?.cut !== true && isAscii(chunk)) {
      evidence.add(chunk.subarray(0, 1));
      evidence.add(chunk.subarray(-1));
      continue;
    }
    if (utf8) {
      const bytes = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      const cut = wholeCharacters(bytes);
      utf8 = isUtf8(bytes.subarray(0, cut));
      tail = bytes.subarray(cut);
    }
    if (korean?.decode(chunk) === null) korean = null;
    if (korean !== null) evidence.add(chunk);
    if (!utf8 && korean === null) return 'windows-1252';
  }
  if (utf8 && tail.length === 0) return 'utf-8';
  return korean !== null && !korean.cut && evidence.isKorean ? 'euc-kr' : 'windows-1252';
}

function markOf(bytes: Buffer): Encoding | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return null;
}

/** UTF-16 without a mark: the separators and digits of a table are ASCII, so every other byte of them is zero. */
function zerosOf(bytes: Buffer): Encoding | null {
  const sample = bytes.subarray(0, 4096);
  let even = 0;
  let odd = 0;
  for (let k = 0; k < sample.length; k++) if (sample[k] === 0) k % 2 === 0 ? even++ : odd++;
  if (odd > sample.length / 8 && even < odd / 4) return 'utf-16le';
  return even > sample.length / 8 && odd < even / 4 ? 'utf-16be' : null;
}

/** Up to where the bytes end with a whole character of UTF-8. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** The same text in UTF-8, without a byte order mark. */
export async function* toUtf8(chunks: AsyncIterable<Buffer>, encoding: Encoding): AsyncGenerator<Buffer> {
  if (encoding === 'euc-kr') {
    const decoder = new Cp949Decoder();
    for await (const chunk of chunks)
      yield Buffer.from(decoder.decode(chunk) ?? fail('TRANSFER_FILE', { file: 'the file', format: 'csv', problem: 'it is not CP949' }));
    return;
  }
  if (encoding !== 'utf-8') {
    const decoder = new TextDecoder(encoding);
    for await (const chunk of chunks) yield Buffer.from(decoder.decode(chunk, { stream: true }));
    yield Buffer.from(decoder.decode());
    return;
  }
  let first = true;
  for await (const chunk of chunks) {
    yield first && markOf(chunk) !== null ? chunk.subarray(3) : chunk;
    first = false;
  }
}

/** Writes a file anew in UTF-8 where it is in another encoding, in its place. A second copy stands beside it meanwhile. */
export async function rewriteInUtf8(file: string): Promise<void> {
  const encoding = await detectEncoding(createReadStream(file));
  if (encoding === 'utf-8') return;
  const rewritten = `${file}.utf8`;
  try {
    await pipeline(toUtf8(createReadStream(file), encoding), createWriteStream(rewritten, { mode: 0o600 }));
    await rename(rewritten, file);
  } finally {
    await rm(rewritten, { force: true });
  }
}
