/** A definition file read key by key, each refusal with its line: DEFINITION_YAML for what is no YAML, DEFINITION_INVALID for what is not taken. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { fail } from '#core';

const largest = 256 * 1024;

export interface Place {
  readonly file: string;
  readonly lines: LineCounter;
}

/** One map of the file. */
export interface Section {
  /** Words of at most `limit` characters, or null when absent. */
  text(key: string, limit?: number): string | null;
  choice<T extends string>(key: string, choices: readonly T[]): T | null;
  integer(key: string, range: { min: number; max: number }): number | null;
  /** Texts; one text counts as a list of one. */
  texts(key: string): readonly string[] | null;
  sections(key: string, known: readonly string[], most: number): readonly Section[];
  has(key: string): boolean;
  /** Refuses the value of a key, or the section when the key is absent. */
  refuse(key: string, problem: string): never;
}

export function readDefinition(text: string, file: string, known: readonly string[]): Section {
  if (text.length > largest) fail('DEFINITION_YAML', { file, problem: `it has more than ${largest} characters` });
  const lines = new LineCounter();
  const document = parseDocument(text, { version: '1.2', lineCounter: lines, stringKeys: true, prettyErrors: false, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) {
    const problem = error.message.replaceAll(/\s+/g, ' ').replace(/[.\s]+$/, '');
    fail('DEFINITION_YAML', { file, line: lines.linePos(error.pos[0]).line, problem });
  }
  return section(document.contents, { file, lines }, '', known);
}

function section(node: unknown, place: Place, name: string, known: readonly string[]): Section {
  const own = lineOf(node, place);
  const subject = name === '' ? 'the file' : name;
  const invalid = (line: number, problem: string): never => fail('DEFINITION_INVALID', { file: place.file, line, problem });
  if (!isMap(node)) return invalid(own, `${subject} must be a map of options (name: value)`);
  refuseTags(node, invalid, own);
  const values = new Map<string, unknown>();
  for (const { key, value } of node.items) {
    const word = isScalar(key) ? String(key.value) : '';
    if (!known.includes(word)) invalid(lineOf(key, place), `the option "${word.slice(0, 100)}" is unknown; there are ${known.join(', ')}`);
    values.set(word, value);
  }
  const path = (key: string) => (name === '' ? key : `${name}.${key}`);
  const refuse = (key: string, problem: string) => invalid(lineOf(values.get(key), place, own), `"${path(key)}" ${problem}`);
  const scalar = (key: string, wanted: string): { value: unknown; source: string } | null => {
    const value = values.get(key);
    if (value === undefined || value === null || (isScalar(value) && value.value === null)) return null;
    if (!isScalar(value)) return refuse(key, `must be ${wanted}`);
    refuseTags(value, invalid, lineOf(value, place));
    return { value: value.value, source: typeof value.value === 'string' ? value.value : (value.source ?? '') };
  };
  const text = (key: string, limit = 200) => {
    const found = scalar(key, 'text');
    if (found === null) return null;
    return wordsProblem(found.source, limit) === null ? found.source : refuse(key, wordsProblem(found.source, limit)!);
  };
  return {
    text,
    refuse,
    has: (key) => values.has(key),
    choice(key, choices) {
      const found = scalar(key, `one of ${choices.join(', ')}`);
      if (found === null) return null;
      return (
        choices.find((choice) => choice === found.source) ??
        refuse(key, `can't be "${found.source.slice(0, 100)}"; use ${choices.join(', ')}`)
      );
    },
    integer(key, { min, max }) {
      const found = scalar(key, 'a whole number');
      if (found === null) return null;
      const { value } = found;
      return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : refuse(key, `can't be ${found.source.slice(0, 100)}; use a whole number from ${min} to ${max}`);
    },
    texts(key) {
      const value = values.get(key);
      if (!isSeq(value)) {
        const one = text(key);
        return one === null ? null : [one];
      }
      return value.items.map((item) =>
        isScalar(item) && item.value !== null ? String(item.value) : refuse(key, 'must be a list of texts'),
      );
    },
    sections(key, inner, most) {
      const value = values.get(key);
      if (value === undefined || (isScalar(value) && value.value === null)) return [];
      if (!isSeq(value)) return refuse(key, 'must be a list (- …)');
      if (value.items.length > most) return refuse(key, `has ${value.items.length} entries; at most ${most} are taken`);
      return value.items.map((item, at) => section(item, place, `${path(key)}[${at + 1}]`, inner));
    },
  };
}

function refuseTags(node: Node, invalid: (line: number, problem: string) => never, line: number): void {
  if (isAlias(node) || ('anchor' in node && node.anchor)) invalid(line, 'anchors and aliases (& and *) are not taken');
  if ('tag' in node && node.tag?.startsWith('!')) invalid(line, 'tags (!) are not taken');
}

function wordsProblem(text: string, limit: number): string | null {
  if (text.length > limit) return `has more than ${limit} characters`;
  if (!text.isWellFormed()) return 'has half of a surrogate pair';
  // Line breaks and tabs are part of SQL and of prose.
  return /[\u0000-\u0008\u000b-\u001f\u007f]/.test(text) ? 'has a control character' : null;
}

function lineOf(node: unknown, { lines }: Place, otherwise = 1): number {
  const range = (node as Node | null | undefined)?.range;
  return range ? lines.linePos(range[0]).line : otherwise;
}
