/** Numbers as base64 of their little-endian bytes: exact, and a third of the size of decimal text. Every platform we run on is little-endian. */

type Numbers = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

export function pack(values: Numbers): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

function bytesOf(packed: string): ArrayBuffer {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

export const unpackDoubles = (packed: string): Float64Array => new Float64Array(bytesOf(packed));
export const unpackFloats = (packed: string): Float32Array => new Float32Array(bytesOf(packed));
export const unpackIntegers = (packed: string): Int32Array => new Int32Array(bytesOf(packed));
export const unpackWords = (packed: string): Uint32Array => new Uint32Array(bytesOf(packed));
export const unpackBytes = (packed: string): Uint8Array => new Uint8Array(bytesOf(packed));
