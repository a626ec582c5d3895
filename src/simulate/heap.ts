/** What comes first leaves first: by `at`, then in the order of arrival, so that equal times stay deterministic. */
export interface Heap<T> {
  push(at: number, value: T): void;
  /** The time of the first, Infinity when empty. */
  next(): number;
  pop(): T;
}

interface Node<T> {
  at: number;
  order: number;
  value: T;
}

export function heap<T>(): Heap<T> {
  const nodes: Node<T>[] = [];
  let order = 0;
  const before = (a: Node<T>, b: Node<T>) => a.at < b.at || (a.at === b.at && a.order < b.order);

  function rise(node: Node<T>): void {
    let index = nodes.push(node) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(node, nodes[parent]!)) break;
      nodes[index] = nodes[parent]!;
      index = parent;
    }
    nodes[index] = node;
  }

  function sink(node: Node<T>): void {
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= nodes.length) break;
      if (child + 1 < nodes.length && before(nodes[child + 1]!, nodes[child]!)) child++;
      if (!before(nodes[child]!, node)) break;
      nodes[index] = nodes[child]!;
      index = child;
    }
    nodes[index] = node;
  }

  return {
    push: (at, value) => rise({ at, order: order++, value }),
    next: () => nodes[0]?.at ?? Number.POSITIVE_INFINITY,
    pop: () => {
      const first = nodes[0]!;
      const last = nodes.pop()!;
      if (nodes.length > 0) sink(last);
      return first.value;
    },
  };
}
