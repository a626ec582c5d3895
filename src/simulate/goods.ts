/** What the simulated shop sells, shows and advertises. Prices are in won; other currencies are scaled from them. */
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly won: number;
  /** How likely a visitor who sees it in a list opens it, before the position counts. */
  readonly appeal: number;
}

export interface Promotion {
  readonly placement: string;
  readonly content: string;
  readonly position: number;
  /** Probability that at least half of it is on screen for a second or more. */
  readonly visible: number;
  readonly click: number;
  readonly target: string;
}

export interface Campaign {
  readonly source: string;
  readonly medium: string;
  readonly campaign: string | null;
  readonly referrer: string | null;
  readonly weight: number;
}

const shelf: readonly (readonly [category: string, names: readonly (readonly [name: string, won: number])[]])[] = [
  [
    'outer',
    [
      ['울 블렌드 코트', 189_000],
      ['경량 패딩 점퍼', 99_000],
      ['데님 재킷', 79_000],
      ['바람막이', 59_900],
    ],
  ],
  [
    'top',
    [
      ['옥스퍼드 셔츠', 39_900],
      ['니트 가디건', 49_900],
      ['기본 반팔 티', 15_900],
      ['후드 집업', 45_000],
    ],
  ],
  [
    'bottom',
    [
      ['와이드 슬랙스', 42_000],
      ['스트레이트 진', 49_000],
      ['플리츠 스커트', 35_000],
      ['조거 팬츠', 29_900],
    ],
  ],
  [
    'shoes',
    [
      ['가죽 로퍼', 89_000],
      ['러닝화', 69_000],
      ['캔버스 스니커즈', 39_000],
      ['장화', 27_000],
    ],
  ],
  [
    'bag',
    [
      ['토트백', 59_000],
      ['백팩', 64_000],
      ['에코백', 12_900],
      ['크로스백', 44_000],
    ],
  ],
  [
    'home',
    [
      ['머그컵', 9_900],
      ['향초', 18_000],
      ['쿠션 "구름"', 22_000],
      ['담요', 33_000],
    ],
  ],
];

export const products: readonly Product[] = shelf.flatMap(([category, names], row) =>
  names.map(([name, won], column) => ({
    id: `P${row + 1}0${column + 1}`,
    name,
    category,
    won,
    appeal: 0.1 + 0.02 * ((row * 3 + column * 5) % 7),
  })),
);

export const categories: readonly string[] = shelf.map(([category]) => category);

export const productPage = (product: Product) => `/product/${product.id}`;
export const categoryPage = (category: string) => `/category/${category}`;
export const eventPage = '/event/봄맞이-세일';

export const promotions: readonly Promotion[] = [
  { placement: 'home_hero', content: '봄맞이 세일', position: 1, visible: 0.97, click: 0.07, target: eventPage },
  { placement: 'home_hero', content: '신상 코트', position: 2, visible: 0.55, click: 0.05, target: categoryPage('outer') },
  { placement: 'home_hero', content: '회원 혜택', position: 3, visible: 0.3, click: 0.02, target: eventPage },
  { placement: 'home_banner', content: '운동화 특가', position: 1, visible: 0.45, click: 0.04, target: categoryPage('shoes') },
  { placement: 'home_banner', content: '홈 데코', position: 2, visible: 0.4, click: 0.03, target: categoryPage('home') },
];

export const campaigns: readonly Campaign[] = [
  { source: '(direct)', medium: '(none)', campaign: null, referrer: null, weight: 34 },
  { source: 'naver', medium: 'organic', campaign: null, referrer: 'https://search.naver.com/', weight: 22 },
  { source: 'google', medium: 'organic', campaign: null, referrer: 'https://www.google.com/', weight: 14 },
  { source: 'naver', medium: 'cpc', campaign: 'spring_brand', referrer: 'https://search.naver.com/', weight: 10 },
  { source: 'instagram', medium: 'social', campaign: '봄_룩북', referrer: 'https://www.instagram.com/', weight: 9 },
  { source: 'kakao', medium: 'message', campaign: 'spring_coupon', referrer: null, weight: 7 },
  { source: 'newsletter', medium: 'email', campaign: 'spring_week1', referrer: null, weight: 4 },
];

export const searchTerms: readonly string[] = ['코트', '운동화', '가방', '니트', '선물'];

export interface Device {
  readonly device: 'mobile' | 'desktop';
  readonly browser: string;
  readonly userAgent: string;
  readonly weight: number;
}

export const phones: readonly Device[] = [
  {
    device: 'mobile',
    browser: 'Chrome',
    userAgent: 'Mozilla/5.0 (Linux; Android 14; SM-S921N) Chrome/124.0 Mobile Safari/537.36',
    weight: 5,
  },
  {
    device: 'mobile',
    browser: 'Safari',
    userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4) Version/17.4 Mobile Safari/604.1',
    weight: 4,
  },
  {
    device: 'mobile',
    browser: 'Samsung Internet',
    userAgent: 'Mozilla/5.0 (Linux; Android 14) SamsungBrowser/25.0 Mobile Safari/537.36',
    weight: 2,
  },
];
export const computers: readonly Device[] = [
  { device: 'desktop', browser: 'Chrome', userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/124.0 Safari/537.36', weight: 6 },
  { device: 'desktop', browser: 'Whale', userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Whale/3.26 Safari/537.36', weight: 2 },
];
export const crawlers: readonly Device[] = [
  { device: 'desktop', browser: 'Bot', userAgent: 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', weight: 3 },
  { device: 'desktop', browser: 'Bot', userAgent: 'Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd) crawler', weight: 2 },
  { device: 'desktop', browser: 'Bot', userAgent: 'Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/123.0', weight: 1 },
];

export const countries: readonly { readonly country: string; readonly weight: number }[] = [
  { country: 'KR', weight: 88 },
  { country: 'US', weight: 6 },
  { country: 'JP', weight: 6 },
];

export const payments: readonly { readonly payment: 'card' | 'easy_pay' | 'bank_transfer'; readonly weight: number }[] = [
  { payment: 'card', weight: 55 },
  { payment: 'easy_pay', weight: 33 },
  { payment: 'bank_transfer', weight: 12 },
];

export const refundReasons: readonly string[] = ['단순 변심', '사이즈 불만', '배송 지연', '상품 불량'];

/** The A/B test that the shop runs: B's checkout page makes a purchase 1.25 times as likely as A's. */
export const experiment = { name: 'checkout_page', purchase: { A: 0.48, B: 0.6 } } as const;
