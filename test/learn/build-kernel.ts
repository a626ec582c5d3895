import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const TREES = join(import.meta.dirname, '..', '..', 'src', 'learn', 'trees');
const FLAGS = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd', '--outFile', 'kernel.wasm'];

/** Compiles src/learn/trees/kernel.as in memory (under a name that the compiler takes; .ts on disk would be type-checked as TypeScript). */
export async function buildKernel(): Promise<Uint8Array> {
  const source = readFileSync(join(TREES, 'kernel.as'), 'utf8');
  let built: Uint8Array | null = null;
  const { error, stderr } = await asc.main(['kernel.ts', ...FLAGS], {
    readFile: (name: string) => (name === 'kernel.ts' ? source : null),
    writeFile: (_name: string, contents: string | Uint8Array) => {
      built = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error || built === null) throw new Error(`kernel.as does not compile: ${stderr.toString()}`);
  return built;
}

/** The module that carries the bytes. */
export function kernelModule(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('base64');
  return `/** kernel.as compiled; written by test/learn/build-kernel.ts, compared with its source's build by test/learn/kernel.test.ts. */\nexport const kernelBytes =\n  '${text}';\n`;
}

if (import.meta.main) writeFileSync(join(TREES, 'kernel-bytes.ts'), kernelModule(await buildKernel()));
