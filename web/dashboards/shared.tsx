import { useMemo, useState } from 'react';
import { type Mark as Happened, marksOf } from '#visualize';
import type { QueryAnswer, SharedAnswer } from '../../src/server/api.ts';
import { TileEvidence } from '../answer/evidence.tsx';
import { call, Trouble } from '../api.ts';
import { useLive } from '../live.ts';
import { Mark } from '../shell/icons.tsx';
import { Page, Placeholder, Problem } from '../states.tsx';
import { useWords, type Word } from '../words/index.tsx';
import { TabBar } from './dashboard.tsx';
import { isOn, tabsOf } from './parameters.ts';
import { evidenceHeld, TileFrame } from './tile.tsx';

/** A stream would carry the link in its address, where proxies log it; so a shared live dashboard asks again every so many ms. */
const livePoll = 5000;

/** A dashboard behind a signed link, for someone without a token. The link stands in the fragment, which no server logs. */
export default function Shared() {
  const { t, instant } = useWords();
  const link = location.hash.slice(1);
  const shared = useLive(link, (signal) => call<SharedAnswer>('POST', '/v1/shared', { body: { link }, signal }));
  const [tab, setTab] = useState<string | null>(null);
  const happened = useLive<QueryAnswer>(shared.data?.annotations ? `${link} annotations` : null, (signal) =>
    askShared(link, 'annotations', signal),
  );
  const marks = useMemo(() => (happened.data === null ? undefined : marksOf(happened.data)), [happened.data]);
  if (shared.data === null)
    return <main className="shared">{shared.error === null ? <Placeholder /> : <Problem trouble={shared.error} />}</main>;
  const { title, description, tiles, called, refresh, range, from, to, filters, expires } = shared.data;
  const tabs = tabsOf({ tiles });
  const facts = [
    range === 'custom' ? `${from} – ${to}` : t(`range_${range}` as Word),
    ...filters.map((filter) => `${filter.title}: ${filter.value}`),
    t('share_until', { when: instant(Date.parse(expires)) }),
  ];
  return (
    <main className="shared">
      <Page title={title} lead={description} action={<Mark />}>
        <p className="small faint shared-facts">{facts.join(' · ')}</p>
        <TabBar tabs={tabs} tab={tab} onTab={setTab} />
        <div className="tiles">
          {tiles.map(
            (tile, at) =>
              isOn(tile, tab, tabs) && (
                <SharedTile
                  // biome-ignore lint/suspicious/noArrayIndexKey: none moves while it is shown
                  key={`${at} ${tile.title}`}
                  link={link}
                  at={at}
                  tile={tile}
                  called={called.includes(at)}
                  marks={marks}
                  every={refresh === null ? null : refresh === 'live' ? livePoll : refresh * 1000}
                />
              ),
          )}
        </div>
      </Page>
    </main>
  );
}

async function askShared(link: string, tile: number | 'annotations', signal: AbortSignal, evidence = false): Promise<QueryAnswer> {
  const answered = await call<QueryAnswer>('POST', '/v1/shared/tile', { body: { link, tile, ...(evidence && { evidence }) }, signal });
  if (answered.error) throw new Trouble(answered.error, 200);
  return answered;
}

function SharedTile({
  link,
  at,
  tile,
  called,
  marks,
  every,
}: {
  link: string;
  at: number;
  tile: SharedAnswer['tiles'][number];
  /** Whether it calls an answer. */
  called: boolean;
  marks: readonly Happened[] | undefined;
  every: number | null;
}) {
  const answer = useLive<QueryAnswer>(tile.sql === null ? null : `${link} ${at}`, (signal) => askShared(link, at, signal), every);
  const round = called && answer.at > 0 ? Math.floor(answer.at / evidenceHeld) : null;
  const evidence = useLive<QueryAnswer>(round === null ? null : `${link} ${at} ${round}`, (signal) => askShared(link, at, signal, true));
  return <TileFrame tile={tile} answer={answer} marks={marks} evidence={called ? <TileEvidence of={evidence} /> : undefined} />;
}
