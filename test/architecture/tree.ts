import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';

export interface Import {
  readonly specifier: string;
  /** `import type` and `export type`: gone at run time. */
  readonly type: boolean;
  /** `import(…)`: read when it is come to. */
  readonly later: boolean;
}

export interface SourceFile {
  /** From the root, with slashes: `src/core/errors.ts`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** A checkout as the rules see it. */
export interface Tree {
  readonly root: string;
  /** The TypeScript of src/ and web/. */
  readonly files: readonly SourceFile[];
  /** Everything that git keeps or would keep. */
  readonly kept: readonly string[];
  /** Folder (`src/core`) → what ARCHITECTURE.md says it may import: front doors, and files of which it may take types. */
  readonly table: ReadonlyMap<string, Allowed>;
  /** package.json `imports`. */
  readonly doors: Readonly<Record<string, { source: string; default: string }>>;
}

export interface Allowed {
  readonly folders: ReadonlySet<string>;
  readonly typesFrom: ReadonlySet<string>;
}

export function readTree(root: string): Tree {
  const kept = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { imports: Tree['doors'] };
  return {
    root,
    kept,
    files: ['src', 'web'].flatMap((folder) => sourceFiles(root, folder)),
    table: readTable(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')),
    doors: manifest.imports,
  };
}

function sourceFiles(root: string, folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.includes('node_modules'))
    .map((name) => {
      const path = posix.join(folder, name.split(sep).join('/'));
      const text = readFileSync(join(root, path), 'utf8');
      return { path, text, imports: scanImports(text) };
    });
}

/** The rows `| \`src/core\` | … | nothing |` of the table under "who may import whom". */
export function readTable(markdown: string): Map<string, Allowed> {
  const rows = markdown
    .split('\n')
    .filter((line) => /^\|\s*`(src\/|web`)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((cells) => ({ folders: names(cells[1]!), rule: cells.at(-2)! }));
  const stages = rows.flatMap(({ folders }) => folders).filter((folder) => /^src\/(?!server$|cli$|platform$)/.test(folder));
  return new Map(rows.flatMap(({ folders, rule }) => folders.map((folder) => [folder, readRule(rule, folder, stages)] as const)));
}

function readRule(rule: string, folder: string, stages: readonly string[]): Allowed {
  const own = folder.replace('src/', '');
  const typesFrom = /\*types only\* from (.*)$/.exec(rule);
  const general = rule.replace(/\(.*\)/, '').replace(/,?\s*\*types only\*.*$/, '');
  const extra = new RegExp(`\\(${own} also ([^)]*)\\)`).exec(rule)?.[1] ?? '';
  const words = `${general}, ${extra}`.split(',').map((word) => word.trim());
  const folders = words.flatMap((word) => (word === 'every stage' ? stages : word === '' || word === 'nothing' ? [] : [`src/${word}`]));
  return { folders: new Set(folders), typesFrom: new Set(typesFrom ? names(typesFrom[1]!) : []) };
}

function names(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
}

/**
 * The imports of a TypeScript text: static, dynamic with a plain string, and re-exports. Comments and strings are stepped over, so what only
 * looks like an import is none. Imports stand at the top of our files; a regular expression with an odd quote further down can't hide one.
 */
export function scanImports(text: string): Import[] {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|`(?:\\[\s\S]|[^`\\])*`|\b(?:import|export)\b(\s+type\b)?(?:[\s\w*${},]*?\bfrom)?\s*(?:'([^'\n]+)'|"([^"\n]+)")|\bimport\s*\(\s*(?:'([^'\n]+)'|"([^"\n]+)")|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;
  return [...text.matchAll(token)].flatMap((match) => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? match[5];
    return specifier === undefined ? [] : [{ specifier, type: match[1] !== undefined, later: (match[4] ?? match[5]) !== undefined }];
  });
}

/** `src/core` of `src/core/errors/collect.ts`; `web` of anything in web/. */
export function roomOf(path: string): string {
  const [top, room] = path.split('/');
  return top === 'src' ? `src/${room}` : top!;
}

/** The path that a relative specifier or one of our front doors means; null for packages and Node's own modules. */
export function resolveImport(tree: Pick<Tree, 'doors'>, from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return posix.join(dirname(from), specifier);
  const door = tree.doors[specifier];
  return door ? posix.normalize(door.source) : null;
}
