/** Models at hand: files that were read and checked, by their hash; those unused longest are put back first. */
import type { ModelEntry, ModelFile, Version } from '#analyze';
import { type Bytes, fail } from '#core';
import { modelPath, readModelFile } from './file.ts';

export interface Shelf<T> {
  /** What was made of the file. Errors: MODEL_FILE, and those of `make`. */
  get(name: string, version: number, hash: string): T;
}

/** Files in memory together, by their length on disk; the model that is asked for is kept however large it is. */
const ROOM: Bytes = 128 * 1024 * 1024;

/** `make` runs once for each file while it is at hand. */
export function openShelf<T>(dataPath: string, make: (file: ModelFile) => T, room: Bytes = ROOM): Shelf<T> {
  const held = new Map<string, { made: T; bytes: Bytes }>();
  let total = 0;
  return {
    get(name, version, hash) {
      const key = `${name}@${version}:${hash}`;
      let found = held.get(key);
      if (found === undefined) {
        const file = readModelFile(modelPath(dataPath, name, version), { name, version, hash });
        found = { made: make(file), bytes: JSON.stringify(file).length };
        total += found.bytes;
      }
      held.delete(key);
      held.set(key, found);
      for (const [old, { bytes }] of held) {
        if (total <= room || held.size === 1) break;
        held.delete(old);
        total -= bytes;
      }
      return found.made;
    },
  };
}

/** The version that `name`, `name@alias` or `name@2` means: the champion without either. MODEL_UNKNOWN. */
export function findVersion(models: readonly ModelEntry[], spelled: string): { entry: ModelEntry; version: Version } {
  const [first, reference = 'champion'] = spelled.split('@', 2) as [string, string?];
  const full = first.includes('.') ? first : `main.${first}`;
  const entry = models.find(({ name }) => name === full);
  const number = /^\d+$/.test(reference) ? Number(reference) : entry?.aliases[reference];
  const version = entry?.versions.find((each) => each.version === number);
  return entry === undefined || version === undefined ? fail('MODEL_UNKNOWN', { model: spelled.slice(0, 100) }) : { entry, version };
}
