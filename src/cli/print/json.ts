import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

/** Reads JSON whose numbers may have more digits than a double: those stay as `JSON.rawJSON`, which prints as it was sent. */
export async function readExactJson<T>(stream: Readable): Promise<T> {
  const keepDigits = (_key: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source ? rawJson(context.source) : value;
  return JSON.parse((await buffer(stream)).toString(), keepDigits as (key: string, value: unknown) => unknown) as T;
}

// In Node 24 (ECMAScript 2026), not yet in the types that we compile against.
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
