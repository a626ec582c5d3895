/** A thread of pool.ts: serves one WebAssembly program after the other. */
import { parentPort } from 'node:worker_threads';
import type { Shift } from './pool.ts';

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly serve: () => void } };
};

parentPort!.on('message', ({ module, memory }: Shift) => {
  new WebAssembly.Instance(module, { env: { memory } }).exports.serve();
});
