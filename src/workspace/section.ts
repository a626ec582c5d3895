import { type Bytes, fail, type Millis } from '#core';
import { near } from './near.ts';
import { parseBytes, parseDuration } from './units.ts';
import type { Node } from './yaml.ts';

interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * One map of a definition file, read key by key. Every reader takes the value that holds when the key is absent or empty, and
 * throws DEFINITION_INVALID with the line of what it can't take. Keys that are not `known` are refused when the section is opened.
 */
export class Section {
  readonly #file: string;
  readonly #name: string;
  readonly #line: number;
  readonly #entries: Extract<Node, { kind: 'map' }>['entries'];

  constructor(node: Node, file: string, known: readonly string[] | 'any', name = '') {
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
      const hint = near(key, known);
      const problem = `the option "${this.#path(key)}" is unknown; ${hint ? `"${hint}" is near` : `there are ${known.join(', ')}`}`;
      fail('DEFINITION_INVALID', { file, line, problem });
    }
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Refuses the value of a key (or the whole section when the key is absent). */
  refuse(key: string, problem: string): never {
    return fail('DEFINITION_INVALID', {
      file: this.#file,
      line: this.#entries.get(key)?.line ?? this.#line,
      problem: problem.replace(/\.$/, ''),
    });
  }

  /** The value of a key, or null when it is absent or empty. */
  node(key: string): Node | null {
    const value = this.#entries.get(key)?.value;
    return value === undefined || (value.kind === 'scalar' && value.value === null) ? null : value;
  }

  section(key: string, known: readonly string[] | 'any'): Section {
    const empty: Node = { kind: 'map', line: this.#line, entries: new Map() };
    return new Section(this.node(key) ?? empty, this.#file, known, this.#path(key));
  }

  /** Text of 1 to 200 characters, well-formed and without control characters. */
  text<T>(key: string, absent: T): string | T {
    const node = this.#scalar(key, 'text');
    if (node === null) return absent;
    const problem = textProblem(node.text, 200);
    return problem ? this.refuse(key, `"${this.#path(key)}" ${problem}`) : node.text;
  }

  choice<T extends string>(key: string, choices: readonly T[], absent: T): T {
    const node = this.#scalar(key, `one of ${choices.join(', ')}`);
    if (node === null) return absent;
    return choices.find((choice) => choice === node.text) ?? this.#cannot(key, node.text, `use ${choices.join(', ')}`);
  }

  boolean(key: string, absent: boolean): boolean {
    const node = this.#scalar(key, 'true or false');
    if (node === null) return absent;
    return typeof node.value === 'boolean' ? node.value : this.#cannot(key, node.text, 'use true or false');
  }

  integer(key: string, range: Range, absent: number): number {
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

  #scalar(key: string, wanted: string): Extract<Node, { kind: 'scalar' }> | null {
    const node = this.node(key);
    if (node === null || node.kind === 'scalar') return node;
    return this.refuse(key, `"${this.#path(key)}" must be ${wanted}, not a ${node.kind}`);
  }

  #within(key: string, value: number, text: string, { min, max }: Range, unit = ''): number {
    return value >= min && value <= max ? value : this.#cannot(key, text, `it must be from ${min} to ${max}${unit}`);
  }

  #cannot(key: string, value: string, instead: string): never {
    return this.refuse(key, `"${this.#path(key)}" can't be "${value.slice(0, 100)}"; ${instead}`);
  }

  #path(key: string): string {
    return this.#name === '' ? key : `${this.#name}.${key}`;
  }
}

/** Why a text can't be a name or title of at most `limit` characters; null when it can. */
export function textProblem(text: string, limit: number): string | null {
  if (text === '') return 'is empty';
  if ([...text].length > limit) return `has more than ${limit} characters`;
  if (!text.isWellFormed()) return 'has half of a surrogate pair';
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) return 'has a control character';
  return null;
}
