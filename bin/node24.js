// Plain JavaScript for any Node ≥ 18: this runs before the right Node is known.
// CommonJS: the launcher stays for as long as Millrace runs, and what loads modules would take 2 MB of it.
const { execFileSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');

const wanted = 24;
const home = dirname(__dirname);

/** The path of a Node of at least the wanted version: this process's own, else the one in the npm package `node`, else null. */
function findNode() {
  if (major(process.versions.node) >= wanted) return process.execPath;
  for (const from of [home, process.cwd()]) {
    const path = packagedNode(from);
    if (path !== null && major(versionOf(path)) >= wanted) return path;
  }
  return null;
}

/** Looks for the package from a folder upwards: so a `node` installed beside Millrace (locally or with -g) is found as well. */
function packagedNode(from) {
  let manifest;
  try {
    manifest = require.resolve('node/package.json', { paths: [from] });
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
  const path = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return existsSync(path) ? path : null;
}

function versionOf(path) {
  try {
    return execFileSync(path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .slice(1);
  } catch {
    // The package's install script did not run or brought a program for another machine: as good as none.
    return '0';
  }
}

function major(version) {
  return Number(version.split('.')[0]);
}

module.exports = { wanted, home, findNode };
