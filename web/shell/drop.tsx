import { Suspense, useEffect, useState } from 'react';
import { later } from '../later.ts';
import { useWords } from '../words/index.tsx';

/** Fetched when there is a file: its preview needs the table of results, which Home does not. */
const LoadFile = later(() => import('./load.tsx'));

/** Asks the shell to load a file that was chosen elsewhere. */
export const loading = new EventTarget();
export const loadable = '.csv,.tsv,.txt,.ndjson,.jsonl,.json,.parquet,.xlsx,.zip,.gz';
export const loadFile = (file: File) => loading.dispatchEvent(new CustomEvent('file', { detail: file }));

/** Asks for a file, and loads it. */
export function chooseFile(): void {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = loadable;
  input.onchange = () => input.files?.[0] && loadFile(input.files[0]);
  input.click();
}

/** Files dropped anywhere become tables, one after the other; who closes the dialog of one wants none of the rest. */
export function DropToLoad() {
  const { t } = useWords();
  const [over, setOver] = useState(false);
  const [files, setFiles] = useState<readonly File[]>([]);
  const [done, setDone] = useState(0);
  useEffect(() => {
    let depth = 0;
    const add = (more: readonly File[]) => setFiles((now) => [...now, ...more]);
    const carries = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true;
    const enter = (event: DragEvent) => {
      if (!carries(event)) return;
      depth++;
      setOver(true);
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent) => carries(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      add([...(event.dataTransfer?.files ?? [])]);
    };
    const chosen = (event: Event) => add([(event as CustomEvent<File>).detail]);
    const heard = new AbortController();
    const { signal } = heard;
    window.addEventListener('dragenter', enter, { signal });
    window.addEventListener('dragleave', leave, { signal });
    window.addEventListener('dragover', hover, { signal });
    window.addEventListener('drop', drop, { signal });
    loading.addEventListener('file', chosen, { signal });
    return () => heard.abort();
  }, []);
  return (
    <>
      {over && (
        <div className="drop" aria-hidden="true">
          <div>
            <strong>{t('drop_title')}</strong>
            <span>{t('drop_text')}</span>
          </div>
        </div>
      )}
      {files[0] !== undefined && (
        <Suspense>
          <LoadFile
            key={done}
            file={files[0]}
            waiting={files.length - 1}
            onClose={() => setFiles([])}
            onLoaded={() => {
              setFiles((now) => now.slice(1));
              setDone((now) => now + 1);
            }}
          />
        </Suspense>
      )}
    </>
  );
}
