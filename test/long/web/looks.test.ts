import { describe, test } from 'node:test';
import { type Look, visit, withoutBrowser } from '../../web/browser.ts';
import { storeOfOneDay, stories, withoutData } from '../../web/stories.ts';

const looks: readonly Look[] = (['en', 'ko'] as const).flatMap((language) =>
  (['light', 'dark'] as const).flatMap((scheme) => ([390, 1440] as const).map((width) => ({ language, scheme, width }))),
);

describe('every page in every look', { skip: withoutBrowser || withoutData }, () => {
  const server = storeOfOneDay();
  for (const look of looks) {
    for (const [name, story] of Object.entries(stories)) {
      test(`${name} in ${look.language}, ${look.scheme}, at ${look.width} px`, async (t) => {
        const visited = await visit(t, look);
        await visited.enter(server().address, server().adminToken);
        await story({ address: server().address, token: server().adminToken, look, visit: visited });
      });
    }
  }
});
