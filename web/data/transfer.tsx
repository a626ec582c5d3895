import { Button, Progress } from '@mantine/core';
import { useEffect, useState } from 'react';
import type {
  SessionAnswer,
  TransferAnswer,
  TransferPreviewAnswer,
  TransferReport,
  TransferRun,
  TransferRunsAnswer,
  TransferScheduleAnswer,
  TransferTableReport,
} from '../../src/server/api.ts';
import { call, Trouble, troubled } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { Page, Placeholder, Problem, Sideways } from '../states.tsx';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';

const tablePath = (target: string) => `/data/${target.split('.').map(encodeURIComponent).join('/')}`;

/** Tables that come from another system: what a run would take, the run while it goes, what earlier runs brought and whether it is the same. */
export default function TransferPage({ name, who }: { name: string; who: SessionAnswer }) {
  const { t } = useWords();
  const path = `/v1/transfers/${encodeURIComponent(name)}`;
  const [fast, setFast] = useState(false);
  const transfer = useLive(path, (signal) => call<TransferAnswer>('GET', path, { signal }), fast ? 500 : 5000);
  const runs = useLive(`${path}/runs`, (signal) => call<TransferRunsAnswer>('GET', `${path}/runs`, { signal }));
  const [previewing, setPreviewing] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const last = transfer.data?.last ?? null;
  const running = last?.state === 'running';
  // A run that follows its source's log compares beside, and goes on.
  const comparison = transfer.data?.comparison ?? null;
  const comparing = comparison?.state === 'running';
  const follows = running && last.kind === 'run' && transfer.data!.tables.some(({ mode }) => mode === 'cdc');
  const { refresh } = runs;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the history has one more when a run ends
  useEffect(() => {
    setFast(running);
    if (!running) refresh();
  }, [running, last?.run]);
  if (transfer.data === null)
    return transfer.error === null ? <Placeholder /> : <Problem trouble={transfer.error} onRetry={transfer.refresh} />;
  const loads = who.role !== 'viewer';
  const act = async (method: string, way: string) => {
    setTrouble(null);
    await troubled(setTrouble, async () => {
      await call(method, `${path}/${way}`);
      setFast(true);
      transfer.refresh();
    });
  };
  return (
    <Page
      title={name}
      lead={
        <>
          {t('node_transfer')} · {transfer.data.source}
          {transfer.data.schedule !== null && <ByItself schedule={transfer.data.schedule} />}
        </>
      }
      action={
        loads && (
          <div className="page-actions">
            <Button variant="default" onClick={() => setPreviewing(true)} disabled={running}>
              {t('transfer_preview')}
            </Button>
            <Button variant="default" onClick={() => act('POST', 'verify')} disabled={comparing || (running && !follows)}>
              {t('transfer_verify')}
            </Button>
            {running ? (
              <Button variant="default" onClick={() => act('DELETE', 'run')}>
                {t('stop')}
              </Button>
            ) : (
              <Button onClick={() => act('POST', 'run')}>{t('transfer_run')}</Button>
            )}
          </div>
        )
      }
    >
      {trouble !== null && <Problem trouble={trouble} />}
      {last !== null && <Now run={last} name={name} />}
      {comparison !== null && <Beside comparison={comparison} name={name} />}
      <section className="card">
        <h2>{t('transfer_tables')}</h2>
        <Sideways label={t('transfer_tables')}>
          <table className="plain">
            <thead>
              <tr>
                <th>{t('transfer_source')}</th>
                <th>{t('transfer_target')}</th>
                <th>{t('transfer_mode')}</th>
                <th>{t('transfer_key')}</th>
              </tr>
            </thead>
            <tbody>
              {transfer.data.tables.map((table) => (
                <tr key={table.source}>
                  <th scope="row">{table.source}</th>
                  <td>
                    <Link href={tablePath(table.target)}>{table.target}</Link>
                  </td>
                  <td>
                    {table.mode}
                    {table.cursor !== null && <span className="faint"> · {table.cursor}</span>}
                  </td>
                  <td>{table.key.join(', ') || '–'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Sideways>
      </section>
      {previewing && <Preview path={path} />}
      <section className="card">
        <h2>{t('transfer_history')}</h2>
        {runs.error !== null && <Problem trouble={runs.error} onRetry={runs.refresh} compact />}
        {runs.data !== null && runs.data.runs.length === 0 && (
          <p className="faint calm">{t(running ? 'transfer_history_first' : 'transfer_history_none')}</p>
        )}
        {(runs.data?.runs.length ?? 0) > 0 && <History runs={runs.data!.runs} label={t('transfer_history')} />}
      </section>
    </Page>
  );
}

/** What begins its runs, and when the next one is due. */
function ByItself({ schedule: { kind, next } }: { schedule: TransferScheduleAnswer }) {
  const { t, instant } = useWords();
  return (
    <>
      {' · '}
      {t(`transfer_by_${kind}`)}
      {next !== null && (
        <>
          {' · '}
          {t('transfer_next', { when: instant(Date.parse(next)) })}
        </>
      )}
    </>
  );
}

/** The newest run of this process: how far it is, or what stopped it. */
function Now({ run, name }: { run: TransferRun; name: string }) {
  const { t, number, bytes } = useWords();
  if (run.state === 'failed' && run.report?.error) return <Problem trouble={new Trouble(run.report.error, 500)} />;
  if (run.state !== 'running') return null;
  const { rows = 0, bytes: read = 0, total = null } = run.progress ?? {};
  const what =
    run.progress?.table === null
      ? t('transfer_following')
      : t(run.kind === 'verify' ? 'transfer_verifying' : 'transfer_running', { table: run.progress?.table ?? name });
  return (
    <section className="card" role="status">
      <h2>{what}</h2>
      <Progress
        value={total === null || total === 0 ? 100 : Math.min(100, (100 * rows) / total)}
        animated={total === null}
        aria-label={what}
      />
      <p className="faint small tabular">
        {t('rows', { n: total === null ? number(rows) : `${number(rows)} / ${number(total)}` })} · {bytes(read)}
      </p>
    </section>
  );
}

/** What was compared while the run went on: at one position of the source's log, however it is written to. */
function Beside({ comparison, name }: { comparison: TransferRun; name: string }) {
  const { t, ago, instant } = useWords();
  if (comparison.report === null || comparison.state === 'failed') return <Now run={comparison} name={name} />;
  const { began, tables } = comparison.report;
  return (
    <section className="card">
      <h2>
        {t('transfer_compared')}{' '}
        <span className="faint small" title={instant(Date.parse(began))}>
          {ago(Date.parse(began))}
        </span>
      </h2>
      <Sideways label={t('transfer_compared')}>
        <table className="plain">
          <thead>
            <tr>
              <th>{t('transfer_target')}</th>
              <th>{t('transfer_parity')}</th>
            </tr>
          </thead>
          <tbody>
            {tables.map(({ source, target, parity }) => (
              <tr key={source}>
                <th scope="row">
                  <TargetName source={source} target={target} />
                </th>
                <td className="told">
                  <Parity parity={parity} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
    </section>
  );
}

function Preview({ path }: { path: string }) {
  const { t } = useWords();
  const preview = useLive(`${path}/preview`, (signal) => call<TransferPreviewAnswer>('GET', `${path}/preview?rows=20`, { signal }));
  return (
    <section className="card">
      <h2>{t('transfer_preview')}</h2>
      {preview.error !== null && <Problem trouble={preview.error} onRetry={preview.refresh} compact />}
      {preview.data === null && preview.error === null && <Placeholder />}
      {preview.data?.tables.map(({ source, target, columns, rows, refused }) => (
        <div className="preview" key={source}>
          <h3>
            {source} → {target}
          </h3>
          <p className="faint small">
            {columns
              .map((column) => `${column.name} ${column.type.toLowerCase()}${column.note === null ? '' : ` (${column.note})`}`)
              .join(' · ')}
          </p>
          <Grid columns={columns.map((column) => ({ name: column.name, type: 'VARCHAR' }))} rows={rows} label={target} height={200} />
          {refused.length > 0 && (
            <p className="warn small">{t('load_refused', { n: refused.length, line: refused[0]!.line, reason: refused[0]!.reason })}</p>
          )}
        </div>
      ))}
    </section>
  );
}

function History({ runs, label }: { runs: readonly TransferReport[]; label: string }) {
  const { t, said, ago, instant, number, duration } = useWords();
  return (
    <Sideways label={label}>
      <table className="plain">
        <thead>
          <tr>
            <th>{t('job_started')}</th>
            <th>{t('job_state')}</th>
            <th>{t('transfer_target')}</th>
            <th className="end">{t('job_rows')}</th>
            <th className="end">{t('rejected')}</th>
            <th className="end">{t('model_time')}</th>
            <th>{t('transfer_parity')}</th>
          </tr>
        </thead>
        <tbody>
          {runs.flatMap((run) =>
            (run.tables.length > 0 ? run.tables : [null]).map((table, at) => (
              <tr key={`${run.run} ${table?.source}`}>
                <td className="nowrap" title={instant(Date.parse(run.began))}>
                  {at === 0 ? ago(Date.parse(run.began)) : ''}
                </td>
                <td className={run.outcome === 'failed' ? 'bad-text' : undefined} title={run.error ? said(run.error) : undefined}>
                  {at === 0
                    ? t(run.outcome === 'failed' ? 'job_failed' : run.kind === 'verify' ? 'transfer_was_compared' : 'job_done')
                    : ''}
                </td>
                <td>{table === null ? '–' : <TargetName {...table} />}</td>
                <td className="end tabular">{table === null ? '–' : number(table.rows)}</td>
                <td className={(table?.quarantined ?? 0) > 0 ? 'end tabular bad-text' : 'end tabular'}>
                  {table === null ? '–' : number(table.quarantined)}
                </td>
                <td className="end tabular">{table === null ? '–' : duration(table.seconds * 1000)}</td>
                <td className="told">
                  {run.error !== null && at >= run.tables.length - 1 ? (
                    <span className="faint small">{said(run.error)}</span>
                  ) : (
                    <Parity parity={table?.parity ?? null} />
                  )}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </Sideways>
  );
}

/** The table; of one that comes in files, with the file. */
function TargetName({ source, target }: Pick<TransferTableReport, 'source' | 'target'>) {
  const file = /^[0-9a-f]{32}(?:\/.*)? (.*)$/s.exec(source)?.[1];
  return (
    <>
      {target} {file !== undefined && <span className="faint small">{file}</span>}
    </>
  );
}

/** Keys that are shown of rows that differ. */
const shownKeys = 3;

/** Whether both sides have the same rows, by their number and the sum of their hashes. */
function Parity({ parity }: Pick<TransferTableReport, 'parity'>) {
  const { t, number } = useWords();
  if (parity === null) return <span className="faint">–</span>;
  const { equal, source, warehouse, differences, unlisted } = parity;
  if (equal)
    return (
      <span>
        <i className="dot" /> {t('transfer_equal', { n: number(source.rows) })}
      </span>
    );
  const keys = differences.slice(0, 20).map(({ key, kind }) => `${key.map((part) => part ?? 'NULL').join(', ')}: ${t(`parity_${kind}`)}`);
  const shown = keys.length > shownKeys ? [...keys.slice(0, shownKeys), '…'] : keys;
  const more = unlisted === undefined ? [] : [t('parity_unlisted', { n: unlisted })];
  return (
    <span title={keys.join('\n')}>
      <span className="bad-text">{t('transfer_differs', { source: number(source.rows), warehouse: number(warehouse.rows) })}</span>{' '}
      <span className="faint small">{[...shown, ...more].join(' · ')}</span>
    </span>
  );
}
