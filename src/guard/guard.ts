import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, type Millis, type Principal, type Role } from '#core';
import { codeOf } from '#files';
import { type Action, mayDo } from './actions.ts';
import { Attempts } from './attempts.ts';
import { Audit, type AuditEntry } from './audit.ts';
import { readTokens, type StoredToken, type TokenInfo, tokenProblem, writeTokens } from './tokens.ts';

/** Who may do what. One per front process; it holds the only copy of guard.json in use. */
export interface Guard {
  /**
   * Who holds this token: the value of the Authorization header, or the bare token. A token seen before costs one look into a map.
   * With `from` (an address), wrong tokens are counted against it. Refusals are audited. TOKEN_MISSING, TOKEN_INVALID, TOKEN_TRIES.
   */
  authenticate(bearer: string | undefined, from?: string): Principal;
  /**
   * Returns if the principal may do it, else NOT_ALLOWED, which is audited. `on` is what it is done to: for `send` the topic; for `jobs`
   * the name of the principal that started the job (none: the list, from which the caller leaves out what {@link mayDo} refuses).
   */
  decide(principal: Principal, action: Action, on?: string): void;
  /** The one-time token for the console's first visitor; null once there is an admin. It exists in this process's memory only. */
  setupToken(): string | null;
  /** Trades the one-time token for the first admin token; the one-time token is void after. SETUP_TOKEN, TOKEN_TRIES, GUARD_FILE. */
  login(oneTime: string, from?: string): { name: string; role: Role; token: string };
  /** An admin token named `local` that lives as long as this process, for programs of the same user on the same machine. */
  localToken(): string;
  /** The token, which is shown this once; only its SHA-256 is kept. `expires` is an instant with an offset. TOKEN_NAME, GUARD_FILE. */
  createToken(of: { name: string; role: Role; topics?: readonly string[] | null; expires?: string | null }): string;
  /** By name. */
  listTokens(): readonly TokenInfo[];
  /** The token is refused from now on, even if the file can't be written. TOKEN_UNKNOWN, GUARD_FILE. */
  revokeToken(name: string): void;
  /** Counts a wrong secret that was not checked by `authenticate` or `login`. */
  failed(from: string): void;
  /** Whether a secret from there should be looked at now. */
  mayTry(from: string): boolean;
  /**
   * Appends to audit.log. Refusals and logins are there already; the doors add what was done: changes of tokens, tables and definitions,
   * replays. A file that can't be written changes no decision. Never give it a secret.
   */
  audit(entry: AuditEntry): void;
  close(): void;
}

const prefix = 'mr_';
const maxBearer = 128;
const localName = 'local';

interface Holder {
  readonly principal: Principal;
  /** When the token ends, in ms; Infinity if never. */
  readonly expires: Millis;
}

/** Opens guard.json and audit.log in `dataPath`. GUARD_FILE: a damaged file opens nothing. */
export function openGuard(dataPath: string, outside: { clock?: () => Millis; random?: (bytes: number) => Buffer } = {}): Guard {
  const { clock = Date.now, random = randomBytes } = outside;
  makeFolder(dataPath);
  return new FileGuard(dataPath, clock, random);
}

class FileGuard implements Guard {
  readonly #path: string;
  readonly #clock: () => Millis;
  readonly #random: (bytes: number) => Buffer;
  readonly #audit: Audit;
  readonly #attempts: Attempts;
  /** By the hash of the token. */
  #tokens: Map<string, StoredToken>;
  /** By what a client sent, and only if it was right: so it holds no more entries than there are tokens (times spellings of "Bearer"). */
  readonly #seen = new Map<string, Holder>();
  readonly #local: string;
  #setup: string | null;

  constructor(dataPath: string, clock: () => Millis, random: (bytes: number) => Buffer) {
    this.#path = join(dataPath, 'guard.json');
    this.#clock = clock;
    this.#random = random;
    this.#tokens = byHash(readTokens(this.#path));
    this.#audit = new Audit(dataPath, clock);
    this.#attempts = new Attempts(clock);
    this.#local = this.#newToken();
    this.#setup = this.#hasAdmin() ? null : this.#newToken();
  }

  authenticate(bearer: string | undefined, from?: string): Principal {
    if (bearer === undefined || bearer === '') fail('TOKEN_MISSING');
    const holder = this.#seen.get(bearer) ?? this.#lookUp(bearer, from);
    if (this.#clock() >= holder.expires) {
      this.#seen.delete(bearer);
      fail('TOKEN_INVALID');
    }
    return holder.principal;
  }

  decide(principal: Principal, action: Action, on?: string): void {
    if (mayDo(principal, action, on)) return;
    this.audit({ who: principal.name, action, on, outcome: 'refused' });
    fail('NOT_ALLOWED', { role: principal.role, action, on: on?.slice(0, 100) });
  }

  setupToken(): string | null {
    return this.#setup;
  }

  login(oneTime: string, from?: string): { name: string; role: Role; token: string } {
    this.#checkTries(from);
    if (this.#setup === null || typeof oneTime !== 'string' || !equal(oneTime, this.#setup)) {
      this.#countFailure(from);
      this.audit({ who: 'setup', action: 'login', outcome: 'refused', from });
      fail('SETUP_TOKEN');
    }
    const name = this.#freeName('admin');
    const token = this.createToken({ name, role: 'admin' });
    this.audit({ who: name, action: 'login', outcome: 'done', from });
    return { name, role: 'admin', token };
  }

  localToken(): string {
    return this.#local;
  }

  createToken(of: { name: string; role: Role; topics?: readonly string[] | null; expires?: string | null }): string {
    const { name, role, topics = null } = of;
    const problem = tokenProblem({ name, role, topics }) ?? (this.#isTaken(name) ? `the name "${name}" is taken` : null);
    if (problem) fail('TOKEN_NAME', { problem });
    const token = this.#newToken();
    const created = new Date(this.#clock()).toISOString();
    const stored: StoredToken = { name, role, topics, created, expires: this.#readExpiry(of.expires ?? null), hash: hashOf(token) };
    const tokens = [...this.#tokens.values(), stored];
    writeTokens(this.#path, tokens);
    this.#tokens = byHash(tokens);
    if (role === 'admin') this.#setup = null;
    return token;
  }

  listTokens(): readonly TokenInfo[] {
    const infos = [...this.#tokens.values()].map(({ name, role, topics, created, expires }) => ({ name, role, topics, created, expires }));
    return infos.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  revokeToken(name: string): void {
    const kept = [...this.#tokens.values()].filter((token) => token.name !== name);
    if (kept.length === this.#tokens.size) fail('TOKEN_UNKNOWN', { name: String(name).slice(0, 100) });
    this.#tokens = byHash(kept);
    this.#seen.clear();
    writeTokens(this.#path, kept);
  }

  failed(from: string): void {
    this.#attempts.failed(from);
  }

  mayTry(from: string): boolean {
    return this.#attempts.mayTry(from);
  }

  audit(entry: AuditEntry): void {
    this.#audit.add(entry);
  }

  close(): void {
    this.#audit.close();
    this.#seen.clear();
  }

  /** A right token always passes, so that nobody can lock out others who share an address; a wrong one is refused the sooner the more there were. */
  #lookUp(bearer: string, from: string | undefined): Holder {
    const token = /^bearer /i.test(bearer) ? bearer.slice('bearer '.length) : bearer;
    const holder = bearer.length <= maxBearer && token.startsWith(prefix) ? this.#holderOf(token) : null;
    if (holder !== null && this.#clock() < holder.expires) {
      this.#seen.set(bearer, holder);
      return holder;
    }
    this.#checkTries(from);
    this.#countFailure(from);
    this.audit({ who: holder?.principal.name ?? 'unknown', action: 'authenticate', outcome: 'refused', from });
    return fail('TOKEN_INVALID');
  }

  #holderOf(token: string): Holder | null {
    if (equal(token, this.#local))
      return { principal: { name: localName, role: 'admin', topics: null }, expires: Number.POSITIVE_INFINITY };
    const stored = this.#tokens.get(hashOf(token));
    if (stored === undefined) return null;
    const { name, role, topics, expires } = stored;
    return { principal: { name, role, topics }, expires: expires === null ? Number.POSITIVE_INFINITY : Date.parse(expires) };
  }

  #checkTries(from: string | undefined): void {
    if (from !== undefined && !this.#attempts.mayTry(from)) fail('TOKEN_TRIES');
  }

  #countFailure(from: string | undefined): void {
    if (from !== undefined) this.#attempts.failed(from);
  }

  #hasAdmin(): boolean {
    const now = this.#clock();
    return [...this.#tokens.values()].some(({ role, expires }) => role === 'admin' && (expires === null || Date.parse(expires) > now));
  }

  #isTaken(name: string): boolean {
    return name === localName || [...this.#tokens.values()].some((token) => token.name === name);
  }

  #freeName(name: string): string {
    if (!this.#isTaken(name)) return name;
    let n = 2;
    while (this.#isTaken(`${name}-${n}`)) n++;
    return `${name}-${n}`;
  }

  #readExpiry(expires: string | null): string | null {
    if (expires === null) return null;
    const at = typeof expires === 'string' && /T.*(Z|[+-]\d{2}:\d{2})$/.test(expires) ? Date.parse(expires) : Number.NaN;
    if (Number.isNaN(at)) fail('TOKEN_NAME', { problem: 'its end must be an instant with an offset (2027-01-31T00:00:00Z)' });
    if (at <= this.#clock()) fail('TOKEN_NAME', { problem: 'its end has passed' });
    return new Date(at).toISOString();
  }

  /** 256 random bits. */
  #newToken(): string {
    return prefix + this.#random(32).toString('base64url');
  }
}

function byHash(tokens: readonly StoredToken[]): Map<string, StoredToken> {
  return new Map(tokens.map((token) => [token.hash, token]));
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** In a time that tells nothing of where they differ, nor of their lengths. */
function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    fail('GUARD_FILE', { file: path, problem: codeOf(error) }, error);
  }
}
