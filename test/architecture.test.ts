import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { rules } from './architecture/rules.ts';
import { readTree, scanImports, type Tree } from './architecture/tree.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('this checkout', () => {
  const tree = readTree(root);
  for (const [sentence, rule] of Object.entries(rules)) {
    test(sentence, () => assert.deepEqual(rule(tree), []));
  }

  test('the table that the rules are read from is the whole one', () => {
    assert.ok(tree.table.size >= 15, `only ${tree.table.size} rooms were read from ARCHITECTURE.md`);
    assert.deepEqual([...tree.table.get('src/core')!.folders], []);
    assert.ok(tree.table.get('src/cli')!.folders.has('src/server'));
    assert.ok(!tree.table.get('src/server')!.folders.has('src/server'));
    assert.ok(tree.table.get('src/platform')!.folders.has('src/learn'));
    assert.deepEqual([...tree.table.get('web')!.typesFrom], ['src/server/api.ts']);
  });
});

const sound: Readonly<Record<string, string>> = {
  'ARCHITECTURE.md': [
    '| folder | what lives there | may import |',
    '|---|---|---|',
    '| `src/core` | words | nothing |',
    '| `src/store` | tables | core |',
    '| `src/platform` | wiring | every stage |',
    '| `src/server`, `src/cli` | shells | core, platform (cli also server) |',
    '| `web` | the console | core, *types only* from `src/server/api.ts` |',
  ].join('\n'),
  'README.md': 'See [the plan](ARCHITECTURE.md#rooms) and `[no](link.md)`.\n',
  'package.json': JSON.stringify({
    imports: Object.fromEntries(
      ['core', 'store', 'platform', 'server'].map((room) => [
        `#${room}`,
        { source: `./src/${room}/index.ts`, default: `./dist/${room}/index.js` },
      ]),
    ),
  }),
  'package-lock.json': '{"packages": {"node_modules/a": {"version": "1.0.0"}}}',
  'src/core/index.ts': `export { word } from './word.ts';\nimport type { Store } from './shape.ts';\nexport type { Store };`,
  'src/core/word.ts': `import type { Store } from './shape.ts';\nexport const word: Store = 'a';`,
  'src/core/shape.ts': `import type { word } from './word.ts';\nexport type Store = string | typeof word;`,
  'src/store/index.ts': `import { DuckDBInstance } from '@duckdb/node-api';\nimport { word } from '#core';\nexport { word, DuckDBInstance };`,
  'src/platform/index.ts': `// import '#store';\nexport { front } from './front.ts';`,
  'src/platform/front.ts': `import type { word } from '#store';\nexport const front = new URL('./warehouse.ts', import.meta.url);\nexport type W = typeof word;`,
  'src/platform/warehouse.ts': `import { word } from '#store';\nconsole.log(word);`,
  'src/server/index.ts': `import { front } from '#platform';\nexport { front };`,
  'src/server/api.ts': 'export interface Answer { rows: number }',
  'src/cli/commands/index.ts': `import { up } from './up.ts';\nexport const commands = [up];`,
  'src/cli/commands/up.ts': `import { front } from '#server';\nimport { front as other } from '#platform';\nexport const up = [front, other];`,
  'web/app.ts': `import type { Answer } from '../src/server/api.ts';\nimport { word } from '#core';\nexport const a: Answer = { rows: word.length };`,
};

/** For each rule a change to the sound tree that it must refuse, with a word of what it says. */
const broken: readonly { rule: keyof typeof rules; files: Record<string, string>; says: string }[] = [
  { rule: 'every room of src/ is in the table of ARCHITECTURE.md', files: { 'src/shed/index.ts': 'export {};' }, says: 'src/shed' },
  { rule: 'a room imports only what the table allows', files: { 'src/core/more.ts': `import { word } from '#store';` }, says: '#store' },
  {
    rule: 'a room imports only what the table allows',
    files: { 'src/core/more.ts': `import type { word } from "#store";` },
    says: '#store',
  },
  {
    rule: 'a room imports only what the table allows',
    files: { 'src/server/more.ts': `const a = await import('#store');` },
    says: '#store',
  },
  {
    rule: 'another room is imported by its front door only',
    files: { 'src/store/a.ts': `import { w } from '#core/word.ts';` },
    says: 'no front door',
  },
  {
    rule: 'another room is imported by its front door only',
    files: { 'src/store/a.ts': `export * from '../core/word.ts';` },
    says: 'src/core/word.ts',
  },
  {
    rule: 'another room is imported by its front door only',
    files: { 'web/b.ts': `import { x } from '../src/server/api.ts';` },
    says: 'api.ts',
  },
  { rule: 'a relative import names an existing file with its ending', files: { 'src/core/a.ts': `import './word';` }, says: './word' },
  {
    rule: 'a relative import names an existing file with its ending',
    files: { 'src/core/a.ts': `import './gone.ts';` },
    says: './gone.ts',
  },
  {
    rule: 'a file never imports the index.ts of a folder that it is in',
    files: { 'src/core/a.ts': `import './index.ts';` },
    says: 'index.ts',
  },
  {
    rule: 'a file never imports the index.ts of a folder that it is in',
    files: { 'src/core/deep/a.ts': `import '#core';` },
    says: 'index.ts',
  },
  {
    rule: 'no file imports itself by way of others',
    files: { 'src/core/a.ts': `import './b.ts';`, 'src/core/b.ts': `import {\n  a,\n} from './a.ts';` },
    says: 'src/core/a.ts → src/core/b.ts → src/core/a.ts',
  },
  { rule: 'no folder is a drawer', files: { 'src/core/utils/a.ts': 'export {};' }, says: 'utils' },
  {
    rule: 'core, definition, sql, learn and visualize use no Node API',
    files: { 'src/core/a.ts': `import fs from 'node:fs';` },
    says: 'node:fs',
  },
  {
    rule: 'core, definition, sql, learn and visualize use no Node API',
    files: { 'src/core/a.ts': `import { join } from 'path';` },
    says: 'path',
  },
  { rule: 'the front never loads DuckDB', files: { 'src/platform/front.ts': `import '#store';` }, says: 'front.ts → src/store/index.ts' },
  { rule: 'the front never loads DuckDB', files: { 'src/cli/commands/up.ts': `await import('@duckdb/node-api');` }, says: '@duckdb' },
  {
    rule: 'the front and the warehouse read the code that trains when they are asked to, if at all',
    files: {
      'src/platform/warehouse.ts': `import '../learn/index.ts';`,
      'src/learn/index.ts': `export { boost } from './trees/boost.ts';`,
      'src/learn/trees/boost.ts': 'export const boost = 1;',
    },
    says: 'warehouse.ts leads to src/learn/trees/boost.ts',
  },
  { rule: 'every entry of a registry is listed in its index.ts', files: { 'src/cli/commands/down.ts': 'export {};' }, says: 'down.ts' },
  { rule: 'package.json has a front door for each room, and no other', files: { 'package.json': '{"imports": {}}' }, says: 'no door' },
  {
    rule: 'package.json has a front door for each room, and no other',
    files: { 'package.json': '{"imports": {"#core": {"source": "./src/core/word.ts", "default": "./dist/core/index.js"}}}' },
    says: 'does not lead',
  },
  { rule: 'nothing kept names a place of one machine', files: { 'a.txt': ['', 'home', 'somebody', 'data'].join('/') }, says: 'somebody' },
  {
    rule: 'nothing kept names a place of one machine',
    files: { '.npmrc': `registry=${['https:', '', 'registry.example.com', ''].join('/')}` },
    says: 'example',
  },
  {
    rule: 'package-lock.json names no addresses',
    files: { 'package-lock.json': `{"resolved": "${['https:', '', 'packages.example', 'a.tgz'].join('/')}"}` },
    says: 'packages.example',
  },
  { rule: 'relative links of the documents lead somewhere', files: { 'docs/a.md': '[gone](../gone.md)' }, says: 'gone.md' },
];

describe('a tree made for the purpose', () => {
  test('passes every rule when it is sound', (t) => {
    const tree = makeTree(t, sound);
    for (const [sentence, rule] of Object.entries(rules)) assert.deepEqual(rule(tree), [], sentence);
  });

  for (const { rule, files, says } of broken) {
    test(`breaks "${rule}" by ${Object.values(files)[0]!.slice(0, 60).trim()}`, (t) => {
      const found = rules[rule]!(makeTree(t, { ...sound, ...files }));
      assert.ok(
        found.some((sentence) => sentence.includes(says)),
        `it said ${JSON.stringify(found)}`,
      );
    });
  }

  test('shows that each rule can fail', () => {
    assert.deepEqual(new Set(broken.map(({ rule }) => rule)), new Set(Object.keys(rules)));
  });
});

test('imports are found in all their forms, and not in comments, strings and templates', () => {
  const text = [
    `import a, { type B } from 'one';`,
    `import type { C } from "two";`,
    `export * as d from 'three';`,
    `import 'four';`,
    `const e = await import('five');`,
    `import {\n  f,\n  g as h,\n} from 'six';`,
    `// import 'no1';`,
    `/* import 'no2'; */`,
    'const s = "import \'no3\'";',
    'const t = `import "no4"`;',
    `export const from = 'no5';`,
  ].join('\n');
  assert.deepEqual(
    scanImports(text).map(({ specifier, type }) => `${specifier}${type ? ' (type)' : ''}`),
    ['one', 'two (type)', 'three', 'four', 'five', 'six'],
  );
});

function makeTree(t: { after: (fn: () => void) => void }, files: Readonly<Record<string, string>>): Tree {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tree-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  execFileSync('git', ['init', '--quiet'], { cwd: folder });
  return readTree(folder);
}
