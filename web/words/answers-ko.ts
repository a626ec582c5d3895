/** Titles and summaries of answers in Korean, by name; in English the server's own words are shown. */
export const answersKo: Readonly<Record<string, { readonly title: string; readonly summary: string }>> = {
  reconcile: {
    title: '구매와 주문이 맞는가',
    summary: '이벤트의 구매를 주문 번호로 주문 테이블과 맞춰 봅니다. 일치, 한쪽에만 있음, 금액 다름과 그 까닭을 보입니다.',
  },
  placements: {
    title: '자리마다 제 몫을 하는가',
    summary: '자리 × 내용 × 날짜별 노출, 클릭, 주문, 수량, 기여 모델별 매출, 환불, 노출당 매출입니다.',
  },
  funnel: { title: '방문자는 어디까지 오는가', summary: '방문자나 세션이 어느 단계까지 왔는지와 전환율, 이탈, 단계마다 걸린 시간입니다.' },
  dropoff: { title: '누가 어디서 떠나는가', summary: '한 단계에서 다른 사람보다 더 많이 떠나게 하는 속성과 그 값입니다.' },
  paths: {
    title: '어떤 길로 다니는가',
    summary: '페이지에서 페이지로(또는 이벤트에서 이벤트로) 옮겨 가는 길을 세션의 시작이나 고른 이벤트부터 한 걸음씩 보입니다.',
  },
  journey: {
    title: '설계한 대로 쓰이는가',
    summary: '의도한 흐름의 단계 사이를 오가는 길마다 설계한 것인지, 얼마나 잦은지, 들여다볼 세션을 보입니다.',
  },
  retention: {
    title: '누가 다시 오는가',
    summary: '첫 이벤트가 있던 날, 주, 달로 나눈 방문자 가운데 그 뒤 기간마다 몇 명이 돌아오는지입니다.',
  },
  cohorts: { title: '고객의 가치는 어떻게 쌓이는가', summary: '처음 결제한 기간으로 나눈 고객의 이후 기간별 주문, 매출, 환불입니다.' },
  rfm: { title: '누구에게 말을 걸까', summary: '얼마나 최근에, 자주, 많이 샀는지로 나눈 고객을 묶음이나 한 명씩 보입니다.' },
  lifetime: {
    title: '고객의 남은 가치는 얼마인가',
    summary: '아직 활동 중일 확률과 앞으로의 주문 수와 금액의 기댓값으로 본 고객입니다 (BG/NBD, 감마–감마).',
  },
  lifecycle: {
    title: '고객은 머무는가, 떠나는가, 돌아오는가',
    summary: '기간마다 단계(신규, 유지, 재활성, 휴면, 이탈)별 고객 수, 또는 최근 기간의 고객 한 명씩입니다.',
  },
  segment: {
    title: '세그먼트에 누가 있고 누가 드나들었는가',
    summary: 'segments/*.yaml에 정한 세그먼트의 구성원, 또는 기간마다 있던 수와 들어오고 나간 수입니다.',
  },
  segments: {
    title: '세그먼트는 얼마나 크고 겹치는가',
    summary: '세그먼트 두 개씩의 구성원 수와 둘 다에 든 수를, 비율과 우연의 몇 배인지로 보입니다.',
  },
  lookalike: {
    title: '누가 세그먼트의 구성원처럼 움직이는가',
    summary: '세그먼트 밖의 방문자를 구성원과 닮은 순서로 보입니다. 산 것이 아니라 상점에서 한 일로 판단합니다.',
  },
  experiment: {
    title: '바꾼 것이 이익이 되었는가',
    summary: 'experiments/*.yaml의 A/B 테스트: 방문자 수, 평균, 언제 보아도 되는 구간 또는 마지막 구간과 차이, 표본 비율 검사입니다.',
  },
  experiment_bayes: {
    title: '바꾼 것이 이익일 확률은',
    summary: '베이즈로 읽은 A/B 테스트: 전환, 방문자당 금액, 횟수, 비율의 사후 분포, 대조군을 이기고 가장 좋을 확률, 기대 손실입니다.',
  },
  sample_ratio: {
    title: '표본이 치우친 까닭은 무엇인가',
    summary: 'A/B 테스트 방문자를 브라우저, 기기, 날짜, 리디렉션, 봇 등으로 나눈 비율과 카이제곱, 그것을 뺐을 때 남는 치우침입니다.',
  },
  experiment_plan: {
    title: '테스트를 얼마나 해야 하는가',
    summary: '지난 방문으로 본 experiments/*.yaml의 검정력과 기간: 지표와 주 수별 방문자 수와 드러낼 수 있는 가장 작은 효과입니다.',
  },
  aa_replay: {
    title: '이 방문량으로 어떤 효과를 볼 수 있는가',
    summary: '지난 방문자를 무작위로 나누어 본 실제 거짓 양성률과 지표별 최소 탐지 효과입니다.',
  },
  metric: { title: '한 번 정의한 숫자', summary: 'metrics/*.yaml의 지표를 시간과 차원으로 나누어 봅니다.' },
  drivers: { title: '무엇이 숫자를 움직였는가', summary: '두 기간 사이의 변화에 얼마나 기여했는지로 줄 세운 지표의 부분들입니다.' },
};
