import type { Principal, Role } from '#core';

/** What can be done through any door. Each route and command asks for one of these before it does anything else. */
export const actions = [
  'send',
  'query',
  'write_table',
  'load',
  'define',
  'connect',
  'quarantine_read',
  'quarantine_bytes',
  'replay',
  'tokens',
  'jobs',
  'status',
  'metrics',
  'catalog',
  'assign',
] as const;
export type Action = (typeof actions)[number];

/** How far a role's right to an action goes: everything, only the principal's topics, only what is its own, nothing. */
export type Reach = 'all' | 'topics' | 'own' | 'none';

/** The whole policy. docs/security.md shows the same table; a test holds the two together. */
export const policy: Readonly<Record<Action, Readonly<Record<Role, Reach>>>> = {
  send: { admin: 'all', editor: 'all', viewer: 'none', write: 'topics' },
  query: { admin: 'all', editor: 'all', viewer: 'all', write: 'none' },
  write_table: { admin: 'all', editor: 'all', viewer: 'none', write: 'none' },
  load: { admin: 'all', editor: 'all', viewer: 'none', write: 'none' },
  define: { admin: 'all', editor: 'all', viewer: 'none', write: 'none' },
  // Whoever defines a transfer chooses where a secret of this machine is sent.
  connect: { admin: 'all', editor: 'none', viewer: 'none', write: 'none' },
  quarantine_read: { admin: 'all', editor: 'all', viewer: 'none', write: 'none' },
  quarantine_bytes: { admin: 'all', editor: 'none', viewer: 'none', write: 'none' },
  replay: { admin: 'all', editor: 'all', viewer: 'none', write: 'none' },
  tokens: { admin: 'all', editor: 'none', viewer: 'none', write: 'none' },
  jobs: { admin: 'all', editor: 'own', viewer: 'own', write: 'none' },
  status: { admin: 'all', editor: 'all', viewer: 'all', write: 'none' },
  metrics: { admin: 'all', editor: 'all', viewer: 'all', write: 'none' },
  catalog: { admin: 'all', editor: 'all', viewer: 'all', write: 'none' },
  // A tracker's key may ask which variant a visitor sees: it is no more than the visitor's own screen says.
  assign: { admin: 'all', editor: 'all', viewer: 'all', write: 'all' },
};

/** The policy's answer, without an error and without a trace. `on` as in `Guard.decide`. Costs two property reads. */
export function mayDo(principal: Principal, action: Action, on?: string): boolean {
  return reaches(policy[action][principal.role], principal, on);
}

function reaches(reach: Reach, principal: Principal, on: string | undefined): boolean {
  switch (reach) {
    case 'all':
      return true;
    case 'topics':
      return on !== undefined && (principal.topics?.includes(on) ?? false);
    case 'own':
      return on === undefined || on === principal.name;
    case 'none':
      return false;
  }
}
