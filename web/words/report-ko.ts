import type { Phrases } from './book.ts';

/** 모델 보고서의 문장을 한국어로: `{x}`에는 그 자리의 것이 들어간다. 먼저 맞는 것을 쓴다. */
export const reportKo: Phrases = [
  ['stratified', '층화'],
  ['random', '무작위'],
  ['time', '시간순'],
  ['group', '그룹별'],
  ['custom', '지정'],
  ['none', '없음'],
  ['rows look exchangeable; each class keeps its share on both sides', '행의 순서에 뜻이 없어 보이며, 양쪽의 클래스 비율이 같습니다'],
  ['rows look exchangeable', '행의 순서에 뜻이 없어 보입니다'],
  ['as asked: all rows are learned from, and none is held out', '정한 대로 모든 행에서 배우고, 떼어 둔 행은 없습니다'],
  ['as asked', '정한 대로'],
  [
    'neighbouring rows have similar answers (autocorrelation {r}) along "{column}", so a random split would let the model look into the future',
    '“{column}” 순서로 이웃한 행의 답이 비슷합니다(자기상관 {r}). 무작위로 나누면 미래를 보고 배우게 됩니다',
  ],
  [
    '"{column}" repeats ({each} rows each), so a random split would have the same one on both sides',
    '“{column}” 값이 되풀이됩니다(값마다 {each}행). 무작위로 나누면 같은 것이 양쪽에 들어갑니다',
  ],
  [
    'the usual answer for each range or value of "{column}", classes weighed as in learning',
    '“{column}” 값이나 구간마다 흔한 답, 클래스의 가중치는 학습 때와 같음',
  ],
  ['the usual answer for each range or value of "{column}"', '“{column}” 값이나 구간마다 흔한 답'],
  ['the same value for every row', '모든 행에 같은 값'],
  ["each class's share for every row, classes weighed as in learning", '모든 행에 클래스의 비율, 클래스의 가중치는 학습 때와 같음'],
  ["each class's share for every row", '모든 행에 클래스의 비율'],
  ['"{column}" is not learned from: all values are missing.', '“{column}” 열은 값이 모두 비어 있어 쓰지 않았습니다.'],
  ['"{column}" is not learned from: all values are the same.', '“{column}” 열은 값이 모두 같아 쓰지 않았습니다.'],
  ['"{column}" is not learned from: it counts the rows.', '“{column}” 열은 행의 번호여서 쓰지 않았습니다.'],
  [
    '"{column}" is not learned from: each row has its own whole number and the name says id.',
    '“{column}” 열은 행마다 다른 번호(id)여서 쓰지 않았습니다.',
  ],
  [
    '"{column}" is not learned from: nearly every row has a value of its own.',
    '“{column}” 열은 행마다 값이 거의 모두 달라 쓰지 않았습니다.',
  ],
  [
    '"{column}" is not learned from: the rows that it is judged by, like new ones, have other values.',
    '“{column}” 열은 떼어 둔 행에도 새 행에도 다른 값이 오므로 쓰지 않았습니다.',
  ],
  [
    '"{column}" is not learned from: each value has one "{group}", so that the rows that it is judged by, like new ones, have others.',
    '“{column}” 열은 값마다 “{group}” 하나에 속해, 떼어 둔 행에도 새 행에도 다른 값이 오므로 쓰지 않았습니다.',
  ],
  [
    '"{column}" is not learned from: it says which rows are learned from.',
    '“{column}” 열은 어느 행에서 배울지를 말하는 열이어서 쓰지 않았습니다.',
  ],
  ['"{column}" is not learned from: it says when another column came.', '“{column}” 열은 다른 열이 온 때여서 쓰지 않았습니다.'],
  [
    '{n} rows without a known "{target}" or with a weight of 0 are not learned from.',
    '“{target}” 값을 모르거나 가중치가 0인 {n}행은 쓰지 않았습니다.',
  ],
  ['{n} rows without a known "{target}" are not learned from.', '“{target}” 값을 모르는 {n}행은 쓰지 않았습니다.'],
  ['{n} rows are few: expect the score to change with new data.', '{n}행은 적습니다. 새 데이터에서는 성능이 달라질 수 있습니다.'],
  [
    'All rows were learned from and none was held out: nothing here says how good the model is. Evaluate it on other rows.',
    '모든 행에서 배우고 떼어 둔 행이 없어 성능을 알 수 없습니다. 다른 행으로 평가하세요.',
  ],
  [
    "No row that was learned from is {labels}: the figures are of a model that can't know it.",
    '배운 행에 {labels}이(가) 없습니다. 그것을 알 수 없는 모델의 수치입니다.',
  ],
  [
    'No row that was held out is {labels}: the figures say nothing of it.',
    '떼어 둔 행에 {labels}이(가) 없습니다. 수치는 그것에 대해 말하지 않습니다.',
  ],
  [
    'Classes weigh alike in learning: probabilities are not shares of real rows. Figures count real rows; the comparison with the simple rule, importance and slices weigh the classes.',
    '학습에서 클래스의 무게를 같게 했습니다. 확률은 실제 행의 비율이 아닙니다. 수치는 실제 행을 세고, 단순 규칙과의 비교와 중요도와 조각은 클래스에 무게를 줍니다.',
  ],
  [
    'Classes weigh as asked in learning: probabilities are not shares of real rows. Figures count real rows; the comparison with the simple rule, importance and slices weigh the classes.',
    '학습에서 클래스의 무게를 정한 대로 했습니다. 확률은 실제 행의 비율이 아닙니다. 수치는 실제 행을 세고, 단순 규칙과의 비교와 중요도와 조각은 클래스에 무게를 줍니다.',
  ],
  [
    'Only {n} of {rows} rows are "{label}": judge by the threshold table, not by accuracy.',
    '{rows}행 가운데 {n}행만 “{label}”입니다. 정확도보다 기준값 표로 판단하세요.',
  ],
  [
    '{n} of {rows} rows to judge by also stand among the rows learned from: the score may flatter the model.',
    '떼어 둔 {rows}행 가운데 {n}행은 배운 행에도 똑같이 있습니다. 실제보다 좋아 보일 수 있습니다.',
  ],
  [
    '{share} % of the rows to judge by have a "{column}" that was learned from: new ones may be predicted worse. Split by group to see.',
    '떼어 둔 행의 {share} %는 “{column}” 값이 배운 행에도 있습니다. 새로운 값은 덜 맞을 수 있으니 그룹으로 나누어 확인하세요.',
  ],
  [
    '"{column}" alone tells {share} % of "{target}". If it is only known after the answer, leave it out (ignore) and train again.',
    '“{column}” 열만으로 “{target}”의 {share} %를 압니다. 답이 나온 뒤에야 아는 값이면 빼고(ignore) 다시 학습하세요.',
  ],
  [
    '"{column}" alone tells the classes of "{target}" apart (AUC {auc}). If it is only known after the answer, leave it out (ignore) and train again.',
    '“{column}” 열만으로 “{target}”의 클래스가 갈립니다(AUC {auc}). 답이 나온 뒤에야 아는 값이면 빼고(ignore) 다시 학습하세요.',
  ],
  [
    '"{column}" holds times after "{moment}" in {share} of its rows: it is not known when the answer is needed. Leave it out (ignore) and train again.',
    '“{column}” 열은 {share}의 행에서 “{moment}”보다 뒤의 시각입니다. 답이 필요할 때는 모르는 값이니 빼고(ignore) 다시 학습하세요.',
  ],
  [
    '"{column}" was written after "{moment}" in {share} of its rows: it is not known when the answer is needed. Leave it out (ignore) and train again.',
    '“{column}” 열은 {share}의 행에서 “{moment}” 뒤에 쓰였습니다. 답이 필요할 때는 모르는 값이니 빼고(ignore) 다시 학습하세요.',
  ],
  [
    '"{column}" is only filled where "{other}" is, which came too late: it is not known when the answer is needed. Leave it out (ignore) and train again.',
    '“{column}” 열은 늦게 온 “{other}” 열이 있는 곳에만 값이 있습니다. 답이 필요할 때는 모르는 값이니 빼고(ignore) 다시 학습하세요.',
  ],
  [
    'The model is nearly always right. The columns that it uses most, together, may hold the answer: see whether they are known before it.',
    '거의 언제나 맞습니다. 많이 쓰인 열들에 답이 들어 있을 수 있으니, 답보다 먼저 아는 값인지 확인하세요.',
  ],
  ['The model is not clearly better than the simple rule: use the rule.', '단순 규칙보다 분명히 낫지 않습니다. 규칙을 쓰세요.'],
];
