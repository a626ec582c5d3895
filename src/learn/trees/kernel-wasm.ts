import { unpackBytes } from '../base64.ts';
import type { Kernel, KernelShape, MakeKernel } from './kernel.ts';
import { plainKernel } from './kernel.ts';
import { kernelBytes } from './kernel-bytes.ts';

interface Exports {
  fill(
    sums: number,
    bytes: number,
    order: number,
    from: number,
    to: number,
    bins: number,
    features: number,
    gradients: number,
    columns: number,
    active: number,
  ): void;
  subtract(parent: number, child: number, bytes: number): void;
  partition(
    order: number,
    spare: number,
    from: number,
    to: number,
    bins: number,
    features: number,
    feature: number,
    goesLeft: number,
  ): number;
}

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

const PAGE = 65_536;
/** Linear memory ends here; larger tables take the plain kernel. */
const MOST_BYTES = 65_536 * PAGE - PAGE;

let compiled: object | null = null;

/** The kernel in WebAssembly SIMD: the plain kernel's results bit by bit, two to three times as fast. Memory: rows × (features + 16) bytes and the histograms. */
export const wasmKernel: MakeKernel = (shape) => {
  const layout = layOut(shape);
  return layout.bytes > MOST_BYTES ? plainKernel(shape) : kernelAt(shape, layout);
};

/** Where each array begins in linear memory, in bytes; every one at a multiple of 16. */
interface Layout {
  readonly histograms: number;
  readonly slotBytes: number;
  readonly gradients: number;
  readonly order: number;
  readonly spare: number;
  readonly columns: number;
  readonly goesLeft: number;
  readonly bins: number;
  readonly bytes: number;
}

function layOut({ rows, features, offsets, slots }: KernelShape): Layout {
  let end = 1024;
  const take = (bytes: number): number => {
    const begin = end;
    end += Math.ceil(bytes / 16) * 16;
    return begin;
  };
  const slotBytes = offsets[features]! * 16;
  const histograms = take(slotBytes * slots);
  const gradients = take(rows * 8);
  const order = take(rows * 4);
  const spare = take(rows * 4 + 4);
  const columns = take(features * 8);
  const goesLeft = take(256);
  const bins = take(rows * features);
  return { histograms, slotBytes, gradients, order, spare, columns, goesLeft, bins, bytes: end };
}

function kernelAt({ rows, features, offsets, slots }: KernelShape, at: Layout): Kernel {
  compiled ??= new WebAssembly.Module(unpackBytes(kernelBytes));
  const memory = new WebAssembly.Memory({ initial: Math.ceil(at.bytes / PAGE) });
  const wasm = new WebAssembly.Instance(compiled, { env: { memory } }).exports as Exports;
  const buffer = memory.buffer;
  const columns = new Uint32Array(buffer, at.columns, features * 2);
  const table = new Uint8Array(buffer, at.goesLeft, 256);
  const histograms = Array.from(
    { length: slots },
    (_, slot) => new Float64Array(buffer, at.histograms + slot * at.slotBytes, at.slotBytes / 8),
  );
  const place = (slot: number): number => at.histograms + slot * at.slotBytes;
  let active = 0;
  return {
    bins: new Uint8Array(buffer, at.bins, rows * features),
    gradients: new Int32Array(buffer, at.gradients, rows * 2),
    order: new Uint32Array(buffer, at.order, rows),
    histogram: (slot) => histograms[slot]!,
    activate(list) {
      active = list.length;
      list.forEach((f, i) => {
        columns[i * 2] = f;
        columns[i * 2 + 1] = offsets[f]! * 16;
      });
    },
    fill: (slot, from, to) => wasm.fill(place(slot), at.slotBytes, at.order, from, to, at.bins, features, at.gradients, at.columns, active),
    subtract: (parent, child) => wasm.subtract(place(parent), place(child), at.slotBytes),
    partition(from, to, feature, goesLeft) {
      table.set(goesLeft);
      return wasm.partition(at.order, at.spare, from, to, at.bins, features, feature, at.goesLeft);
    },
  };
}
