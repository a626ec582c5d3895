import { Popover, UnstyledButton } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { CallEvidence, QueryAnswer } from '../../src/server/api.ts';
import { askTogether, type Trouble } from '../api.ts';
import { type Live, useLive } from '../live.ts';
import { useWords } from '../words/index.tsx';

type Told = Pick<CallEvidence, 'answer' | 'facts'> & { readonly error?: Trouble['body'] };

/** What a statement's calls of answers stand on, asked beside its rows: these need not wait for it. Nothing is asked while `at` is null, and anew where it changes. */
export function useEvidence(sql: string, params: object, at: number | null): Live<QueryAnswer> {
  const request = { sql, params: params as Record<string, unknown>, evidence: 'only' as const };
  return useLive(at === null ? null : JSON.stringify([sql, params, at]), (signal) => askTogether(request, signal));
}

/** In full, below a result of Ask or in Why. */
export function Evidence({ sql, params }: { sql: string; params: object }) {
  const { data, error } = useEvidence(sql, params, 0);
  return data === null && error === null ? null : <EvidenceLines calls={callsOf({ data, error })} />;
}

/** A list that could not be asked for is told as one call whose evidence can't be told. */
const callsOf = ({ data, error }: Pick<Live<QueryAnswer>, 'data' | 'error'>): readonly Told[] =>
  data?.evidence ?? (error === null ? [] : [{ answer: '', facts: [], error: error.body }]);

/** A paragraph for each call; of several each under its name. */
export function EvidenceLines({ calls }: { calls: readonly Told[] }) {
  const { t, inWords, factInWords, said } = useWords();
  return calls.map(({ answer, facts, error }, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: none moves
    <p className="evidence" key={at}>
      <strong>{t('evidence')}</strong>{' '}
      {calls.length > 1 && <span className="faint">{inWords({ name: answer, title: answer, summary: '' }).title} — </span>}
      {error === undefined
        ? facts
            .map(factInWords)
            .map(({ fact, value }) => `${fact}: ${value}`)
            .join('; ')
        : `${t('evidence_untold')} ${said(error)}`}
    </p>
  ));
}

/** The line of a tile: what matters most; a click shows the rest. It has its place before it is there, so that no chart is drawn twice. */
export function TileEvidence({ of: { data, error } }: { of: Pick<Live<QueryAnswer>, 'data' | 'error'> }) {
  const { t, factInWords } = useWords();
  const [opened, setOpened] = useState(false);
  // Wherever the focus is: until it is in what opens, or when the page took it elsewhere, the library would not hear Escape.
  useEffect(() => {
    if (!opened) return;
    const onKey = ({ key }: KeyboardEvent) => key === 'Escape' && setOpened(false);
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [opened]);
  const calls = callsOf({ data, error });
  const { main, caveats, untold } = shortOf(calls);
  const parts = [
    ...(main === null ? [] : [factInWords(main)].map(({ fact, value }) => `${fact}: ${value}`)),
    ...(caveats > 0 ? [t('evidence_caveats', { n: caveats })] : []),
    ...(untold ? [t('evidence_untold')] : []),
  ];
  return (
    <div className="tile-evidence">
      {parts.length > 0 && (
        <Popover
          position="top-start"
          width="min(420px, 92vw)"
          opened={opened}
          onChange={setOpened}
          trapFocus
          returnFocus
          withinPortal
          transitionProps={{ duration: 0 }}
        >
          <Popover.Target>
            <UnstyledButton className={caveats > 0 || untold ? 'warn small' : 'faint small'} onClick={() => setOpened(!opened)}>
              {parts.join(' · ')}
            </UnstyledButton>
          </Popover.Target>
          <Popover.Dropdown>
            <EvidenceLines calls={calls} />
          </Popover.Dropdown>
        </Popover>
      )}
    </div>
  );
}

/** The share of paid orders that the events saw, where that is known, else how much was used; and how much weakens it. */
function shortOf(calls: readonly Told[]): { main: Told['facts'][number] | null; caveats: number; untold: boolean } {
  const facts = calls.flatMap((call) => call.facts);
  const matched = facts.find(({ fact, value }) => fact === 'matched paid orders' && /^\d/.test(value));
  return {
    main: matched ?? facts.find(({ fact }) => fact.endsWith(' used')) ?? facts[0] ?? null,
    caveats: facts.filter(({ fact, value }) => fact.startsWith('caveat: ') || value.includes('ALARM')).length,
    untold: calls.some(({ error }) => error !== undefined),
  };
}
