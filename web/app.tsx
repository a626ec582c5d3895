import { Button, Combobox, createTheme, MantineProvider, Menu, Modal } from '@mantine/core';
import { Component, type ReactNode, Suspense, useEffect, useState } from 'react';
import type { SessionAnswer } from '../src/server/api.ts';
import { call, signedOut, Trouble } from './api.ts';
import { decoded } from './begun.ts';
import { Home } from './home/home.tsx';
import { later } from './later.ts';
import { go, usePath } from './route.ts';
import { whoIsThere } from './session.ts';
import { Shell } from './shell/shell.tsx';
import { Page, Placeholder, Problem } from './states.tsx';
import { type FirstSpeech, Speaking, useWords } from './words/index.tsx';
import { setZone } from './zone.ts';

const SignIn = later(() => import('./sign-in.tsx'));
const Ask = later(() => import('./ask/ask.tsx'));
const Catalog = later(() => import('./data/catalog.tsx'));
const TablePage = later(() => import('./data/table.tsx'));
const ConnectPage = later(() => import('./data/connect.tsx'));
const TransferPage = later(() => import('./data/transfer.tsx'));
const TopicPage = later(() => import('./data/topic.tsx'));
const Dashboards = later(() => import('./dashboards/list.tsx'));
const Shared = later(() => import('./dashboards/shared.tsx'));
const Answers = later(() => import('./answer/answers.tsx'));
const Models = later(() => import('./models/models.tsx'));
const ModelPage = later(() => import('./models/model.tsx'));
const TrainPage = later(() => import('./models/train.tsx'));
const Admin = later(() => import('./admin/admin.tsx'));
const DashboardPage = later(() => import('./dashboards/dashboard.tsx'));

/** The page that the address names is fetched while it is still asked who is there. */
const first = location.pathname.split('/')[1];
if (first === 'dashboards' && location.pathname !== '/dashboards') import('./dashboards/dashboard.tsx').catch(() => {});
else if (first === 'ask') import('./ask/ask.tsx').catch(() => {});
else if (first === 'shared') import('./dashboards/shared.tsx').catch(() => {});

const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: 6,
  colors: {
    dark: ['#e4e8ee', '#b8c0ca', '#9aa4b1', '#6b7684', '#3a424d', '#2b323b', '#1b2027', '#15191f', '#0f1216', '#0a0c0f'],
    accent: ['#edf3fd', '#d9e5f9', '#b1caf3', '#86adec', '#6293e6', '#3f79d8', '#2461c2', '#1d52a8', '#18468f', '#123873'],
  },
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  defaultRadius: 6,
  autoContrast: true,
  components: {
    // Locking the page's scroll would put a style element without our nonce into the page.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, transitionProps: { duration: 0 } } }),
    Menu: Menu.extend({ defaultProps: { transitionProps: { duration: 0 } } }),
    // Lists that nobody opens are not made: a filter has up to a thousand values.
    Combobox: Combobox.extend({ defaultProps: { keepMounted: false, transitionProps: { duration: 0 } } }),
  },
});

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';

export function App({ speech }: { speech: FirstSpeech }) {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <Speaking first={speech}>
        {location.pathname === '/shared' ? (
          <Suspense fallback={<Placeholder />}>
            <Shared />
          </Suspense>
        ) : (
          <Entrance />
        )}
      </Speaking>
    </MantineProvider>
  );
}

type Session = { state: 'asking' } | { state: 'out' } | { state: 'in'; who: SessionAnswer } | { state: 'failed'; trouble: Trouble };

/** Lets in who has a session, or brings a token in the address's fragment (which is never sent to a server). */
function Entrance() {
  const [session, setSession] = useState<Session>({ state: 'asking' });
  const [round, setRound] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    enter().then(setSession);
  }, [round]);
  useEffect(() => {
    const out = () => setSession({ state: 'out' });
    signedOut.addEventListener('signed-out', out);
    return () => signedOut.removeEventListener('signed-out', out);
  }, []);
  switch (session.state) {
    case 'asking':
      return null;
    case 'out':
      return (
        <Suspense>
          <SignIn onEnter={(who) => setSession({ state: 'in', who })} />
        </Suspense>
      );
    case 'failed':
      return (
        <div className="entrance">
          <Problem trouble={session.trouble} onRetry={() => setRound((now) => now + 1)} />
        </div>
      );
    case 'in':
      setZone(session.who.time_zone);
      return (
        <Shell who={session.who}>
          <Pages who={session.who} />
        </Shell>
      );
  }
}

async function enter(): Promise<Session> {
  const token = /^#token=(mr_[\w-]+)$/.exec(location.hash)?.[1];
  if (token !== undefined) history.replaceState(null, '', location.pathname);
  try {
    const who = token === undefined ? await whoIsThere() : await call<SessionAnswer>('POST', '/v1/session', { body: { token } });
    return { state: 'in', who };
  } catch (thrown) {
    if (!(thrown instanceof Trouble)) throw thrown;
    return thrown.status === 401 ? { state: 'out' } : { state: 'failed', trouble: thrown };
  }
}

function Pages({ who }: { who: SessionAnswer }) {
  const path = usePath();
  return (
    <Boundary key={path}>
      <Suspense fallback={<Placeholder />}>{pageAt(path, who)}</Suspense>
    </Boundary>
  );
}

/** What a page could not draw is said in its place; the rest of the console stands. */
class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };
  static getDerivedStateFromError() {
    return { failed: true };
  }
  override render() {
    return this.state.failed ? <Failed /> : this.props.children;
  }
}

function Failed() {
  const trouble = new Trouble({ code: 'CONSOLE', message: '', remedy: '', retryable: false, params: {} }, 0);
  return <Problem trouble={trouble} onRetry={() => location.reload()} />;
}

function pageAt(path: string, who: SessionAnswer): ReactNode {
  const parts = path.split('/').slice(1).map(decoded);
  if (!parts.every((part) => part !== null)) return <Unknown />;
  const [first, ...rest] = parts;
  switch (first) {
    case '':
      return <Home who={who} />;
    case 'ask':
      return <Ask who={who} />;
    case 'data':
      if (rest.length === 0) return <Catalog who={who} />;
      if (rest[0] === 'connect' && rest.length === 1) return <ConnectPage who={who} />;
      if (rest[0] === 'transfers' && rest.length === 2) return <TransferPage name={rest[1]!} who={who} />;
      if (rest[0] === 'topics' && rest.length === 2) return <TopicPage name={rest[1]!} who={who} />;
      return rest.length === 2 ? <TablePage schema={rest[0]!} name={rest[1]!} who={who} /> : <Unknown />;
    case 'dashboards':
      if (rest.length === 0) return <Dashboards who={who} />;
      return rest.length === 1 ? <DashboardPage name={rest[0]!} who={who} /> : <Unknown />;
    case 'answers':
      return rest.length <= 1 ? <Answers name={rest[0] ?? null} /> : <Unknown />;
    case 'models':
      if (rest.length === 0) return <Models who={who} />;
      if (rest.length === 1 && rest[0] === 'train') return <TrainPage who={who} />;
      return rest.length === 1 ? <ModelPage name={rest[0]!} who={who} /> : <Unknown />;
    case 'admin':
      return rest.length === 0 ? <Admin who={who} /> : <Unknown />;
    default:
      return <Unknown />;
  }
}

function Unknown() {
  const { t } = useWords();
  return (
    <Page title={t('page_unknown')}>
      <Button onClick={() => go('/')}>{t('go_home')}</Button>
    </Page>
  );
}
