import { type FSWatcher, watch } from 'node:fs';
import type { Millis } from '#core';
import { codeOf } from '#files';
import { type State, stateOf } from './file.ts';

/** An editor that writes in several steps is done when two looks this far apart see the same. */
const settleTime: Millis = 50;
/** The system's notices may be lost (network folders, a folder that was replaced, no watches left): a look that costs one stat a file. */
const lookTime: Millis = 1_000;

/**
 * Tells which files have come to rest in a new state: changed, made or gone. It holds no process open.
 *
 *     taken ──another state seen──► pending ──the same again──► settled (told, taken)
 *       ▲                              │ another again: pending still
 *       └─────────back as it was───────┘
 */
export class Watch {
  readonly #list: () => readonly string[];
  readonly #settled: (paths: readonly string[]) => void;
  readonly #taken = new Map<string, State>();
  readonly #pending = new Map<string, State>();
  readonly #watchers: FSWatcher[] = [];
  readonly #looks: NodeJS.Timeout;
  #soon: NodeJS.Timeout | null = null;

  constructor(folders: readonly string[], list: () => readonly string[], settled: (paths: readonly string[]) => void) {
    this.#list = list;
    this.#settled = settled;
    for (const folder of folders) this.#watchFolder(folder);
    this.#looks = setInterval(() => this.#look(), lookTime).unref();
  }

  /** The caller knows this state of the file; only another one is told. */
  took(path: string, state: State): void {
    if (state === '') this.#taken.delete(path);
    else this.#taken.set(path, state);
    this.#pending.delete(path);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    clearInterval(this.#looks);
    if (this.#soon) clearTimeout(this.#soon);
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      // From then on the looks alone serve this folder.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch (error) {
      // No folder yet or no watches left: as above. A defect has no code and goes on.
      codeOf(error);
    }
  }

  #lookSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.#look();
    }, settleTime).unref();
  }

  /** Where a folder can't be read for now (too many files are open, a disk that fails), what is known of it stays until a later look. */
  #listed(): readonly string[] {
    try {
      return this.#list();
    } catch (error) {
      codeOf(error);
      return [];
    }
  }

  #look(): void {
    const settled: string[] = [];
    for (const path of new Set([...this.#listed(), ...this.#taken.keys()])) {
      const now = stateOf(path);
      if (now === (this.#taken.get(path) ?? '')) this.#pending.delete(path);
      else if (now === this.#pending.get(path)) settled.push(path);
      else this.#pending.set(path, now);
    }
    for (const path of settled) this.took(path, this.#pending.get(path)!);
    if (this.#pending.size > 0) this.#lookSoon();
    if (settled.length > 0) this.#settled(settled);
  }
}
