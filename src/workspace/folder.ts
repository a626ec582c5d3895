import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { asMillraceError, type Bytes, type ErrorBody, fail, isTableWord, MillraceError } from '#core';
import { listFolder, readFile, removeDefinition, stateOf, writeDefinition } from './file.ts';
import { Watch } from './watch.ts';

/** One kind of definition files of a workspace as text: whoever owns the kind reads what they say. */
export interface DefinitionFolder {
  /** By name; a file that can't be read as text is left out and listed among the problems. */
  list(): readonly { readonly name: string; readonly file: string; readonly text: string }[];
  problems(): readonly ErrorBody[];
  /** Files that look as if they were meant (another ending, a folder) and are not read: a problem for each. */
  strays(): readonly ErrorBody[];
  /** Durable when it returns. DEFINITION_INVALID for a name that can't be a file's; DEFINITION_WRITE. */
  save(name: string, text: string): void;
  /** DEFINITION_WRITE. */
  remove(name: string): void;
  close(): void;
}

/** Without a dot: a folder, or an ending that was forgotten. */
const MEANT = /\.ya?ml$/i;

/** Opens `<workspace>/<folder>/*<extension>`; `onChange` is called after files came to rest in another state than the one known here. */
export function openDefinitions(
  workspace: string,
  folder: string,
  extension: string,
  onChange: () => void,
  most?: Bytes,
): DefinitionFolder {
  const path = join(workspace, folder);
  mkdirSync(path, { recursive: true });
  const files = () =>
    listFolder(path)
      .filter((name) => !name.startsWith('.') && name.endsWith(extension))
      .sort()
      .map((name) => join(path, name));
  const watch = new Watch([path], files, onChange);
  for (const file of files()) watch.took(file, stateOf(file));
  let problems: ErrorBody[] = [];

  function fileOf(name: string): string {
    const file = `${folder}/${name}${extension}`;
    return name.split('.').length <= 2 && name.split('.').every(isTableWord)
      ? join(workspace, file)
      : fail('DEFINITION_INVALID', { file, problem: 'the name must be letters (no capitals), digits and _' });
  }

  return {
    list() {
      problems = [];
      const found: { name: string; file: string; text: string }[] = [];
      for (const full of files()) {
        const file = `${folder}/${basename(full)}`;
        try {
          const definition = readFile(full, file, most);
          if (definition !== null) found.push({ name: basename(full, extension), file, text: definition.text });
        } catch (thrown) {
          problems.push(asMillraceError(thrown).body);
        }
      }
      return found;
    },
    problems: () => problems,
    strays: () =>
      listFolder(path)
        .filter((name) => !name.startsWith('.') && !name.endsWith(extension) && (name.includes('.') ? MEANT.test(name) : true))
        .map((name) => {
          const problem = `it is not read: only files ${folder}/NAME${extension} are`;
          return new MillraceError('DEFINITION_INVALID', { file: `${folder}/${name}`, problem }).body;
        }),
    save(name, text) {
      const full = fileOf(name);
      watch.took(full, writeDefinition(full, text, `${folder}/${name}${extension}`));
    },
    remove(name) {
      const full = fileOf(name);
      removeDefinition(full, `${folder}/${name}${extension}`);
      watch.took(full, '');
    },
    close: () => watch.close(),
  };
}
