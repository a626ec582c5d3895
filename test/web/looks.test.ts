import { describe, test } from 'node:test';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { storeOfOneDay, stories, withoutData } from './stories.ts';

/** Each language, theme and width at least once; the stories take turns, but for the cheap ones. test/long/web tells all of them in all looks. */
const looks: readonly Look[] = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'ko', scheme: 'dark', width: 390 },
];

/** Told in both looks: seconds each, and between them lists, tables, figures and drawings. */
const cheap = ['home', 'data', 'models', 'admin'];

const skip = withoutBrowser || withoutData;

describe('each page tells its story', { skip }, () => {
  const server = storeOfOneDay();
  for (const [at, look] of looks.entries()) {
    const told = Object.entries(stories).filter(([name], k) => k % 2 === at || cheap.includes(name));
    test(`${told.map(([name]) => name).join(', ')} tell their stories in ${look.language}, ${look.scheme}, at ${look.width} px`, async (t) => {
      const visited = await visit(t, look);
      await visited.enter(server().address, server().adminToken);
      for (const [, story] of told) await story({ address: server().address, token: server().adminToken, look, visit: visited });
    });
  }
});
