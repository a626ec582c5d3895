import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, posix } from 'node:path';
import { resolveImport, roomOf, type SourceFile, type Tree } from './tree.ts';

/** A rule gives one sentence for each place that breaks it. */
export type Rule = (tree: Tree) => string[];

const drawers = new Set(['utils', 'common', 'helpers', 'services', 'types', 'lib']);
const pureRooms = new Set(['src/core', 'src/definition', 'src/experiment', 'src/sql', 'src/learn', 'src/visualize']);
const trains = new Set(['src/learn/auto/search.ts', 'src/learn/trees/boost.ts', 'src/learn/trees/kernel-wasm.ts']);
const registries = new Set(['doors', 'sources', 'answers', 'learners', 'charts', 'commands', 'routes']);

/** Each rule by the sentence that it holds. */
export const rules: Readonly<Record<string, Rule>> = {
  'every room of src/ is in the table of ARCHITECTURE.md': (tree) =>
    unique(tree.files.map((file) => roomOf(file.path)))
      .filter((room) => !tree.table.has(room))
      .map((room) => `${room} is not in the table`),

  'a room imports only what the table allows': (tree) =>
    eachImport(tree, ({ path }, specifier) => {
      const door = tree.doors[specifier];
      const room = roomOf(path);
      const target = door && posix.normalize(dirname(door.source));
      if (!target || target === room || tree.table.get(room)?.folders.has(target)) return null;
      return `${path} imports ${specifier}; ${room} may not`;
    }),

  'another room is imported by its front door only': (tree) =>
    eachImport(tree, ({ path }, specifier, type) => {
      if (specifier.startsWith('#') && !(specifier in tree.doors)) return `${path} imports ${specifier}, which is no front door`;
      if (!specifier.startsWith('.')) return null;
      const target = resolveImport(tree, path, specifier)!;
      const allowed = tree.table.get(roomOf(path))?.typesFrom.has(target) === true && type;
      return roomOf(target) === roomOf(path) || allowed ? null : `${path} reaches out of its room to ${target}`;
    }),

  'a relative import names an existing file with its ending': (tree) =>
    eachImport(tree, ({ path }, specifier) => {
      if (!specifier.startsWith('.') || path.startsWith('web/')) return null;
      const target = resolveImport(tree, path, specifier)!;
      return /\.\w+$/.test(target) && existsSync(join(tree.root, target)) ? null : `${path} imports ${specifier}: there is no such file`;
    }),

  'a file never imports the index.ts of a folder that it is in': (tree) =>
    eachImport(tree, ({ path }, specifier) => {
      const target = resolveImport(tree, path, specifier);
      const inside = target !== null && basename(target) === 'index.ts' && path.startsWith(`${dirname(target)}/`);
      return inside ? `${path} imports ${target}, which stands over it` : null;
    }),

  'no file imports itself by way of others': (tree) => {
    const graph = new Map(tree.files.map((file) => [file.path, valueImports(tree, file)]));
    return cycles(graph).map((cycle) => cycle.join(' → '));
  },

  'no folder is a drawer': (tree) =>
    unique(tree.kept.flatMap((path) => path.split('/').slice(0, -1)).filter((name) => drawers.has(name))).map(
      (name) => `a folder is named ${name}`,
    ),

  'core, definition, sql, learn and visualize use no Node API': (tree) =>
    eachImport(tree, ({ path }, specifier, type) =>
      pureRooms.has(roomOf(path)) && isBuiltin(specifier) && !type ? `${path} imports ${specifier}` : null,
    ),

  'the front never loads DuckDB': (tree) => {
    const files = new Map(tree.files.map((file) => [file.path, file]));
    const starts = [...files.keys()].filter((path) => path === 'src/platform/front.ts' || /^src\/(server|cli)\//.test(path));
    return starts.flatMap((start) => {
      const way = wayTo('@duckdb/', start, tree, files);
      return way ? [way.join(' → ')] : [];
    });
  },

  // What a process that stays reads at its start, it holds for good.
  'the front and the warehouse read the code that trains when they are asked to, if at all': (tree) => {
    const started = new Map(tree.files.map((file) => [file.path, file.imports.filter(({ later }) => !later)]));
    const graph = new Map(tree.files.map((file) => [file.path, valueImports(tree, { ...file, imports: started.get(file.path)! })]));
    return ['src/platform/front.ts', 'src/platform/warehouse.ts'].flatMap((start) =>
      [...reach(start, graph)].filter((path) => trains.has(path)).map((path) => `${start} leads to ${path}`),
    );
  },

  'every entry of a registry is listed in its index.ts': (tree) => {
    const entries = tree.files.filter(({ path }) => registries.has(basename(dirname(path))) && basename(path) !== 'index.ts');
    const graph = new Map(tree.files.map((file) => [file.path, relativeImports(tree, file)]));
    return entries.flatMap(({ path }) =>
      reach(`${dirname(path)}/index.ts`, graph).has(path) ? [] : [`${path} is not listed in its index.ts`],
    );
  },

  'package.json has a front door for each room, and no other': (tree) => {
    const doors = Object.entries(tree.doors).flatMap(([name, door]) => {
      const room = name.slice(1);
      if (!tree.table.has(`src/${room}`)) return [`${name} is no room of the table`];
      const right = door.source === `./src/${room}/index.ts` && door.default === `./dist/${room}/index.js`;
      return right ? [] : [`${name} does not lead to src/${room}/index.ts and dist/${room}/index.js`];
    });
    const rooms = tree.files.flatMap(({ path }) => {
      const room = /^src\/(\w+)\/index\.ts$/.exec(path)?.[1];
      return room && !(`#${room}` in tree.doors) ? [`src/${room} has an index.ts but no door in package.json`] : [];
    });
    return [...doors, ...rooms];
  },

  'nothing kept names a place of one machine': (tree) =>
    tree.kept.flatMap((path) => {
      if (/\.(wasm|png|jpg|parquet|gz)$/.test(path)) return [];
      const text = readFileSync(join(tree.root, path), 'utf8');
      const found = machinePlaces.map((place) => place.exec(text)?.[0]).filter((match) => match !== undefined);
      return found.map((match) => `${path} names ${match}`);
    }),

  'package-lock.json names no addresses': (tree) => {
    const lock = join(tree.root, 'package-lock.json');
    const addresses = existsSync(lock) ? (readFileSync(lock, 'utf8').match(/"resolved": "[^"]*"/g) ?? []) : [];
    return addresses.map((address) => `package-lock.json: ${address}`);
  },

  'relative links of the documents lead somewhere': (tree) =>
    tree.kept
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) =>
        links(readFileSync(join(tree.root, path), 'utf8'))
          .filter((link) => !existsSync(join(tree.root, dirname(path), link)))
          .map((link) => `${path} links to ${link}, which is not there`),
      ),
};

// Written with classes of one letter, so that this file does not find itself.
const machinePlaces = [
  /\/wor[k]\/\w+/,
  /\/roo[t]\/[\w.]+/,
  /\/hom[e]\/[\w.]+\//,
  /\/User[s]\/[\w.]+\//,
  /\/tm[p]\/(?:briefs|bash_jobs)\b/,
  /\.librar[y]\//,
  /https?:\/\/[\w.-]*(?:registr[y]|artifactor[y]|nexu[s]|verdacci[o])[\w.-]*(?::\d+)?\//,
];

function eachImport(tree: Tree, check: (file: SourceFile, specifier: string, type: boolean) => string | null): string[] {
  return tree.files.flatMap((file) => file.imports.flatMap(({ specifier, type }) => check(file, specifier, type) ?? []));
}

function valueImports(tree: Tree, file: SourceFile): string[] {
  return file.imports.flatMap(({ specifier, type }) => (type ? [] : (resolveImport(tree, file.path, specifier) ?? [])));
}

function relativeImports(tree: Tree, file: SourceFile): string[] {
  return file.imports.flatMap(({ specifier }) => (specifier.startsWith('.') ? (resolveImport(tree, file.path, specifier) ?? []) : []));
}

/** Depth-first search; each cycle is found once, at the edge that closes it. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path]);
    if (done.has(path) || way.includes(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** The shortest chain of imports from a file to a package, or null. The warehouse's own process is forked, not imported. */
function wayTo(prefix: string, start: string, tree: Tree, files: ReadonlyMap<string, SourceFile>): string[] | null {
  const ways: string[][] = [[start]];
  const seen = new Set([start]);
  for (let way = ways.shift(); way; way = ways.shift()) {
    const file = files.get(way.at(-1)!);
    const hit = file?.imports.find(({ specifier, type }) => !type && specifier.startsWith(prefix));
    if (hit) return [...way, hit.specifier];
    for (const next of file ? valueImports(tree, file) : []) {
      if (seen.has(next) || next === 'src/platform/warehouse.ts') continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return null;
}

function reach(start: string, graph: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set([start]);
  for (const path of seen) for (const next of graph.get(path) ?? []) seen.add(next);
  return seen;
}

/** Targets of Markdown links to files, without their anchors; code is no prose. */
function links(markdown: string): string[] {
  const prose = markdown.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => decodeURIComponent(target!.replace(/#.*$/, '')))
    .filter((target) => target !== '' && !/^[a-z]+:/i.test(target));
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
