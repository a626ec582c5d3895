/** The files metrics/*.yaml and journeys/*.yaml, read strictly: each refusal names the file and the line. Errors: DEFINITION_YAML, DEFINITION_INVALID. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { fail } from '#core';

const LARGEST = 64 * 1024;

/** One map of the file, read key by key. */
export interface Section {
  text(key: string, limit?: number): string | null;
  needText(key: string, limit?: number): string;
  choice<T extends string>(key: string, choices: readonly T[], absent: T): T;
  boolean(key: string, absent: boolean): boolean;
  texts(key: string): readonly string[];
  /** A map of texts. */
  words(key: string): Readonly<Record<string, string>>;
  /** A list of maps. */
  sections(key: string, known: readonly string[]): readonly Section[];
  /** A map of maps, by its keys. */
  named(key: string, known: readonly string[]): readonly (readonly [string, Section])[];
  refuse(key: string, problem: string): never;
}

export function readDefinition(text: string, file: string, known: readonly string[]): Section {
  if (text.length > LARGEST) fail('DEFINITION_YAML', { file, problem: `it has more than ${LARGEST} characters` });
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'core',
    merge: false,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error !== undefined)
    fail('DEFINITION_YAML', {
      file,
      line: lines.linePos(error.pos[0]).line,
      problem: error.message.replaceAll(/\s+/g, ' ').replace(/[.\s]+$/, ''),
    });
  return section(document.contents, { file, line: (node) => (node?.range ? lines.linePos(node.range[0]).line : 1) }, '', known);
}

interface Place {
  readonly file: string;
  line(node: Node | null | undefined): number;
}

function section(node: Node | null, place: Place, name: string, known: readonly string[] | null): Section {
  const invalid = (at: Node | null | undefined, problem: string): never =>
    fail('DEFINITION_INVALID', { file: place.file, line: place.line(at), problem });
  const path = (key: string) => (name === '' ? key : `${name}.${key}`);
  if (!isMap(node)) return invalid(node, `${name === '' ? 'the file' : `"${name}"`} must be a map of options (name: value)`);
  plain(node);
  const values = new Map<string, Node | null>();
  for (const { key, value } of node.items) {
    const word = isScalar(key) ? String(key.value) : '';
    if (known !== null && !known.includes(word))
      invalid(key as Node, `the option "${path(word).slice(0, 100)}" is unknown; there are ${known.join(', ')}`);
    values.set(word, value as Node | null);
  }
  const refuse = (key: string, problem: string): never => invalid(values.get(key) ?? node, `"${path(key)}" ${problem}`);
  /** Text as it is written: a plain 2024 or true stays what the user wrote. */
  const word = (value: Node | null | undefined, key: string): string | null => {
    if (value === undefined || value === null || (isScalar(value) && value.value === null)) return null;
    if (!isScalar(value)) return refuse(key, 'must be text');
    plain(value);
    return typeof value.value === 'string' ? value.value : (value.source ?? String(value.value));
  };
  const text = (key: string, limit = 200) => {
    const found = word(values.get(key), key);
    if (found === null) return null;
    const wrong = found === '' || found.length > limit || !found.isWellFormed() || /[\u0000-\u0008\u000b-\u001f\u007f]/.test(found);
    return wrong ? refuse(key, `must be text of 1 to ${limit} characters`) : found;
  };
  const absent = (key: string) => {
    const value = values.get(key);
    return value === undefined || value === null || (isScalar(value) && value.value === null);
  };

  function plain(value: Node): void {
    if (isAlias(value) || ('anchor' in value && value.anchor)) invalid(value, 'anchors and aliases (& and *) are not taken');
    if ('tag' in value && value.tag?.startsWith('!')) invalid(value, 'tags (!) are not taken');
  }

  return {
    text,
    refuse,
    needText: (key, limit) => text(key, limit) ?? refuse(key, 'must be given'),
    choice(key, choices, otherwise) {
      const found = text(key);
      return found === null ? otherwise : (choices.find((choice) => choice === found) ?? refuse(key, `is one of ${choices.join(', ')}`));
    },
    boolean(key, otherwise) {
      const found = text(key);
      return found === null ? otherwise : found === 'true' || found === 'false' ? found === 'true' : refuse(key, 'is true or false');
    },
    texts(key) {
      if (absent(key)) return [];
      const value = values.get(key)!;
      return isSeq(value)
        ? value.items.map((item) => word(item as Node, key) ?? refuse(key, 'has an empty item'))
        : refuse(key, 'must be a list');
    },
    words(key) {
      if (absent(key)) return {};
      const value = values.get(key)!;
      const inner = section(value, place, path(key), null);
      const found: Record<string, string> = Object.create(null);
      for (const pair of (value as unknown as { items: { key: { value: unknown } }[] }).items)
        found[String(pair.key.value)] = inner.needText(String(pair.key.value));
      return found;
    },
    sections(key, inner) {
      if (absent(key)) return [];
      const value = values.get(key)!;
      return isSeq(value)
        ? value.items.map((item, at) => section(item as Node, place, `${path(key)}[${at + 1}]`, inner))
        : refuse(key, 'must be a list');
    },
    named(key, inner) {
      if (absent(key)) return [];
      const value = values.get(key)!;
      if (!isMap(value)) return refuse(key, 'must be a map');
      return value.items.map((pair) => {
        const own = String((pair.key as unknown as { value: unknown }).value);
        return [own, section(pair.value as Node | null, place, `${path(key)}.${own}`, inner)] as const;
      });
    },
  };
}
