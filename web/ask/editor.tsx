import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { PostgreSQL, type SQLNamespace, sql } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { Table } from '#core';

/** A place in the text, from 0, and what is wrong there. */
export interface Mark {
  readonly from: number;
  readonly message: string;
}

export interface EditorProps {
  readonly value: string;
  readonly label: string;
  readonly hint: string;
  readonly tables: readonly Table[];
  readonly mark: Mark | null;
  onChange(value: string): void;
  onRun(): void;
}

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';

const colors = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--code-keyword)', fontWeight: '500' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
  { tag: tags.comment, color: 'var(--faint)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.standard(tags.name)], color: 'var(--code-type)' },
]);

const theme = EditorView.theme({
  '&': { fontSize: '14px', backgroundColor: 'var(--ground)', color: 'var(--text)', height: '100%' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '22px' },
  '.cm-content': { padding: '12px 0', caretColor: 'var(--accent)' },
  '.cm-gutters': { backgroundColor: 'var(--ground)', color: 'var(--faint)', border: 'none', paddingLeft: '4px' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--select) !important' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line)',
    borderRadius: '6px',
    color: 'var(--text)',
    overflow: 'hidden',
  },
  '.cm-tooltip-autocomplete > ul > li': { padding: '4px 8px', lineHeight: '20px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-diagnostic': { padding: '8px 12px', maxWidth: '480px' },
  '.cm-placeholder': { color: 'var(--faint)' },
});

/** The SQL editor: names complete from the catalog, ⌘/Ctrl-Enter runs, an error stands under its word. Escape then Tab leaves it. */
export function Editor(props: EditorProps) {
  const parent = useRef<HTMLDivElement | null>(null);
  const view = useRef<EditorView | null>(null);
  const language = useRef(new Compartment());
  const now = useRef(props);
  now.current = props;
  const { value, tables, mark, label, hint } = props;
  const runNow = () => {
    now.current.onRun();
    return true;
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is made once; what changes is handed to it below
  useEffect(() => {
    view.current = new EditorView({
      parent: parent.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          EditorView.cspNonce.of(nonce),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: runNow }])),
          lineNumbers(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          highlightActiveLine(),
          syntaxHighlighting(colors),
          theme,
          placeholder(hint),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
          language.current.of(dialect(tables)),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) now.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.current?.destroy();
  }, []);
  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(dialect(tables)) });
  }, [tables]);
  useEffect(() => {
    const editor = view.current;
    if (editor !== null && editor.state.doc.toString() !== value)
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const marks = mark === null ? [] : [{ ...wordAt(editor, mark.from), severity: 'error' as const, message: mark.message }];
    editor.dispatch(setDiagnostics(editor.state, marks));
  }, [mark]);
  return <div className="editor" ref={parent} />;
}

function wordAt(editor: EditorView, position: number): { from: number; to: number } {
  const at = Math.max(0, Math.min(position, editor.state.doc.length));
  const word = editor.state.wordAt(at);
  return word === null ? { from: at, to: Math.min(at + 1, editor.state.doc.length) } : { from: word.from, to: word.to };
}

function dialect(tables: readonly Table[]) {
  const schema: Record<string, Record<string, string[]>> = {};
  for (const table of tables) {
    if (table.origin === 'system') continue;
    (schema[table.schema] ??= {})[table.name] = table.columns.map(({ name }) => name);
  }
  return sql({ dialect: PostgreSQL, schema: schema as SQLNamespace, defaultSchema: 'main', upperCaseKeywords: true });
}
