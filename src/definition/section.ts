import { type Bytes, fail, type Millis, nearest } from '#core';
import { parseBytes, parseDuration } from './units.ts';
import { maxFileBytes, type Node, readYaml } from './yaml.ts';

interface Range {
  readonly min: number;
  readonly max: number;
}

/** The keys that a section takes; 'any' where the user names them. */
type Known = readonly string[] | 'any';
type Entries = Extract<Node, { kind: 'map' }>['entries'];
type Scalar = Extract<Node, { kind: 'scalar' }>;

/**
 * A definition file as its outermost section. Pure. `file` is only for messages.
 * DEFINITION_YAML for what is no plain YAML, DEFINITION_INVALID for what is not taken, both with the line.
 */
export function readDefinition(text: string, file: string, known: Known, most: Bytes = maxFileBytes): Section {
  return new Section(readYaml(text, file, most), file, known);
}

/**
 * One map of a definition file, read key by key. Each reader gives null, nothing or the value that it is told for a key that is
 * absent or empty, and throws DEFINITION_INVALID for what it can't take, with the line of the value. Keys that are not `known` are
 * refused when the section is opened.
 */
export class Section {
  readonly #file: string;
  readonly #name: string;
  readonly #line: number;
  readonly #entries: Entries;

  constructor(node: Node, file: string, known: Known, name = '') {
    this.#file = file;
    this.#name = name;
    this.#line = node.line;
    if (node.kind !== 'map') {
      const subject = name === '' ? 'the file' : `"${name}"`;
      fail('DEFINITION_INVALID', { file, line: node.line, problem: `${subject} must be a map of options (name: value)` });
    }
    this.#entries = node.entries;
    if (known === 'any') return;
    for (const [key, { line }] of node.entries) {
      if (known.includes(key)) continue;
      const hint = nearest(key, known);
      fail('DEFINITION_INVALID', {
        file,
        line,
        problem: `the option "${this.#path(key)}" is unknown; ${hint ? `"${hint}" is near` : `there are ${known.join(', ')}`}`,
      });
    }
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Refuses the value of a key, or the whole section when the key is absent: `"path.key" <problem>`. */
  refuse(key: string, problem: string): never {
    const entry = this.#entries.get(key);
    const line = entry === undefined ? this.#line : isEmpty(entry.value) ? entry.line : entry.value.line;
    return fail('DEFINITION_INVALID', { file: this.#file, line, problem: `"${this.#path(key)}" ${problem.replace(/\.$/, '')}` });
  }

  /** The value of a key, or null when it is absent or empty. */
  node(key: string): Node | null {
    const value = this.#entries.get(key)?.value;
    return value === undefined || isEmpty(value) ? null : value;
  }

  /** A map within the map; an absent one has no keys. */
  section(key: string, known: Known): Section {
    const empty: Node = { kind: 'map', line: this.#line, entries: new Map() };
    return new Section(this.node(key) ?? empty, this.#file, known, this.#path(key));
  }

  /** A list of at most `most` maps; an absent one is empty. */
  sections(key: string, known: Known, most: number): readonly Section[] {
    const node = this.node(key);
    if (node === null) return [];
    if (node.kind !== 'list') return this.refuse(key, 'must be a list (- …)');
    if (node.items.length > most) return this.refuse(key, `has ${node.items.length} entries; at most ${most} are taken`);
    return node.items.map((item, at) => new Section(item, this.#file, known, `${this.#path(key)}[${at + 1}]`));
  }

  /** One line of 1 to `limit` characters, well-formed and without control characters; a plain 2024 or true stays as it is written. */
  text(key: string, limit = 200): string | null {
    return this.#words(key, limit, textProblem);
  }

  needText(key: string, limit = 200): string {
    return this.text(key, limit) ?? this.refuse(key, 'is missing');
  }

  /** SQL or prose of 1 to `limit` characters: line breaks and tabs are part of it. */
  prose(key: string, limit: number): string | null {
    return this.#words(key, limit, (text) => textProblem(text.replaceAll(/[\t\n\r]/g, ' '), limit));
  }

  /** A list of texts, or one text, which counts as a list of one; an absent one is empty. */
  texts(key: string): readonly string[] {
    const node = this.node(key);
    const items = node === null ? [] : node.kind === 'list' ? node.items : [node];
    return items.map((item) => {
      if (item.kind !== 'scalar' || isEmpty(item)) return this.refuse(key, 'must be a list of texts');
      const problem = textProblem(item.text, 200);
      return problem === null ? item.text : this.refuse(key, `has an entry that ${problem}`);
    });
  }

  /** A map of texts, whose keys the user names; an absent one is empty. */
  words(key: string): Readonly<Record<string, string>> {
    const inner = this.section(key, 'any');
    // Not by assignment: a key `__proto__` would set the prototype.
    return Object.fromEntries(inner.keys().map((word) => [word, inner.needText(word)]));
  }

  choice<T extends string, A extends T | null>(key: string, choices: readonly T[], absent: A): T | A {
    const node = this.#scalar(key, `one of ${choices.join(', ')}`);
    if (node === null) return absent;
    return choices.find((choice) => choice === node.text) ?? this.#cannot(key, node.text, `use ${choices.join(', ')}`);
  }

  boolean(key: string, absent: boolean): boolean {
    const node = this.#scalar(key, 'true or false');
    if (node === null) return absent;
    return typeof node.value === 'boolean' ? node.value : this.#cannot(key, node.text, 'use true or false');
  }

  integer<A extends number | null>(key: string, range: Range, absent: A): number | A {
    const node = this.#scalar(key, 'a whole number');
    if (node === null) return absent;
    if (typeof node.value !== 'number' || !Number.isSafeInteger(node.value)) return this.#cannot(key, node.text, 'use a whole number');
    return this.#within(key, node.value, node.text, range);
  }

  duration(key: string, range: Range, absent: Millis): Millis {
    const node = this.#scalar(key, 'a duration (24h)');
    if (node === null) return absent;
    const value = parseDuration(node.text) ?? this.#cannot(key, node.text, 'use a number with ms, s, m, h or d, such as 24h');
    return this.#within(key, value, node.text, range, ' ms');
  }

  bytes(key: string, range: Range, absent: Bytes): Bytes {
    const node = this.#scalar(key, 'a size (512MB)');
    if (node === null) return absent;
    const value = parseBytes(node.text) ?? this.#cannot(key, node.text, 'use a size such as 512MB or 1GiB');
    return this.#within(key, value, node.text, range, ' bytes');
  }

  #words(key: string, limit: number, problemOf: (text: string, limit: number) => string | null): string | null {
    const node = this.#scalar(key, 'text');
    if (node === null) return null;
    const problem = problemOf(node.text, limit);
    return problem === null ? node.text : this.refuse(key, problem);
  }

  #scalar(key: string, wanted: string): Scalar | null {
    const node = this.node(key);
    if (node === null || node.kind === 'scalar') return node;
    return this.refuse(key, `must be ${wanted}, not a ${node.kind}`);
  }

  #within(key: string, value: number, text: string, { min, max }: Range, unit = ''): number {
    return value >= min && value <= max ? value : this.#cannot(key, text, `it must be from ${min} to ${max}${unit}`);
  }

  #cannot(key: string, value: string, instead: string): never {
    return this.refuse(key, `can't be "${value.slice(0, 100)}"; ${instead}`);
  }

  #path(key: string): string {
    const short = key.slice(0, 100);
    return this.#name === '' ? short : `${this.#name}.${short}`;
  }
}

function isEmpty(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null;
}

/** Why a text can't be a name or title of at most `limit` characters; null when it can. */
export function textProblem(text: string, limit: number): string | null {
  if (text === '') return 'is empty';
  if ([...text].length > limit) return `has more than ${limit} characters`;
  if (!text.isWellFormed()) return 'has half of a surrogate pair';
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) return 'has a control character';
  return null;
}
