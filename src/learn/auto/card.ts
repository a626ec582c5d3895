import type { Card, Report } from '../report.ts';

/** What the card is written from: the report before it has one. */
export type Facts = Omit<Report, 'card'> & { readonly target: string; readonly classes: readonly string[] | null };

const METRICS: Readonly<Record<string, { readonly en: string; readonly ko: string }>> = {
  logLoss: { en: 'log-loss', ko: '로그 손실' },
  rmse: { en: 'root mean square error', ko: '평균 제곱근 오차' },
  mae: { en: 'mean absolute error', ko: '평균 절대 오차' },
  auc: { en: 'AUC', ko: 'AUC' },
  averagePrecision: { en: 'average precision', ko: '평균 정밀도' },
  accuracy: { en: 'accuracy', ko: '정확도' },
  f1: { en: 'F1', ko: 'F1' },
  r2: { en: 'R²', ko: '결정계수(R²)' },
  pinball: { en: 'pinball loss', ko: '핀볼 손실' },
};

const SPLITS = {
  random: { en: 'drawn at random', ko: '무작위로 뽑은' },
  stratified: { en: 'drawn at random, each class with its share', ko: '클래스 비율을 지켜 무작위로 뽑은' },
  time: { en: 'the latest ones', ko: '가장 최근의' },
  group: { en: 'of entities that it had not met', ko: '학습에 없던 대상의' },
  custom: { en: 'chosen by a column', ko: '열로 지정한' },
  none: { en: 'none', ko: '없음' },
} as const;

const INSTEAD = {
  nobody: { en: 'doing nothing', ko: '아무것도 하지 않기' },
  everyone: { en: 'acting on everyone', ko: '모두에게 하기' },
  rule: { en: 'the simple rule', ko: '단순 규칙' },
} as const;

/** The model in words, a sentence a line, from nothing but the report's facts. */
export function cardOf(facts: Facts): Card {
  const lines = [
    aim(facts),
    data(facts),
    ...without(facts),
    quality(facts),
    ...verdict(facts),
    ...drivers(facts),
    ...promises(facts),
    ...money(facts),
    ...weak(facts),
    ...bounds(facts),
  ];
  return { en: lines.map((line) => line.en), ko: lines.map((line) => line.ko) };
}

interface Line {
  readonly en: string;
  readonly ko: string;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const short = (value: number): string => String(Number(value.toPrecision(3)));
const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`;

function aim({ target, classes }: Facts): Line {
  if (classes === null) return { en: `It predicts the number "${target}".`, ko: `숫자 "${target}"을(를) 예측합니다.` };
  const named = classes
    .slice(0, 5)
    .map((label) => `"${label}"`)
    .join(', ');
  const more = classes.length > 5 ? ` … (${classes.length})` : '';
  return { en: `It predicts what "${target}" is: ${named}${more}.`, ko: `"${target}"이(가) ${named}${more} 중 무엇인지 예측합니다.` };
}

function data({ rows, columns, trials }: Facts): Line {
  const tried = trials.length;
  return {
    en: `It learned from ${whole(rows.known)} rows of ${columns.length} columns; ${tried} ${tried === 1 ? 'model was' : 'models were'} tried.`,
    ko: `${columns.length}개 열, ${whole(rows.known)}개 행에서 학습했고 모델 ${tried}개를 시험했습니다.`,
  };
}

/** What was left out for its own sake: of the others it was said. */
function without({ warnings, target }: Facts): Line[] {
  const left = warnings.filter(({ kind, column }) => kind === 'dropped' && column !== null && column !== target);
  if (left.length === 0) return [];
  const named = left
    .slice(0, 5)
    .map(({ column }) => `"${column}"`)
    .join(', ');
  const more = left.length > 5 ? ` … (${left.length})` : '';
  return [
    {
      en: `It does not learn from ${named}${more}: the warnings say why.`,
      ko: `${named}${more} 열은 쓰지 않았습니다. 까닭은 경고에 있습니다.`,
    },
  ];
}

function quality({ rows, split, scores }: Facts): Line {
  if (rows.judged === 0)
    return {
      en: 'No rows were held out, so how good it is is NOT known: evaluate it on rows that it has not seen.',
      ko: '평가용으로 남겨 둔 행이 없어 얼마나 좋은지 알 수 없습니다. 학습에 쓰지 않은 행으로 평가하세요.',
    };
  const told = (language: 'en' | 'ko'): string =>
    scores.map(({ metric, value, error }) => `${METRICS[metric]?.[language] ?? metric} ${short(value)} ± ${short(error)}`).join(', ');
  return {
    en: `On ${whole(rows.judged)} rows that nothing was learned from or chosen by, ${SPLITS[split.kind].en}: ${told('en')}.`,
    ko: `학습과 선택에 쓰지 않은 ${SPLITS[split.kind].ko} ${whole(rows.judged)}개 행에서: ${told('ko')}.`,
  };
}

function verdict({ rule, better, metric }: Facts): Line[] {
  if (rule === null) return [];
  const { en, ko } = METRICS[metric]!;
  const gain = `${short(rule.gain)} ± ${short(rule.gainError)}`;
  if (better)
    return [
      {
        en: `It beats the best simple rule (${rule.text}) by ${gain} of ${en}.`,
        ko: `가장 좋은 단순 규칙보다 ${ko}이(가) ${gain}만큼 낫습니다.`,
      },
    ];
  return [
    {
      en: `It is NOT clearly better than the best simple rule (${rule.text}; ${gain} of ${en}): use the rule.`,
      ko: `가장 좋은 단순 규칙보다 분명히 낫지 않습니다(${ko} ${gain}). 규칙을 쓰세요.`,
    },
  ];
}

function drivers({ importance, rows }: Facts): Line[] {
  if (rows.judged === 0) return [];
  const named = importance
    .filter(({ loss }) => loss > 0)
    .slice(0, 3)
    .map(({ column }) => `"${column}"`)
    .join(', ');
  if (named === '') return [{ en: 'No single column matters to it.', ko: '어느 한 열도 크게 영향을 주지 않습니다.' }];
  return [
    {
      en: `What it goes by most: ${named}. That is what goes together, not what causes.`,
      ko: `가장 크게 보는 열: ${named}. 함께 움직인다는 뜻이지 원인이라는 뜻은 아닙니다.`,
    },
  ];
}

function promises({ reliability }: Facts): Line[] {
  if (reliability === null) return [];
  const off = percent(reliability.expectedError);
  return [{ en: `Its probabilities are off by ${off} on average.`, ko: `예측 확률은 평균 ${off}만큼 실제와 다릅니다.` }];
}

/** Which class is acted on is only the order of their names: it must be told. */
function money({ money: worth, classes }: Facts): Line[] {
  if (worth === null) return [];
  const hit = `"${classes?.[1]}"`;
  const { en, ko } = INSTEAD[worth.instead];
  const [profit, gain, error] = [worth.profit.model, worth.gain, worth.gainError].map(whole);
  if (worth.pays && worth.threshold !== null)
    return [
      {
        en: `Acting on ${hit} from a probability of ${percent(worth.threshold)} on earns ${profit} on the judged rows, ${gain} ± ${error} more than ${en}.`,
        ko: `${hit}일 확률 ${percent(worth.threshold)}부터 행동하면 평가 행에서 ${profit}을(를) 벌고, 이는 '${ko}'보다 ${gain} ± ${error} 많습니다.`,
      },
    ];
  return [
    {
      en: `At these values, acting on ${hit} by it does NOT clearly earn more than ${en} (${gain} ± ${error}): prefer ${en}.`,
      ko: `이 금액에서 ${hit}에 행동하는 것은 '${ko}'보다 분명히 더 벌지 않습니다(${gain} ± ${error}). '${ko}'이(가) 낫습니다.`,
    },
  ];
}

function weak({ slices }: Facts): Line[] {
  return slices.slice(0, 3).map(({ column, value, rows, loss, otherLoss, ruleLoss }) => {
    const worse = loss > ruleLoss;
    const figures = `${short(loss)} / ${short(otherLoss)}`;
    return {
      en: `It does worse where "${column}" is ${value} (${whole(rows)} rows, mean loss ${figures} elsewhere)${worse ? '; there the simple rule is better' : ''}.`,
      ko: `"${column}" = ${value} 인 ${whole(rows)}개 행에서 더 틀립니다(평균 손실 ${figures})${worse ? '. 여기서는 단순 규칙이 낫습니다' : ''}.`,
    };
  });
}

function bounds({ warnings, cost, stopped }: Facts): Line[] {
  const leaks = [...new Set(warnings.filter(({ kind }) => kind === 'leakage' || kind === 'too good').map(({ column }) => column))];
  const named = leaks.map((column) => `"${column}"`).join(', ');
  return [
    ...(leaks.length > 0
      ? [{ en: `It may have been told the answer: look at ${named} first.`, ko: `답을 미리 알았을 수 있습니다. ${named}부터 확인하세요.` }]
      : []),
    ...(stopped ? [{ en: 'The search was stopped early.', ko: '탐색을 일찍 멈췄습니다.' }] : []),
    {
      en: `It knows only rows like those that it learned from. It has ${whole(cost.bytes / 1000)} kB and answers a row of a batch in ${short(cost.predictMicros)} µs.`,
      ko: `학습한 것과 비슷한 행만 압니다. 크기는 ${whole(cost.bytes / 1000)} kB이고, 묶음으로 예측할 때 한 행에 ${short(cost.predictMicros)} µs 걸립니다.`,
    },
  ];
}
