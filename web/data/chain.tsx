import type { ColumnLineage, LineageColumn } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { pageOf } from './pages.ts';

type Node = ColumnLineage['nodes'][number];
type Making = Pick<Node, 'from' | 'left_out' | 'partly'>;

/** From where a column comes: what it is made of, below each what that is made of, to the end. */
export function Chain({ of, nodes }: { of: Making; nodes: ColumnLineage['nodes'] }) {
  const { t } = useWords();
  const bare = of.from.length === 0 && of.left_out === 0 && !of.partly;
  return bare ? (
    <p className="faint small">{t('why_reads_none')}</p>
  ) : (
    <Level of={of} below={belowOf(of, new Map(nodes.map((node) => [node.id, node])))} />
  );
}

interface Branch {
  readonly node: Node;
  readonly below: readonly Branch[];
  /** It was shown above with what it is made of; a circle ends here, too. */
  readonly again: boolean;
}

function belowOf({ from }: Making, byId: ReadonlyMap<string, Node>, seen: Set<string> = new Set()): Branch[] {
  return from.flatMap((id) => {
    const node = byId.get(id);
    if (node === undefined) return [];
    const again = seen.has(id);
    seen.add(id);
    return [{ node, below: again ? [] : belowOf(node, byId, seen), again: again && node.from.length > 0 }];
  });
}

function Level({ of, below }: { of: Making; below: readonly Branch[] }) {
  const { t } = useWords();
  if (below.length === 0 && of.left_out === 0 && !of.partly) return null;
  return (
    <ul className="chain">
      {below.map((branch) => (
        <li key={branch.node.id}>
          <Step {...branch} />
          {!branch.again && <Level of={branch.node} below={branch.below} />}
        </li>
      ))}
      {of.left_out > 0 && <li className="faint small">{t('chain_left_out', { n: of.left_out })}</li>}
      {of.partly && <li className="faint small">{t('chain_partly')}</li>}
    </ul>
  );
}

function Step({ node, again }: Branch) {
  const { t } = useWords();
  const { kind, of, column, by, withheld, expression } = node;
  const page = withheld ? null : pageOf({ kind: kind === 'model' ? 'model' : 'table', name: of });
  const name = column === null ? of : `${of}.${column}`;
  const words = [
    `${t(KINDS[kind])}${by.length > 0 ? ` ${by.join(', ')}` : ''}`,
    ...(withheld ? [t('chain_withheld')] : column === null && kind !== 'model' ? [t('chain_rows')] : []),
  ];
  return (
    <>
      <span className="chain-arrow" aria-hidden="true">
        ←
      </span>
      <span className="chain-step">
        {page === null ? name : <Link href={page}>{name}</Link>} <span className="faint small">{words.join(' · ')}</span>
      </span>
      {again && <span className="faint small"> {t('chain_above')}</span>}
      {!again && expression !== null && (
        <code className="chain-made" title={expression}>
          {expression}
        </code>
      )}
    </>
  );
}

const KINDS = {
  topic: 'node_topic',
  transfer: 'node_transfer',
  load: 'node_load',
  table: 'node_table',
  view: 'node_view',
  'materialized view': 'node_kept',
  'scheduled query': 'node_schedule',
  model: 'node_model',
  system: 'node_system',
} as const satisfies Record<LineageColumn['kind'], string>;

/** The same of a column of a table, asked when it is shown. */
export function ColumnChain({ table, column }: { table: string; column: string }) {
  const path = `/v1/lineage?${new URLSearchParams({ table, column })}`;
  const lineage = useLive(path, (signal) => call<ColumnLineage>('GET', path, { signal }));
  const [own] = lineage.data?.columns ?? [];
  if (lineage.error !== null) return <Problem trouble={lineage.error} onRetry={lineage.refresh} compact />;
  return own === undefined ? <Placeholder /> : <Chain of={own} nodes={lineage.data!.nodes} />;
}
