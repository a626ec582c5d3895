import { Button, FileButton, Skeleton } from '@mantine/core';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { ErrorBody, Topic } from '#core';
import type {
  CatalogAnswer,
  DashboardsAnswer,
  Job,
  QuarantineCountsAnswer,
  SessionAnswer,
  StatusAnswer,
  TransfersAnswer,
  ViewsAnswer,
} from '../../src/server/api.ts';
import { call } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Link } from '../link.tsx';
import { type Live, useLive } from '../live.ts';
import { go } from '../route.ts';
import { loadable, loadFile } from '../shell/drop.tsx';
import { icons } from '../shell/icons.tsx';
import { useStatus } from '../shell/shell.tsx';
import { Page, Problem, Sideways } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { Spark } from './spark.tsx';

const slow = 10_000;
/** Of a topic's reasons. */
const mostCodes = 4;

export function Home({ who }: { who: SessionAnswer }) {
  const { t } = useWords();
  const status = useStatus();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }), slow);
  const dashboards = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal }), slow);
  const jobs = useLive('jobs', (signal) => call<Job[]>('GET', '/v1/jobs', { signal }), slow);
  const views = useLive('views', (signal) => call<ViewsAnswer>('GET', '/v1/views', { signal }), slow);
  const transfers = useLive('transfers', (signal) => call<TransfersAnswer>('GET', '/v1/transfers', { signal }), slow);
  const history = useHistory(status.data, status.at);
  const fresh = status.data !== null && catalog.data !== null && topicsOf(status.data).length === 0 && own(catalog.data).length === 0;
  return (
    <Page
      title={t('home')}
      lead={t('home_lead')}
      action={
        !fresh &&
        (who.role === 'admin' || who.role === 'editor') && (
          <FileButton onChange={(file) => file && loadFile(file)} accept={loadable}>
            {(props) => <Button {...props}>{t('first_load')}</Button>}
          </FileButton>
        )
      }
    >
      {status.error !== null && status.data === null ? <Problem trouble={status.error} onRetry={status.refresh} /> : null}
      <Flow status={status.data} catalog={catalog.data} dashboards={dashboards.data} jobs={jobs.data} views={views.data} />
      {fresh ? (
        <FirstSteps who={who} />
      ) : (
        <>
          <Attention who={who} dashboards={dashboards} views={views} transfers={transfers} />
          <Arrivals status={status.data} catalog={catalog.data} history={history} />
          <Looks dashboards={dashboards.data} />
        </>
      )}
    </Page>
  );
}

/** Without Millrace's own, which begin with _. */
const topicsOf = ({ topics }: StatusAnswer) => topics.filter(({ name }) => !name.startsWith('_'));
const own = ({ tables }: CatalogAnswer) => tables.filter(({ origin }) => origin !== 'system');

/** The last minute of each topic's rate, as this page saw it. */
function useHistory(status: StatusAnswer | null, at: number): ReadonlyMap<string, readonly number[]> {
  const history = useRef(new Map<string, number[]>());
  const [, setSeen] = useState(0);
  useEffect(() => {
    for (const topic of status?.topics ?? []) {
      const list = history.current.get(topic.name) ?? [];
      history.current.set(topic.name, [...list, topic.per_second].slice(-60));
    }
    setSeen(at);
  }, [status, at]);
  return history.current;
}

/** collect → process → store → analyze → visualize, with what passes on the arrows. */
function Flow({
  status,
  catalog,
  dashboards,
  jobs,
  views,
}: {
  status: StatusAnswer | null;
  catalog: CatalogAnswer | null;
  dashboards: DashboardsAnswer | null;
  jobs: readonly Job[] | null;
  views: ViewsAnswer | null;
}) {
  const { t, short, number, duration } = useWords();
  const topics = status === null ? [] : topicsOf(status);
  const sum = (of: (topic: StatusAnswer['topics'][number]) => number) => topics.reduce((total, topic) => total + of(topic), 0);
  const accepted = sum((topic) => topic.accepted);
  const rate = sum((topic) => topic.per_second);
  const lag = Math.max(0, ...topics.map((topic) => topic.lag_ms));
  const tables = catalog === null ? null : own(catalog);
  const rows = tables?.reduce((total, table) => total + (table.rows ?? 0), 0) ?? null;
  const broken = dashboards?.dashboards.some(({ error }) => error !== null) ?? false;
  const failed = jobs?.filter(({ state }) => state === 'failed').length ?? 0;
  const unfresh = views?.views.filter(({ state }) => state !== 'fresh').length ?? 0;
  const down = status !== null && status.warehouse !== 'ready';
  const stages: {
    word: 'collect' | 'process' | 'store' | 'analyze' | 'visualize';
    figure: string | null;
    whole?: string;
    sub: string;
    state: 'good' | 'wait' | 'bad';
    path: string;
  }[] = [
    {
      word: 'collect',
      figure: status && short(accepted),
      whole: number(accepted),
      sub: t('stage_collect_sub'),
      state: 'good',
      path: '/data',
    },
    {
      word: 'process',
      figure: status && (lag === 0 ? '0' : duration(lag)),
      sub:
        lag > 0
          ? t('stage_process_sub')
          : status === null || views === null
            ? ''
            : unfresh > 0
              ? t('stage_process_views', { n: unfresh })
              : t('stage_process_none'),
      state: lag > 60_000 || views?.views.some(({ error }) => error !== null) ? 'bad' : lag > 5_000 || unfresh > 0 ? 'wait' : 'good',
      path: '/data',
    },
    {
      word: 'store',
      figure: rows === null ? null : short(rows),
      ...(rows === null ? {} : { whole: number(rows) }),
      sub: t('stage_store_sub', { n: tables?.length ?? '–' }),
      state: status?.warehouse === 'down' ? 'bad' : down ? 'wait' : 'good',
      path: '/data',
    },
    {
      word: 'analyze',
      figure: jobs && short(jobs.length),
      sub: t('stage_analyze_sub'),
      state: failed > 0 && failed === jobs?.length ? 'wait' : 'good',
      path: '/ask',
    },
    {
      word: 'visualize',
      figure: dashboards && short(dashboards.dashboards.length),
      sub: t('stage_visualize_sub'),
      state: broken ? 'bad' : 'good',
      path: '/dashboards',
    },
  ];
  const delivered = (catalog?.tables ?? []).reduce((total, { schema, rows: its }) => total + (schema === 'raw' ? (its ?? 0) : 0), 0);
  const read = jobs?.reduce((total, job) => total + job.rows, 0) ?? null;
  const tiles = dashboards?.dashboards.reduce((total, dashboard) => total + dashboard.tiles, 0) ?? null;
  // What passes from one stage to the next: a rate while it flows, else how much has.
  const arrows: { label: string; moving: boolean }[] = [
    { label: status === null ? '' : t('per_second', { n: short(rate) }), moving: rate > 0 },
    { label: catalog === null ? '' : t('arrow_delivered', { n: short(delivered) }), moving: rate > 0 && lag < 5_000 },
    { label: read === null ? '' : t('arrow_read', { n: short(read) }), moving: jobs?.some(({ state }) => state === 'running') ?? false },
    { label: tiles === null ? '' : t('tiles', { n: short(tiles) }), moving: false },
  ];
  return (
    <ol className="flow">
      {stages.map((stage, at) => (
        <li key={stage.word} className="flow-step">
          <Link href={stage.path} className="flow-stage">
            <span className="flow-name">
              <i className={`dot ${stage.state}`} />
              {t(`stage_${stage.word}`)}
            </span>
            <span className="figure" title={stage.whole}>
              {stage.figure ?? <Skeleton height={28} width={56} />}
            </span>
            <span className="faint small">{stage.sub}</span>
          </Link>
          {at < stages.length - 1 && <Arrow {...arrows[at]!} />}
        </li>
      ))}
    </ol>
  );
}

function Arrow({ label, moving }: { label: string; moving: boolean }) {
  return (
    <span className={moving ? 'flow-arrow moving' : 'flow-arrow'}>
      <span className="small tabular">{label}</span>
      <svg viewBox="0 0 40 8" aria-hidden="true" preserveAspectRatio="none">
        <path d="M0 4h36" vectorEffect="non-scaling-stroke" />
      </svg>
      <i aria-hidden="true" />
    </span>
  );
}

function Arrivals({
  status,
  catalog,
  history,
}: {
  status: StatusAnswer | null;
  catalog: CatalogAnswer | null;
  history: ReadonlyMap<string, readonly number[]>;
}) {
  const { t, number, duration } = useWords();
  if (status === null) return <Skeleton height={160} />;
  const topics = topicsOf(status);
  if (topics.length === 0) return null;
  const stored = new Map((catalog?.tables ?? []).filter(({ schema }) => schema === 'raw').map((table) => [table.name, table.rows]));
  return (
    <section className="card">
      <h2>{t('arrivals')}</h2>
      <Sideways label={t('arrivals')}>
        <table className="plain">
          <thead>
            <tr>
              <th>{t('topic')}</th>
              <th className="end">{t('rate')}</th>
              <th>{t('last_minute')}</th>
              <th className="end">{t('accepted')}</th>
              <th className="end">{t('rejected')}</th>
              <th className="end">{t('stored')}</th>
              <th className="end">{t('waiting')}</th>
            </tr>
          </thead>
          <tbody>
            {topics.map((topic) => (
              <tr key={topic.name}>
                <td>
                  <Link href={`/data/topics/${topic.name}`}>{topic.name}</Link>
                </td>
                <td className="end tabular">{number(topic.per_second)}</td>
                <td>
                  <Spark values={history.get(topic.name) ?? []} slots={60} />
                </td>
                <td className="end tabular">{number(topic.accepted)}</td>
                <td className={topic.quarantined > 0 ? 'end tabular bad-text' : 'end tabular'}>{number(topic.quarantined)}</td>
                <td className="end tabular">{stored.get(topic.name) == null ? '–' : number(stored.get(topic.name)!)}</td>
                <td className="end tabular">{topic.lag_ms === 0 ? '–' : duration(topic.lag_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
    </section>
  );
}

/** What there is to look at. */
function Looks({ dashboards }: { dashboards: DashboardsAnswer | null }) {
  const { t } = useWords();
  const list = (dashboards?.dashboards ?? []).filter(({ error }) => error === null).slice(0, 6);
  if (list.length === 0) return null;
  return (
    <section className="card">
      <h2>{t('dashboards')}</h2>
      <ul className="items">
        {list.map(({ name, title, description, tiles }) => (
          <li key={name}>
            <Link className="entry" href={`/dashboards/${name}`}>
              {icons.dashboards}
              <span className="entry-name">{title}</span>
              <span className="faint entry-text">{description}</span>
              <span className="faint entry-figure">{t('tiles', { n: tiles })}</span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Attention({
  who,
  dashboards,
  views,
  transfers,
}: {
  who: SessionAnswer;
  dashboards: Live<DashboardsAnswer>;
  views: Live<ViewsAnswer>;
  transfers: Live<TransfersAnswer>;
}) {
  const { t, number, said } = useWords();
  const sees = who.role === 'admin' || who.role === 'editor';
  const quarantine = useLive(
    sees ? 'quarantine' : null,
    (signal) => call<QuarantineCountsAnswer>('GET', '/v1/quarantine/counts', { signal }),
    slow,
  );
  const topics = useLive('topics', (signal) => call<{ topics: Topic[]; problems: ErrorBody[] }>('GET', '/v1/topics', { signal }), slow);
  const looks = { topics, views, transfers, dashboards, ...(sees && { quarantine }) };
  const waiting = Object.values(looks).some(({ data, error }) => data === null && error === null);
  const unknown = Object.entries(looks).filter(([, { error }]) => error !== null);
  const items: ReactNode[] = [
    ...unknown.slice(0, 1).map(([first, { error }]) => (
      <Item
        key={`unknown ${first}`}
        title={t('attention_unknown', { names: unknown.map(([name]) => t(`attention_of_${name as keyof typeof looks}`)).join(', ') })}
        text={said(error!.body) || t('went_wrong')}
      >
        <Button
          variant="default"
          onClick={() => {
            for (const [, { refresh }] of unknown) refresh();
          }}
        >
          {t('retry')}
        </Button>
      </Item>
    )),
    ...refused(quarantine.data?.counts ?? []).map(({ topic, codes }) => (
      <Item
        key={`quarantine ${topic}`}
        title={`${topic}: ${t('attention_quarantine', { n: number(codes.reduce((sum, { waiting }) => sum + waiting, 0)) })}`}
        text={codes
          .slice(0, mostCodes)
          .map(({ code, waiting }) => `${code} ${number(waiting)}`)
          .join(' · ')}
        href={topic.startsWith('transfer:') ? '/admin' : `/data/topics/${encodeURIComponent(topic)}`}
        action={t('look')}
      />
    )),
    ...(views.data?.views ?? [])
      .filter(({ state, error }) => state === 'paused' || error !== null)
      .map(({ name, error }) => (
        <Item
          key={`view ${name}`}
          title={t('attention_view', { name })}
          text={error === null ? t('attention_view_paused') : said(error)}
          href={`/data/${name.split('.').map(encodeURIComponent).join('/')}`}
          action={t('open')}
        />
      )),
    ...(transfers.data?.transfers ?? [])
      .filter(({ last }) => last?.state === 'failed')
      .map(({ name, last }) => (
        <Item
          key={`transfer ${name}`}
          title={t('attention_transfer', { name })}
          text={last!.report?.error ? said(last!.report.error) : ''}
          href={`/data/transfers/${encodeURIComponent(name)}`}
          action={t('open')}
        />
      )),
    ...[topics, views, transfers]
      .flatMap(({ data }) => data?.problems ?? [])
      .map((problem) => <Item key={problem.message} title={t('attention_file')} text={said(problem)} />),
    ...(dashboards.data?.dashboards ?? [])
      .filter(({ error }) => error !== null)
      .map(({ name, error }) => (
        <Item
          key={`dashboard ${name}`}
          title={t('attention_dashboard')}
          text={said(error!)}
          href={`/dashboards/${name}`}
          action={t('open')}
        />
      )),
  ];
  return (
    <section className="card">
      <h2>{t('attention')}</h2>
      {items.length > 0 && <ul className="items">{items}</ul>}
      {/* What is not known yet may still need it. */}
      {waiting ? <Skeleton height={32} /> : items.length === 0 && <p className="faint calm">{t('attention_none')}</p>}
    </section>
  );
}

function Item({
  title,
  text,
  href,
  action,
  children,
}: {
  title: string;
  text: string;
  href?: string;
  action?: string;
  children?: ReactNode;
}) {
  return (
    <li className="item">
      <i className="dot bad" />
      <div>
        <p>{title}</p>
        <p className="faint small">{text}</p>
      </div>
      {href !== undefined && <Link href={href}>{action}</Link>}
      {children}
    </li>
  );
}

/** By topic, what was refused and not accepted since, the most frequent reason first. */
function refused(counts: QuarantineCountsAnswer['counts']): { topic: string; codes: QuarantineCountsAnswer['counts'] }[] {
  const waiting = counts.filter((each) => each.waiting > 0);
  return [...Map.groupBy(waiting, ({ topic }) => topic)].map(([topic, codes]) => ({ topic, codes }));
}

function FirstSteps({ who }: { who: SessionAnswer }) {
  const { t } = useWords();
  const curl = `curl ${location.origin}/v1/topics/events/records -H "Authorization: Bearer $TOKEN" -d '{"event":"hello","amount":12.5}'`;
  return (
    <section>
      <h2>{t('first_title')}</h2>
      <p className="lead">{t('first_lead')}</p>
      <div className="steps">
        <div className="card">
          <h3>{t('first_load')}</h3>
          <p className="faint">{t('first_load_text')}</p>
          {who.role !== 'viewer' && (
            <FileButton onChange={(file) => file && loadFile(file)} accept={loadable}>
              {(props) => <Button {...props}>{t('first_load_action')}</Button>}
            </FileButton>
          )}
        </div>
        <div className="card">
          <h3>{t('first_send')}</h3>
          <p className="faint">{t('first_send_text')}</p>
          <Copied text="millrace topic add events" />
          <Copied text={curl} />
        </div>
        <div className="card">
          <h3>{t('first_mysql')}</h3>
          <p className="faint">{t('first_mysql_text')}</p>
          {who.role === 'admin' && (
            <Button variant="default" onClick={() => go('/data/connect')}>
              {t('connect')}
            </Button>
          )}
          <Copied text="millrace transfer guess mysql://reader@db.example.com/shop --save shop" />
        </div>
        <div className="card">
          <h3>{t('first_demo')}</h3>
          <p className="faint">{t('first_demo_text')}</p>
          <Copied text="millrace demo" />
        </div>
      </div>
    </section>
  );
}
