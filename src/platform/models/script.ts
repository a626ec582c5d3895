/**
 * A model as one JavaScript file without dependencies: the very code of src/learn that answers here, its modules put into one,
 * with the model beside it. Nothing is written a second time, so nothing can differ but what the golden rows would show.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { ModelFile } from '#analyze';
import { fail, MillraceError } from '#core';
import { compareGolden } from './golden.ts';

/** An ES module with `predict(row)` → { value, probabilities }, `inputs`, `target` and `classes`. MODEL_EXPORT for a model that was brought. */
export function scriptOf(file: ModelFile): string {
  if (file.model.format === 'onnx')
    return fail('MODEL_EXPORT', { model: file.name, format: 'JS', problem: 'it was brought as an ONNX file' });
  if (file.model.format === 'clusters')
    return fail('MODEL_EXPORT', { model: file.name, format: 'JS', problem: 'it has clusters, which are exported as JSON' });
  const { report: _, ...model } = file.model;
  const features = file.features ?? [];
  return `// ${file.name}: predicts "${file.target.name}". Exported by Millrace; needs nothing else.
// import { predict } from './this-file.js'; predict({ ${file.inputs
    .slice(0, 2)
    .map(({ name }) => `${JSON.stringify(name)}: …`)
    .join(', ')} })
${scorer()}
export const inputs = ${JSON.stringify(file.inputs)};
export const target = ${JSON.stringify(file.target.name)};
export const classes = ${JSON.stringify(file.model.classes)};
${features.length === 0 ? '' : maker()}
${features.length === 0 ? '' : `const made = maker.rowMaker(${JSON.stringify(features)}, ${JSON.stringify(file.model.encoders.map(({ column }) => column))});`}
const answer = scorer.predictor(${JSON.stringify(model)});
/** One row of named values; absent ones are missing. \`probabilities\` stand in the order of \`classes\`. */
export function predict(row) {
  const { value, probabilities } = answer(${features.length === 0 ? 'row' : 'made(row)'});
  return { value, probabilities: probabilities === null ? null : Array.from(probabilities) };
}
`;
}

let made: string | undefined;

/** `const maker = { rowMaker }`; what is imported stands in the script already. */
function maker(): string {
  const body = plainText(new URL('./features.ts', import.meta.url).href)
    .replace(/^import .*$/gm, '')
    .replace(/^export (?=function|const)/gm, '');
  return `const maker = (() => {\nconst { fail } = core;\nconst { parseNumber, parseTime } = scorer;\n${body}\nreturn { rowMaker };\n})();`;
}

/** `const scorer = { predictor, … }`, made once for each process. */
function scorer(): string {
  made ??= bundle(import.meta.resolve('#learn'), ['predictor', 'parseNumber', 'parseTime'], 'scorer');
  return made;
}

/** What an error looks like where the catalogue is not at hand. */
const CORE = `const core = (() => {
class MillraceError extends Error { constructor(code, params) { super(code + ' ' + JSON.stringify(params)); this.code = code; this.params = params; } }
return { MillraceError, fail(code, params) { throw new MillraceError(code, params); } };
})();`;

/** The modules that `names` of the front door stand on, each as a function that gives its exports, those needed first. */
function bundle(door: string, names: readonly string[], as: string): string {
  const ids = new Map<string, string>();
  const parts = [CORE];
  const visit = (url: string): string => {
    const known = ids.get(url);
    if (known !== undefined) return known;
    const id = `m${ids.size}`;
    ids.set(url, id);
    const exported: string[] = [];
    const body = plainText(url)
      .replace(/^import\s*\{([^}]*)\}\s*from\s*'([^']+)';/gm, (_all, names: string, from: string) => {
        const source = from === '#core' ? 'core' : visit(new URL(from, url).href);
        return `const {${names.replaceAll(/\bas\b/g, ':')}} = ${source};`;
      })
      .replace(/^export ((?:function\*?|const|class) *(\w+))/gm, (_all, declared: string, found: string) => {
        exported.push(found);
        return declared;
      });
    parts.push(`const ${id} = (() => {\n${body}\nreturn { ${exported.join(', ')} };\n})();`);
    return id;
  };
  const lines = readFileSync(fileURLToPath(door), 'utf8');
  const items = names.map((name) => {
    const line = new RegExp(`^export \\{[^}]*\\b${name}\\b[^}]*\\} from '([^']+)';`, 'm').exec(lines);
    return `${name}: ${visit(new URL(line![1]!, door).href)}.${name}`;
  });
  return [...parts, `const ${as} = { ${items.join(', ')} };`].join('\n');
}

function plainText(url: string): string {
  const text = readFileSync(fileURLToPath(url), 'utf8');
  return url.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
}

const REPLAY = `
import { readFileSync } from 'node:fs';
const { predict } = await import(process.argv[1]);
const rows = JSON.parse(readFileSync(process.argv[2], 'utf8'));
process.stdout.write(JSON.stringify(rows.map((row) => { const { value, probabilities } = predict(row); return probabilities ?? [value]; })));
`;

/** Runs the exported script on the golden rows in a Node of its own. MODEL_GOLDEN. */
export async function replayScript(file: ModelFile, script: string = scriptOf(file)): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-script-'));
  try {
    const [path, rows] = [join(folder, 'model.mjs'), join(folder, 'rows.json')];
    writeFileSync(path, script);
    writeFileSync(rows, JSON.stringify(file.golden.rows));
    const words = ['--input-type=module', '-e', REPLAY, pathToFileURL(path).href, rows];
    const { stdout } = await promisify(execFile)(process.execPath, words, { env: {}, maxBuffer: 1 << 28, timeout: 60_000 }).catch(
      (cause: unknown) => {
        const got = String((cause as { stderr?: string }).stderr ?? cause)
          .trim()
          .split('\n')
          .at(-1)!
          .slice(0, 200);
        throw new MillraceError(
          'MODEL_GOLDEN',
          { model: file.name, target: 'as exported JavaScript', row: 1, got, expected: 'an answer' },
          cause,
        );
      },
    );
    compareGolden(file, 'as exported JavaScript', JSON.parse(stdout) as number[][]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
