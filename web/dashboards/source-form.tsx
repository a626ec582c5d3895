import { MultiSelect, SegmentedControl, Select } from '@mantine/core';
import { type Grain, modelViews, type TileSource } from '#visualize';
import type { AnswersAnswer, MetricsAnswer, ModelsAnswer } from '../../src/server/api.ts';
import { Field } from '../answer/answers.tsx';
import { call } from '../api.ts';
import { useLive } from '../live.ts';
import { useWords } from '../words/index.tsx';

export const sourceKinds = ['metric', 'answer', 'model'] as const;

/** A source that has just been chosen and names nothing yet. */
export function newSource(kind: TileSource['kind']): TileSource {
  switch (kind) {
    case 'metric':
      return { kind, name: '', by: [], grain: 'none' };
    case 'answer':
      return { kind, name: '', options: {} };
    case 'model':
      return { kind, name: '', show: 'scores' };
  }
}

/** What a tile shows of a metric, an answer or a model. */
export function SourceForm({ source, onSource }: { source: TileSource; onSource: (source: TileSource) => void }) {
  switch (source.kind) {
    case 'metric':
      return <OfMetric source={source} onSource={onSource} />;
    case 'answer':
      return <OfAnswer source={source} onSource={onSource} />;
    case 'model':
      return <OfModel source={source} onSource={onSource} />;
  }
}

type Of<Kind extends TileSource['kind']> = { source: Extract<TileSource, { kind: Kind }>; onSource: (source: TileSource) => void };

function OfMetric({ source, onSource }: Of<'metric'>) {
  const { t } = useWords();
  const list = useLive('metrics', (signal) => call<MetricsAnswer>('GET', '/v1/metrics', { signal }));
  const metric = list.data?.metrics.find(({ name }) => name === source.name);
  return (
    <>
      <Select
        label={t('tile_metric')}
        searchable
        allowDeselect={false}
        value={source.name || null}
        onChange={(name) => name !== null && onSource({ ...source, name, by: [] })}
        data={(list.data?.metrics ?? []).map(({ name, title }) => ({ value: name, label: title }))}
      />
      {metric !== undefined && (
        <div className="two">
          <MultiSelect
            label={t('question_by')}
            value={[...source.by]}
            onChange={(by) => onSource({ ...source, by })}
            data={[...metric.dimensions]}
          />
          {metric.time !== null && (
            <div>
              <span className="label">{t('question_grain')}</span>
              <SegmentedControl
                value={source.grain}
                onChange={(grain) => onSource({ ...source, grain: grain as Grain })}
                data={(['none', 'day', 'week', 'month'] as const).map((value) => ({ value, label: t(`grain_${value}`) }))}
              />
            </div>
          )}
        </div>
      )}
    </>
  );
}

function OfAnswer({ source, onSource }: Of<'answer'>) {
  const { t, inWords } = useWords();
  const list = useLive('answers', (signal) => call<AnswersAnswer>('GET', '/v1/answers', { signal }));
  const entry = list.data?.answers.find(({ name }) => name === source.name);
  return (
    <>
      <Select
        label={t('tile_answer')}
        searchable
        allowDeselect={false}
        value={source.name || null}
        onChange={(name) => name !== null && onSource({ ...source, name, options: {} })}
        data={(list.data?.answers ?? []).map((each) => ({ value: each.name, label: inWords(each).title }))}
      />
      {entry !== undefined && (
        <div className="options">
          {entry.options.map((option) => (
            <Field
              key={option.name}
              answer={entry.name}
              option={option}
              value={source.options[option.name] ?? null}
              onValue={(value) => {
                const { [option.name]: _, ...rest } = source.options;
                onSource({ ...source, options: value === null || value === '' ? rest : { ...rest, [option.name]: String(value) } });
              }}
            />
          ))}
        </div>
      )}
    </>
  );
}

function OfModel({ source, onSource }: Of<'model'>) {
  const { t } = useWords();
  const list = useLive('models', (signal) => call<ModelsAnswer>('GET', '/v1/models', { signal }));
  return (
    <div className="two">
      <Select
        label={t('tile_model')}
        searchable
        allowDeselect={false}
        value={source.name || null}
        onChange={(name) => name !== null && onSource({ ...source, name })}
        data={(list.data?.models ?? []).map(({ name }) => name)}
      />
      <Select
        label={t('model_show')}
        allowDeselect={false}
        value={source.show}
        onChange={(show) => onSource({ ...source, show: modelViews.find((each) => each === show)! })}
        data={modelViews.map((value) => ({ value, label: t(`show_${value}`) }))}
      />
    </div>
  );
}
