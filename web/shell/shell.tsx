import { Popover, SegmentedControl, Tooltip, UnstyledButton, useMantineColorScheme } from '@mantine/core';
import { createContext, type ReactNode, Suspense, useContext, useEffect, useState } from 'react';
import type { SessionAnswer, StatusAnswer } from '../../src/server/api.ts';
import { call, signedOut } from '../api.ts';
import { commandKey } from '../command-key.ts';
import { later } from '../later.ts';
import { Link } from '../link.tsx';
import { type Live, useLive } from '../live.ts';
import { usePath } from '../route.ts';
import { type Language, languages, useWords, type Word } from '../words/index.tsx';
import { DropToLoad } from './drop.tsx';
import { icons, Mark } from './icons.tsx';

const find = () => import('./find.tsx');
/** Its dialog and field are half of what Home weighs beside React: they are fetched when somebody reaches for them. */
const Find = later(find);

const places = [
  { path: '/', word: 'home', icon: icons.home },
  { path: '/data', word: 'data', icon: icons.data },
  { path: '/ask', word: 'ask', icon: icons.ask },
  { path: '/dashboards', word: 'dashboards', icon: icons.dashboards },
  { path: '/answers', word: 'answers', icon: icons.answers },
  { path: '/models', word: 'models', icon: icons.models },
  { path: '/admin', word: 'admin', icon: icons.admin },
] as const satisfies readonly { path: string; word: Word; icon: ReactNode }[];

const StatusContext = createContext<Live<StatusAnswer> | null>(null);

/** What /v1/status says, asked once a second for the whole console. */
export const useStatus = (): Live<StatusAnswer> => useContext(StatusContext)!;

/** Rail (a bar below on a phone), top bar, and the page. */
export function Shell({ who, children }: { who: SessionAnswer; children: ReactNode }) {
  const { t } = useWords();
  const path = usePath();
  const status = useLive('status', (signal) => call<StatusAnswer>('GET', '/v1/status', { signal }), 1000);
  const [finding, setFinding] = useState(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === 'Control' || event.key === 'Meta') find().catch(() => {});
      if (event.key !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setFinding(true);
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, []);
  const current = places.findLast((place) => path === place.path || path.startsWith(`${place.path}/`))?.path ?? '/';
  return (
    <StatusContext value={status}>
      <a className="skip" href="#content">
        {t('skip')}
      </a>
      <nav className="rail" aria-label="Millrace">
        <Link href="/" className="rail-mark" aria-label="Millrace" tabIndex={-1}>
          <Mark />
          <span>Millrace</span>
        </Link>
        {places
          .filter(({ path: its }) => its !== '/admin' || who.role !== 'viewer')
          .map((place) => (
            <Link key={place.path} href={place.path} className="rail-link" aria-current={place.path === current ? 'page' : undefined}>
              {place.icon}
              <span>{t(place.word)}</span>
            </Link>
          ))}
      </nav>
      <header className="top">
        <span className="workspace" title={status.data?.workspace}>
          {status.data?.workspace ?? ' '}
        </span>
        <UnstyledButton className="find-button" onPointerEnter={() => find().catch(() => {})} onClick={() => setFinding(true)}>
          {icons.find}
          <span>{t('find')}</span>
          <kbd>{commandKey}K</kbd>
        </UnstyledButton>
        <Health status={status} />
        <Settings who={who} />
      </header>
      <main id="content" tabIndex={-1}>
        {children}
      </main>
      {finding && (
        <Suspense>
          <Find onClose={() => setFinding(false)} />
        </Suspense>
      )}
      {(who.role === 'admin' || who.role === 'editor') && <DropToLoad />}
    </StatusContext>
  );
}

function Health({ status }: { status: Live<StatusAnswer> }) {
  const { t } = useWords();
  const state = status.error !== null ? 'unreachable' : (status.data?.warehouse ?? 'starting');
  const words = t(`health_${state}`);
  return (
    <Tooltip label={words} withArrow>
      <button type="button" className="health" aria-label={words}>
        <i className={state} />
      </button>
    </Tooltip>
  );
}

function Settings({ who }: { who: SessionAnswer }) {
  const { t, language, setLanguage } = useWords();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const leave = async () => {
    await call('DELETE', '/v1/session');
    signedOut.dispatchEvent(new Event('signed-out'));
  };
  return (
    <Popover position="bottom-end" width={260} trapFocus returnFocus transitionProps={{ duration: 0 }}>
      <Popover.Target>
        <UnstyledButton className="icon-button" aria-label={t('menu')}>
          {icons.menu}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown className="settings" aria-label={t('menu')}>
        <p className="faint small">{t('signed_in_as', { name: who.name, role: t(`role_${who.role}`) })}</p>
        <div className="menu-part">
          <span className="faint">{t('language')}</span>
          <SegmentedControl
            fullWidth
            value={language}
            onChange={(next) => setLanguage(next as Language)}
            data={Object.entries(languages).map(([value, label]) => ({ value, label }))}
          />
        </div>
        <div className="menu-part">
          <span className="faint">{t('appearance')}</span>
          <SegmentedControl
            fullWidth
            value={colorScheme}
            onChange={(next) => setColorScheme(next as typeof colorScheme)}
            data={(['light', 'dark', 'auto'] as const).map((value) => ({ value, label: t(value) }))}
          />
        </div>
        <UnstyledButton className="settings-leave" onClick={leave}>
          {t('sign_out')}
        </UnstyledButton>
      </Popover.Dropdown>
    </Popover>
  );
}
