/** Tree ensembles of ai.onnx.ml: versions 1 to 3 (TreeEnsembleRegressor, TreeEnsembleClassifier) and 5 (TreeEnsemble), as one kind of arrays. */
import { fail } from '#core';
import type { Attribute } from './graph.ts';

/** Inner nodes by number; a child below 0 is the leaf ~child. */
export interface Trees {
  readonly features: readonly number[];
  readonly splits: Float64Array;
  readonly modes: readonly number[];
  readonly sets: readonly (ReadonlySet<number> | null)[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  /** 1 where NaN counts as yes. */
  readonly missingYes: readonly number[];
  /** What a leaf adds to which targets. */
  readonly leaves: readonly { readonly targets: readonly number[]; readonly weights: readonly number[] }[];
  readonly roots: readonly number[];
  readonly width: number;
}

type Attributes = Readonly<Record<string, Attribute>>;

/** In the order of version 5's numbers. */
const MODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ', 'BRANCH_MEMBER'];

const broken = (problem: string): never => fail('MODEL_ONNX', { problem: `its trees ${problem}` });

function list(attributes: Attributes, name: string): readonly number[] {
  const found = attributes[name];
  if (found === undefined) return [];
  if (found.kind === 'ints' || found.kind === 'floats') return found.value;
  if (found.kind === 'tensor' && found.value.type !== 'string') return [...found.value.values];
  return broken(`have no numbers in ${name}`);
}

/** A list that may be given as floats or, in doubles, as a tensor. */
const either = (attributes: Attributes, name: string): readonly number[] =>
  attributes[`${name}_as_tensor`] === undefined ? list(attributes, name) : list(attributes, `${name}_as_tensor`);

export function newTrees(attributes: Attributes): Trees {
  const features = list(attributes, 'nodes_featureids');
  const modes = list(attributes, 'nodes_modes');
  const targets = list(attributes, 'leaf_targetids');
  const weights = list(attributes, 'leaf_weights');
  const child = (ids: readonly number[], isLeaf: readonly number[]) => ids.map((id, node) => (isLeaf[node] === 1 ? ~id : id));
  const width = attributes['n_targets']?.kind === 'int' ? attributes['n_targets'].value : 1;
  const trees: Trees = {
    features,
    modes,
    splits: Float64Array.from(list(attributes, 'nodes_splits')),
    sets: setsOf(modes, list(attributes, 'membership_values')),
    yes: child(list(attributes, 'nodes_truenodeids'), list(attributes, 'nodes_trueleafs')),
    no: child(list(attributes, 'nodes_falsenodeids'), list(attributes, 'nodes_falseleafs')),
    missingYes: list(attributes, 'nodes_missing_value_tracks_true'),
    leaves: targets.map((target, leaf) => ({ targets: [target], weights: [weights[leaf]!] })),
    roots: list(attributes, 'tree_roots'),
    width,
  };
  return checked(trees);
}

/** The sets of the nodes that have one, each ended by NaN. */
function setsOf(modes: readonly number[], values: readonly number[]): (ReadonlySet<number> | null)[] {
  let at = 0;
  return modes.map((mode) => {
    if (mode !== 6) return null;
    const set = new Set<number>();
    while (at < values.length && !Number.isNaN(values[at])) set.add(values[at++]!);
    at++;
    return set;
  });
}

/** Versions 1 to 3: nodes are named by tree and number, leaves stand among them. `prefix` is target or class. */
export function oldTrees(attributes: Attributes, prefix: 'target' | 'class', width: number): Trees {
  const [treeIds, nodeIds] = [list(attributes, 'nodes_treeids'), list(attributes, 'nodes_nodeids')];
  const names = attributes['nodes_modes'];
  if (names?.kind !== 'texts' || names.value.length !== nodeIds.length) return broken('have no modes');
  const place = new Map(nodeIds.map((id, at) => [`${treeIds[at]}/${id}`, at]));
  const splits = either(attributes, 'nodes_values');
  const tracks = list(attributes, 'nodes_missing_value_tracks_true');
  const [yes, no] = [list(attributes, 'nodes_truenodeids'), list(attributes, 'nodes_falsenodeids')];
  const weights = either(attributes, `${prefix}_weights`);
  const [ofTree, ofNode, ids] = [`${prefix}_treeids`, `${prefix}_nodeids`, `${prefix}_ids`].map((name) => list(attributes, name));
  const leaves = new Map<number, { targets: number[]; weights: number[] }>();
  weights.forEach((weight, k) => {
    const at = place.get(`${ofTree![k]}/${ofNode![k]}`) ?? broken('have a weight without a leaf');
    const leaf = leaves.get(at) ?? { targets: [], weights: [] };
    leaf.targets.push(ids![k]!);
    leaf.weights.push(weight);
    leaves.set(at, leaf);
  });
  // All nodes keep their places; a leaf's is never reached but by its number.
  const isLeaf = names.value.map((mode) => mode === 'LEAF');
  const step = (id: number, at: number) => {
    const to = place.get(`${treeIds[at]}/${id}`) ?? broken('have a branch without an end');
    return isLeaf[to] ? ~to : to;
  };
  const firsts = nodeIds.map((_, at) => at).filter((at) => at === 0 || treeIds[at] !== treeIds[at - 1]);
  const modes = names.value.map((mode) => (mode === 'LEAF' ? 0 : MODES.indexOf(mode)));
  return checked({
    features: list(attributes, 'nodes_featureids'),
    splits: Float64Array.from(splits),
    modes,
    sets: modes.map(() => null),
    yes: isLeaf.map((leaf, at) => (leaf ? -1 : step(yes[at]!, at))),
    no: isLeaf.map((leaf, at) => (leaf ? -1 : step(no[at]!, at))),
    missingYes: tracks,
    leaves: names.value.map((_, at) => leaves.get(at) ?? { targets: [], weights: [] }),
    roots: firsts.map((at) => (isLeaf[at] ? ~at : at)),
    width,
  });
}

/** No way through a tree is longer than its nodes: a branch that leads back is refused, so that every walk ends. */
function checked(trees: Trees): Trees {
  const { features, splits, modes, yes, no, leaves, roots, width } = trees;
  const count = features.length;
  if ([splits, modes, yes, no].some((each) => each.length !== count)) broken('are cut');
  if (modes.some((mode) => !(mode >= 0 && mode < MODES.length))) broken('have a mode that is not known');
  if (leaves.some((leaf) => leaf.targets.some((target) => !(target >= 0 && target < width)))) broken('add to a target that is not there');
  if (!(width >= 1 && width <= 100_000) || features.some((feature) => !(feature >= 0))) broken('have wrong numbers');
  const parents = new Uint8Array(count);
  const reach = (to: number): void => {
    if (to < 0 ? ~to >= leaves.length : !(to < count)) broken('have a branch without an end');
    if (to >= 0 && parents[to]!++ > 0) broken('have a node with two parents');
  };
  for (const root of roots) reach(root);
  const stack = roots.filter((root) => root >= 0);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const child of [yes[node]!, no[node]!]) {
      reach(child);
      if (child >= 0) stack.push(child);
    }
  }
  return trees;
}

/** Sums of the leaves that one row reaches, added to `sums` [width]; the row's values begin at `at`. */
export function addLeaves(trees: Trees, values: ArrayLike<number>, at: number, sums: Float64Array): void {
  for (const root of trees.roots) {
    let node = root;
    while (node >= 0) node = holds(trees, node, values[at + trees.features[node]!]!) ? trees.yes[node]! : trees.no[node]!;
    const { targets, weights } = trees.leaves[~node]!;
    for (let k = 0; k < targets.length; k++) sums[targets[k]!]! += weights[k]!;
  }
}

function holds({ modes, splits, sets, missingYes }: Trees, node: number, value: number): boolean {
  if (Number.isNaN(value) && missingYes[node] === 1) return true;
  const split = splits[node]!;
  switch (modes[node]) {
    case 0:
      return value <= split;
    case 1:
      return value < split;
    case 2:
      return value >= split;
    case 3:
      return value > split;
    case 4:
      return value === split;
    case 5:
      return value !== split;
    default:
      return sets[node]!.has(value);
  }
}
