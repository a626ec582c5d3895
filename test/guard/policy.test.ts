import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Role } from '#core';
import { actions, mayDo, policy } from '#guard';

const roles: readonly Role[] = ['admin', 'editor', 'viewer', 'write'];

/** Written by hand from issue 2 and docs/security.md: A everything, T its topics, O its own, . nothing; in the order of `roles`. */
const expected: Readonly<Record<string, string>> = {
  send: 'AA.T',
  query: 'AAA.',
  write_table: 'AA..',
  load: 'AA..',
  define: 'AA..',
  quarantine_read: 'AA..',
  quarantine_bytes: 'A...',
  replay: 'AA..',
  tokens: 'A...',
  jobs: 'AOO.',
  status: 'AAA.',
  metrics: 'AAA.',
  catalog: 'AAA.',
  assign: 'AAAA',
  connect: 'A...',
};

test('every role may do exactly what the policy grants it, on what it grants', () => {
  assert.deepEqual([...actions].sort(), Object.keys(expected).sort());
  for (const action of actions) {
    for (const [i, role] of roles.entries()) {
      const principal = { name: 'kim', role, topics: role === 'write' ? ['orders'] : null };
      const grant = expected[action]![i]!;
      const answers = [
        mayDo(principal, action),
        mayDo(principal, action, 'orders'),
        mayDo(principal, action, 'other'),
        mayDo(principal, action, 'kim'),
      ];
      const wanted = {
        A: [true, true, true, true],
        T: [false, true, false, false],
        O: [true, false, false, true],
        '.': [false, false, false, false],
      };
      assert.deepEqual(answers, wanted[grant as 'A'], `${role} ${action}`);
    }
  }
});

test('a write key without topics can send nowhere', () => {
  assert.equal(mayDo({ name: 'key', role: 'write', topics: null }, 'send', 'orders'), false);
  assert.equal(mayDo({ name: 'key', role: 'write', topics: [] }, 'send', 'orders'), false);
});

test('docs/security.md shows the policy as it is', () => {
  const doc = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const words = { all: 'yes', topics: 'its topics', own: 'its own', none: '–' };
  for (const action of actions) {
    const row = `| \`${action}\` | ${roles.map((role) => words[policy[action][role]]).join(' | ')} |`;
    assert.ok(doc.includes(row), `docs/security.md lacks the row ${row}`);
  }
});
