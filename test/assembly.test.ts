import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assemblies, bytesFile, bytesModule } from './assembly.ts';

for (const path of Object.keys(assemblies) as (keyof typeof assemblies)[]) {
  test(`the committed WebAssembly of ${path}.as is its source's build`, async () => {
    assert.equal(readFileSync(bytesFile(path), 'utf8'), await bytesModule(path), 'run test/assembly.ts');
  });
}
