import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [react(), ahead()],
  // The front doors (#core, #visualize) as source.
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // No data: addresses for files and no inline script: the page's policy allows neither.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    // The first script waits for no other.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'start', test: /web[\\/](start|begun)\.ts$|vite[\\/]preload-helper/ }] } },
    },
  },
});

/** The console's code, which the first script imports, is named by the page itself, so that the browser fetches it at the same time. */
function ahead() {
  return {
    name: 'ahead',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter(({ type }) => type === 'chunk');
        const main = chunks.find(({ moduleIds }) => moduleIds.some((id) => id.endsWith('/web/main.tsx')));
        if (main === undefined) return html;
        const all = new Set([main.fileName]);
        for (const name of all) for (const next of bundle[name]?.imports ?? []) all.add(next);
        const styles = [...all].flatMap((name) => [...(bundle[name]?.viteMetadata?.importedCss ?? [])]);
        return [
          ...[...new Set(styles)].map((name) => ({
            tag: 'link',
            attrs: { rel: 'preload', as: 'style', crossorigin: true, href: `/${name}` },
            injectTo: 'head',
          })),
          ...[...all]
            .filter((name) => !html.includes(name))
            .map((name) => ({ tag: 'link', attrs: { rel: 'modulepreload', href: `/${name}` }, injectTo: 'head' })),
        ];
      },
    },
  };
}
