import { basename } from 'node:path';
import { fail, type Role } from '#core';
import { readSecretFile, writeSecretFile } from './file.ts';

/** What may be shown of a token. `expires` and `created` are ISO 8601 in UTC. */
export interface TokenInfo {
  readonly name: string;
  readonly role: Role;
  /** The topics of a write key; null for the other roles, which know no such limit. */
  readonly topics: readonly string[] | null;
  readonly created: string;
  readonly expires: string | null;
}

/** A token as it stands in the file: its SHA-256 in hex. 256 random bits need neither salt nor a slow hash. */
export interface StoredToken extends TokenInfo {
  readonly hash: string;
}

const roles: readonly Role[] = ['admin', 'editor', 'viewer', 'write'];
const maxTopics = 1_000;

/**
 * The tokens of guard.json; none if there is no file. A file that is not exactly what {@link writeTokens} writes is refused as a whole
 * (GUARD_FILE): guessing at it could open a door.
 */
export function readTokens(path: string): StoredToken[] {
  const text = readSecretFile(path);
  if (text === null) return [];
  const refuse = (problem: string, cause?: unknown) => fail('GUARD_FILE', { file: basename(path), problem }, cause);
  const tokens = storedTokens(parse(text, refuse));
  if (tokens === null) return refuse('it is not a list of tokens of version 1');
  if (new Set(tokens.map((token) => token.name)).size < tokens.length) return refuse('a name stands twice');
  return tokens;
}

/** GUARD_FILE. */
export function writeTokens(path: string, tokens: readonly StoredToken[]): void {
  writeSecretFile(path, `${JSON.stringify({ version: 1, tokens }, null, 2)}\n`);
}

/** Why a token can't be made with this name, role and topics; null when it can. The values may come from a request. */
export function tokenProblem(of: { name: unknown; role: unknown; topics: unknown }): string | null {
  if (typeof of.name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/.test(of.name)) {
    return 'its name must be 1 to 63 letters, digits or . _ @ -, starting with a letter or digit';
  }
  if (!roles.includes(of.role as Role)) return `its role must be ${roles.join(', ')}`;
  if (of.role !== 'write') return of.topics === null ? null : 'only a write key has topics';
  return areTopics(of.topics) ? null : `a write key needs the names of 1 to ${maxTopics} topics`;
}

function areTopics(topics: unknown): topics is string[] {
  const isName = (topic: unknown) => typeof topic === 'string' && /^[a-z][a-z0-9_]{0,62}$/.test(topic);
  return Array.isArray(topics) && topics.length >= 1 && topics.length <= maxTopics && topics.every(isName);
}

function parse(text: string, refuse: (problem: string, cause: unknown) => never): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's message would quote the file.
    return refuse('it is not JSON', error);
  }
}

function storedTokens(file: unknown): StoredToken[] | null {
  if (!isObject(file) || file['version'] !== 1 || !Array.isArray(file['tokens'])) return null;
  return file['tokens'].every(isStoredToken) ? file['tokens'] : null;
}

function isStoredToken(value: unknown): value is StoredToken {
  if (!isObject(value)) return false;
  const { name, role, topics, created, expires, hash } = value;
  const known = Object.keys(value).length === 6 && tokenProblem({ name, role, topics }) === null;
  return known && isInstant(created) && (expires === null || isInstant(expires)) && typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash);
}

function isInstant(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
