/** What was asked, in this browser only: the newest first. */
export interface Asked {
  readonly sql: string;
  readonly at: number;
  readonly rows: number | null;
}

const kept = 'millrace.asked';
const most = 50;

export function readHistory(): readonly Asked[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(kept) ?? '[]');
    return Array.isArray(list)
      ? list.filter((asked): asked is Asked => typeof asked?.sql === 'string' && typeof asked?.at === 'number')
      : [];
  } catch (thrown) {
    // Someone edited it by hand: it begins anew.
    if (thrown instanceof SyntaxError) return [];
    throw thrown;
  }
}

/** The same statement stands there once. */
export function remember(asked: Asked): readonly Asked[] {
  const list = [asked, ...readHistory().filter(({ sql }) => sql !== asked.sql)].slice(0, most);
  localStorage.setItem(kept, JSON.stringify(list));
  return list;
}
