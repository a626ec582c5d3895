import type { LineageNode } from '../../src/server/api.ts';

/** The page of what has a name; null where there is none. */
export function pageOf({ kind, name }: Pick<LineageNode, 'kind' | 'name'>): string | null {
  const word = encodeURIComponent(name);
  switch (kind) {
    case 'topic':
      return `/data/topics/${word}`;
    case 'table':
    case 'view': {
      const [schema, ...rest] = name.split('.');
      return `/data/${encodeURIComponent(schema!)}/${encodeURIComponent(rest.join('.'))}`;
    }
    case 'model':
      return `/models/${word}`;
    case 'dashboard':
      return `/dashboards/${word}`;
    case 'question':
      return `/ask#${new URLSearchParams({ query: name })}`;
    case 'metric':
      return `/ask#${new URLSearchParams({ metric: name })}`;
    case 'journey':
    case 'experiment':
    case 'segment':
      return '/answers';
    case 'scheduled query':
    case 'transfer':
      return null;
  }
}
