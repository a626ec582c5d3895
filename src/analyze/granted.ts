import { type ErrorBody, fail, type Principal } from '#core';
import { readDefinition, type Section } from '#definition';

/** What a file of grants/ says: whom it holds for (one role, or one token), and the tables; null: as far as the role goes. */
export interface Grant {
  readonly role: 'editor' | 'viewer' | null;
  readonly token: string | null;
  readonly read: readonly string[] | null;
  readonly write: readonly string[] | null;
  readonly file: string;
}

/** The files of grants/ as they are now. */
export interface GrantFiles {
  list(): readonly { readonly file: string; readonly text: string }[];
  problems(): readonly ErrorBody[];
}

const PATTERN = /^(\*|[a-z_\p{Lo}][a-z0-9_\p{Lo}]{0,62}\.(\*|[a-z_\p{Lo}][a-z0-9_\p{Lo}]{0,62}))$/u;

/** Errors: DEFINITION_YAML, DEFINITION_INVALID with the line. */
export function parseGrant(text: string, file: string): Grant {
  const top = readDefinition(text, file, ['role', 'token', 'read', 'write']);
  const role = top.choice('role', ['editor', 'viewer'], null);
  const token = top.text('token', 63);
  if ((role === null) === (token === null)) top.refuse('role', 'must be said, or "token", and not both: for whom is it?');
  if (top.node('read') === null && !top.keys().includes('read')) top.refuse('read', 'is missing; name the tables (mart.*), or [] for none');
  return { role, token, read: patterns(top, 'read'), write: top.keys().includes('write') ? patterns(top, 'write') : null, file };
}

function patterns(top: Section, key: string): readonly string[] {
  const listed = top.texts(key).map((pattern) => pattern.toLowerCase());
  const wrong = listed.find((pattern) => !PATTERN.test(pattern));
  return wrong === undefined ? listed : top.refuse(key, `can't hold "${wrong.slice(0, 100)}"; name tables as mart.sales, mart.* or *`);
}

/** `*`, `schema.*` or `schema.name`; `full` is schema.name in lower case, or schema.* for a schema itself. */
export function isGranted(full: string, listed: readonly string[]): boolean {
  return listed.some((pattern) => pattern === '*' || pattern === full || (pattern.endsWith('.*') && full.startsWith(pattern.slice(0, -1))));
}

/**
 * The grant that holds for somebody: that of the token before that of its role; null where none does. A link to a dashboard reads what
 * its maker reads, and no more than a viewer does where the maker's token has no grant of its own. Grants narrow, so that a file which can't be taken, or two for the same, let only admins read: GRANTS_BROKEN.
 */
export function openGrants(files: GrantFiles): {
  of(who: Pick<Principal, 'name' | 'role' | 'maker'>): Grant | null;
  all(): readonly Grant[];
} {
  let known: { readonly texts: string; readonly grants: readonly Grant[] } = { texts: '', grants: [] };

  function all(): readonly Grant[] {
    const found = files.list();
    const [problem] = files.problems();
    if (problem !== undefined) return fail('GRANTS_BROKEN', { problem: problem.message.replace(/\.$/, '') });
    const texts = JSON.stringify(found.map(({ file, text }) => [file, text]));
    if (texts === known.texts || (found.length === 0 && known.grants.length === 0)) return known.grants;
    const grants = found.map(({ file, text }) => parsed(text, file));
    const twice = grants.find((grant, at) => grants.findIndex((each) => each.role === grant.role && each.token === grant.token) < at);
    if (twice !== undefined) fail('GRANTS_BROKEN', { problem: `${twice.file} is a second file for ${twice.role ?? twice.token}` });
    known = { texts, grants };
    return grants;
  }

  return {
    all,
    of({ name, role, maker = role }) {
      if (role !== 'editor' && role !== 'viewer') return null;
      const grants = all();
      const token = name.replace(/^link:/, '');
      const ofRole = (which: Principal['role']) => grants.find((grant) => grant.role === which) ?? null;
      return grants.find((grant) => grant.token === token) ?? both(ofRole(role), ofRole(maker));
    },
  };
}

/** What both let read; a link writes nothing. */
function both(one: Grant | null, other: Grant | null): Grant | null {
  if (one?.read == null || other?.read == null) return one?.read == null ? (other ?? one) : one;
  const [a, b] = [one.read, other.read];
  return { ...one, read: [...a.filter((pattern) => isGranted(pattern, b)), ...b.filter((pattern) => isGranted(pattern, a))] };
}

function parsed(text: string, file: string): Grant {
  try {
    return parseGrant(text, file);
  } catch (thrown) {
    return fail('GRANTS_BROKEN', { problem: thrown instanceof Error ? thrown.message.replace(/\.$/, '') : 'it can not be read' }, thrown);
  }
}
