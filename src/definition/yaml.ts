import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, type Scalar } from 'yaml';
import { type Bytes, fail } from '#core';

/** A definition file as plain data that remembers its lines (from 1). Keys stand in a Map, so that none of them can reach a prototype. */
export type Node =
  | { readonly kind: 'map'; readonly line: number; readonly entries: ReadonlyMap<string, { readonly line: number; readonly value: Node }> }
  | { readonly kind: 'list'; readonly line: number; readonly items: readonly Node[] }
  | { readonly kind: 'scalar'; readonly line: number; readonly value: string | number | boolean | null; readonly text: string };

/**
 * The largest definition file that the front watches. The parser needs about 5 ms a kilobyte on the worst input, and it runs on the
 * loop that acknowledges records.
 */
export const maxFileBytes: Bytes = 64 * 1024;
const maxDepth = 8;

/**
 * Reads YAML 1.2 (core schema) that may be hostile: one document, no anchors, aliases, tags, merge keys or doubled keys, at most
 * `most` bytes and eight levels. DEFINITION_YAML names the line.
 */
export function readYaml(text: string, file: string, most: Bytes): Node {
  // A text has at least a byte for each UTF-16 unit, so a huge one is not encoded to learn its size.
  if (text.length > most || new TextEncoder().encode(text).length > most)
    fail('DEFINITION_YAML', { file, problem: `it has more than ${most} bytes` });
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'core',
    merge: false,
    stringKeys: true,
    // The parser compares each key with all others; `convert` looks them up.
    uniqueKeys: false,
    prettyErrors: false,
    // Not 'silent': that would also hide a second document.
    logLevel: 'error',
  });
  const error = document.errors[0];
  if (error) fail('DEFINITION_YAML', { file, line: lines.linePos(error.pos[0]).line, problem: sentence(error.message) });
  const lineOf = (node: { range?: readonly number[] | null } | null) => (node?.range ? lines.linePos(node.range[0]!).line : 1);
  return convert(document.contents, { file, lineOf }, 0);
}

interface Place {
  readonly file: string;
  readonly lineOf: (node: ParsedNode | null) => number;
}

function convert(node: ParsedNode | null, place: Place, depth: number): Node {
  const line = place.lineOf(node);
  const refuse = (problem: string): never => fail('DEFINITION_YAML', { file: place.file, line, problem });
  if (depth > maxDepth) refuse(`it nests deeper than ${maxDepth} levels`);
  if (node === null) return { kind: 'scalar', line, value: null, text: '' };
  if (isAlias(node) || node.anchor) return refuse('anchors and aliases (& and *) are not taken');
  if (node.tag) refuse('tags (!) are not taken');
  if (isScalar(node)) return scalar(node, line);
  if (isSeq(node)) return { kind: 'list', line, items: node.items.map((item) => convert(item as ParsedNode, place, depth + 1)) };
  if (!isMap(node)) return refuse('it holds something that is neither text, list nor map');
  const entries = new Map<string, { line: number; value: Node }>();
  for (const pair of node.items) {
    const key = convert(pair.key, place, depth + 1);
    if (key.kind !== 'scalar') return refuse('a key must be text');
    if (entries.has(key.text)) fail('DEFINITION_YAML', { file: place.file, line: key.line, problem: `the key "${key.text}" stands twice` });
    entries.set(key.text, { line: key.line, value: convert(pair.value ?? null, place, depth + 1) });
  }
  return { kind: 'map', line, entries };
}

/** A plain scalar keeps its text (a title of 2024 stays "2024", a key `true` stays "true"); a quoted one is its value. */
function scalar(node: Scalar, line: number): Node {
  const { value } = node;
  if (typeof value === 'string') return { kind: 'scalar', line, value, text: value };
  const text = node.source ?? '';
  const known = value === null || typeof value === 'number' || typeof value === 'boolean';
  return { kind: 'scalar', line, value: known ? value : text, text };
}

/** The catalogue's sentence ends with its own full stop. */
function sentence(message: string): string {
  return message.replaceAll(/\s+/g, ' ').replace(/[.\s]+$/, '');
}
