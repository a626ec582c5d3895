import { unpackBytes } from '../base64.ts';
import type { FeatureBins } from './bins.ts';
import { codeCount, codesOf, exampleOf } from './codes.ts';
import { type Forest, goesLeft } from './forest.ts';
import { scoreBytes } from './score-bytes.ts';

/** Masks that are worked on at once: 16 of 32 bits, a line of the processor's cache. A tree owns as many as its leaves need. */
const LANES = 16;
/** Trees with more leaves are walked down. */
const MOST_LEAVES = LANES * 32;
/** Masks beyond this cost more memory than they save time. */
const MOST_WORDS = 2 ** 24;
/** What a feature of a group costs for each row, in steps of a walk down a tree: reckoned from the loads of each, not tuned. */
const COST_OF_FEATURE = 0.5;

/** Trees that are scored together, and the features that they ask for. */
interface Group {
  readonly features: Uint16Array;
  /** [features]: where each feature's masks begin, in words: 16 a code. */
  readonly masks: Uint32Array;
  readonly first: number;
  readonly trees: number;
}

/**
 * A forest as masks (after QuickScorer, Lucchese et al. 2015, with a table for each value instead of sorted thresholds): for each feature's
 * code and each tree, the leaves that can still be reached. What the masks of all features have in common is the one leaf.
 */
export interface Masks {
  readonly forest: Forest;
  readonly codes: readonly FeatureBins[];
  readonly groups: readonly Group[];
  /** Lanes of a tree. */
  readonly words: number;
  /** 16 lanes for each code of each group's features. */
  readonly table: Uint32Array;
  /** [trees × words × 32]: leaf values. */
  readonly leaves: Float64Array;
}

/** Null where walking down the trees is faster, the masks take too much memory, or there is no WebAssembly. Cost: nodes × codes of a feature. */
export function masksOf(forest: Forest): Masks | null {
  const leaves = Array.from(forest.roots, (root) => leavesBelow(forest, root));
  const most = Math.max(0, ...leaves);
  if (most === 0 || most > MOST_LEAVES || started() === null) return null;
  const words = 2 ** Math.ceil(Math.log2(Math.ceil(most / 32)));
  const codes = codesOf(forest);
  const { groups, size } = groupsOf(forest, codes, LANES / words);
  const asked = groups.reduce((sum, group) => sum + group.features.length, 0);
  const walked = leaves.reduce((sum, count) => sum + Math.log2(count) + 1, 0);
  if (size > MOST_WORDS || asked * COST_OF_FEATURE > walked || codes.some((of) => codeCount(of) > 65_535)) return null;
  const masks = {
    forest,
    codes,
    groups,
    words,
    table: new Uint32Array(size).fill(0xffffffff),
    leaves: new Float64Array(leaves.length * words * 32),
  };
  for (const group of groups) for (let t = 0; t < group.trees; t++) new Spread(masks, group, t).node(forest.roots[group.first + t]!, 0);
  return masks;
}

/** Leaves of the tree, or more than MOST_LEAVES: a file made by others may share branches, so it is not walked to its end. */
function leavesBelow({ feature, left }: Forest, root: number): number {
  const open = [root];
  let leaves = 0;
  while (open.length > 0 && leaves + open.length <= MOST_LEAVES) {
    const node = open.pop()!;
    if (feature[node]! < 0) leaves++;
    else open.push(left[node]!, left[node]! + 1);
  }
  return leaves + open.length;
}

function groupsOf(forest: Forest, codes: readonly FeatureBins[], each: number): { groups: Group[]; size: number } {
  const groups: Group[] = [];
  let size = 0;
  for (let first = 0; first < forest.roots.length; first += each) {
    const trees = Math.min(each, forest.roots.length - first);
    const asked = new Set<number>();
    for (const root of forest.roots.subarray(first, first + trees)) askedBelow(forest, root, asked);
    const features = Uint16Array.from(asked).sort();
    const masks = Uint32Array.from(features, (f) => {
      const begin = size;
      size += codeCount(codes[f]!) * LANES;
      return begin;
    });
    groups.push({ features, masks, first, trees });
  }
  return { groups, size };
}

function askedBelow(forest: Forest, node: number, asked: Set<number>): void {
  const f = forest.feature[node]!;
  if (f < 0) return;
  asked.add(f);
  askedBelow(forest, forest.left[node]!, asked);
  askedBelow(forest, forest.left[node]! + 1, asked);
}

/** Writes one tree's masks and leaves; leaves are numbered from left to right. */
class Spread {
  private readonly masks: Masks;
  private readonly group: Group;
  private readonly tree: number;

  constructor(masks: Masks, group: Group, tree: number) {
    this.masks = masks;
    this.group = group;
    this.tree = tree;
  }

  /** Numbers the leaves below the node from `leaf` on and returns the number after the last. */
  node(node: number, leaf: number): number {
    const { forest, words, leaves } = this.masks;
    if (forest.feature[node]! < 0) {
      leaves[(this.group.first + this.tree) * words * 32 + leaf] = forest.threshold[node]!;
      return leaf + 1;
    }
    const middle = this.node(forest.left[node]!, leaf);
    const end = this.node(forest.left[node]! + 1, middle);
    this.clear(node, leaf, middle, end);
    return end;
  }

  /** From each value's mask takes the leaves on the other side. */
  private clear(node: number, begin: number, middle: number, end: number): void {
    const { forest, codes, words, table } = this.masks;
    const f = forest.feature[node]!;
    const of = codes[f]!;
    const first = this.group.masks[this.group.features.indexOf(f)]! + this.tree * words;
    const [lefts, rights] = [without(begin, middle, words), without(middle, end, words)];
    for (let code = 0; code < codeCount(of); code++) {
      const kept = goesLeft(forest, node, exampleOf(of, code)) ? rights : lefts;
      for (let word = 0, at = first + code * LANES; word < words; word++, at++) table[at] = (table[at]! & kept[word]!) >>> 0;
    }
  }
}

/** [words]: every bit but those from `begin` to before `end`. */
function without(begin: number, end: number, words: number): Uint32Array {
  const kept = new Uint32Array(words).fill(0xffffffff);
  for (let bit = begin; bit < end; bit++) kept[bit >>> 5] = (kept[bit >>> 5]! & ~(1 << (bit & 31))) >>> 0;
  return kept;
}

interface Exports {
  codeNumbers(values: number, rows: number, bounds: number, count: number, into: number): void;
  codeCategories(values: number, rows: number, levels: number, into: number): void;
  add(
    features: number,
    count: number,
    leaves: number,
    trees: number,
    words: number,
    scores: number,
    outputs: number,
    output: number,
    rows: number,
  ): void;
}

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

const PAGE = 65_536;
/** Rows that pass through one group together, so that its masks stay in the processor's cache. */
const BLOCK = 1024;

/** One instance serves all forests: a memory each would reserve gigabytes of addresses. The forest that was scored last lies in it. */
interface Machine {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly wasm: Exports;
  resident: Masks | null;
}

let machine: Machine | null | undefined;

/** Null where the host has no WebAssembly, or a page's content security policy forbids it: then trees are walked down, with the same bits. */
function started(): Machine | null {
  if (machine !== undefined) return machine;
  try {
    machine = start();
  } catch {
    machine = null;
  }
  return machine;
}

function start(): Machine {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(unpackBytes(scoreBytes)), { env: { memory } });
  return { memory, wasm: instance.exports as Exports, resident: null };
}

/** Addresses in bytes, every one at a multiple of 16; what the forest needs stands first. */
function layOut({
  table,
  leaves,
  groups,
  codes,
  forest,
}: Masks): Record<'table' | 'leaves' | 'lists' | 'values' | 'bounds' | 'codes' | 'scores' | 'end', number> {
  let end = 128;
  const take = (bytes: number): number => {
    const begin = end;
    end += Math.ceil(bytes / 64) * 64;
    return begin;
  };
  const bounds = codes.reduce((sum, of) => sum + (of.kind === 'numeric' ? of.upper.length : 0), 0);
  return {
    table: take(table.byteLength),
    leaves: take(leaves.byteLength),
    lists: take(groups.reduce((sum, group) => sum + group.features.length * 8, 0)),
    bounds: take(bounds * 8),
    values: take(BLOCK * 8),
    codes: take(codes.length * BLOCK * 2),
    scores: take(BLOCK * forest.outputs * 8),
    end,
  };
}

/** Columns are [features][rows], the answer is [rows × outputs]: the bits of `scoreColumns`, since each row adds its leaves in the trees' order. */
export function scoreMasks(masks: Masks, columns: readonly Float64Array[], rows: number): Float64Array {
  const running = started()!;
  const { memory, wasm } = running;
  const at = layOut(masks);
  if (running.resident !== masks) settle(running, masks, at);
  const { outputs, base } = masks.forest;
  const values = new Float64Array(memory.buffer, at.values, BLOCK);
  const sums = new Float64Array(memory.buffer, at.scores, BLOCK * outputs);
  const scores = new Float64Array(rows * outputs);
  for (let from = 0; from < rows; from += BLOCK) {
    const count = Math.min(BLOCK, rows - from);
    let bounds = at.bounds;
    masks.codes.forEach((of, f) => {
      const into = at.codes + f * BLOCK * 2;
      if (codeCount(of) > 2) values.set(columns[f]!.subarray(from, from + count));
      if (of.kind === 'category') wasm.codeCategories(at.values, count, of.levels, into);
      else {
        wasm.codeNumbers(at.values, count, bounds, of.upper.length, into);
        bounds += of.upper.length * 8;
      }
    });
    for (let i = 0; i < count * outputs; i++) sums[i] = base[i % outputs]!;
    let list = at.lists;
    for (const { features, first, trees } of masks.groups) {
      const leaves = at.leaves + first * masks.words * 256;
      wasm.add(list, features.length, leaves, trees, masks.words, at.scores, outputs, first % outputs, count);
      list += features.length * 8;
    }
    scores.set(sums.subarray(0, count * outputs), from * outputs);
  }
  return scores;
}

/** Puts the forest into the memory, which grows for it. */
function settle(into: Machine, masks: Masks, at: ReturnType<typeof layOut>): void {
  const { memory } = into;
  const missing = Math.ceil(at.end / PAGE) - memory.buffer.byteLength / PAGE;
  if (missing > 0) memory.grow(missing);
  new Uint32Array(memory.buffer, at.table, masks.table.length).set(masks.table);
  new Float64Array(memory.buffer, at.leaves, masks.leaves.length).set(masks.leaves);
  const lists = new Uint32Array(memory.buffer, at.lists);
  let pair = 0;
  for (const { features, masks: begins } of masks.groups)
    features.forEach((f, k) => {
      lists[pair++] = at.codes + f * BLOCK * 2;
      lists[pair++] = at.table + begins[k]! * 4;
    });
  let bound = at.bounds;
  for (const of of masks.codes)
    if (of.kind === 'numeric') {
      new Float64Array(memory.buffer, bound, of.upper.length).set(of.upper);
      bound += of.upper.byteLength;
    }
  into.resident = masks;
}
