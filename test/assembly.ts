/** The WebAssembly that is committed as text: what it is made of. Run by itself, this file writes all of it anew; tests compare. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const SRC = join(import.meta.dirname, '..', 'src');
const SHARED = ['--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];

/** By the source's path without `.as`; `-bytes.ts` beside it exports the compiled bytes under `constant`. */
export const assemblies = {
  'learn/trees/kernel': { constant: 'kernelBytes', flags: ['--enable', 'simd,threads', ...SHARED] },
  'learn/trees/score': { constant: 'scoreBytes', flags: ['--enable', 'simd'] },
  'transfer/columns': { constant: 'columnsBytes', flags: ['--enable', 'simd'] },
  'transfer/sources/postgres-copy': { constant: 'postgresCopyBytes', flags: ['--enable', 'simd'] },
  'collect/plain': { constant: 'plainBytes', flags: ['--enable', 'simd'] },
} as const;

type Assembly = keyof typeof assemblies;

export const bytesFile = (path: Assembly): string => join(SRC, `${path}-bytes.ts`);

/** The text of the module that carries the compiled bytes. */
export async function bytesModule(path: Assembly): Promise<string> {
  const { constant } = assemblies[path];
  const text = Buffer.from(await compile(path)).toString('base64');
  return `/** ${path}.as compiled: written by test/assembly.ts, held equal to its source's build by a test. */\nexport const ${constant} =\n  '${text}';\n`;
}

/** In memory, under a name that the compiler takes: .ts on disk would be type-checked as TypeScript. */
async function compile(path: Assembly): Promise<Uint8Array> {
  const source = readFileSync(join(SRC, `${path}.as`), 'utf8');
  let built: Uint8Array | null = null;
  const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--outFile', 'built.wasm', ...assemblies[path].flags];
  const { error, stderr } = await asc.main(['source.ts', ...flags], {
    readFile: (name: string) => (name === 'source.ts' ? source : null),
    writeFile: (_name: string, contents: string | Uint8Array) => {
      built = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error || built === null) throw new Error(`${path}.as does not compile: ${stderr.toString()}`);
  return built;
}

if (import.meta.main) {
  for (const path of Object.keys(assemblies) as Assembly[]) writeFileSync(bytesFile(path), await bytesModule(path));
}
