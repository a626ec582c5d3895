/** What a picture takes from its surroundings. The same picture is drawn in the browser and on the server. */
export interface Look {
  readonly dark: boolean;
  /** BCP 47, for numbers and dates. */
  readonly locale: string;
  readonly font: string;
  /** CSS px that the picture has. */
  readonly width: number;
  readonly height: number;
  /** IANA: moments (TIMESTAMP WITH TIME ZONE) are drawn as its clock showed them. Default: UTC. */
  readonly zone?: string;
}

export const defaultLook: Look = { dark: false, locale: 'en', font: 'system-ui, sans-serif', width: 640, height: 320 };

/** Hues that people with the usual colour blindnesses can tell apart, after Okabe and Ito (2008), each with 3:1 on its ground. */
const hues = {
  light: ['#2f6fd0', '#c77700', '#0b8a76', '#b84a8d', '#3f8fbf', '#c44a22', '#766a4d'],
  dark: ['#7aa7f0', '#eda63c', '#3fc0a8', '#e08abf', '#7cc7ee', '#f08661', '#b8ab8a'],
} as const;

export function hue(look: Look, at: number): string {
  const list = look.dark ? hues.dark : hues.light;
  return list[at % list.length]!;
}

/** More series than hues are not told apart by anyone. */
export const mostSeries = hues.light.length;

/** Of writing and lines, and of what they stand on. */
export function ink(look: Look) {
  return look.dark
    ? { text: '#c9ced6', faint: '#8f98a5', line: '#333a44', ground: '#15191f', grey: '#5a6472' }
    : { text: '#3a424d', faint: '#667080', line: '#e3e6eb', ground: '#ffffff', grey: '#b3bac4' };
}
