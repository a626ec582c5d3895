/** A folder that is watched: each new file adds its rows. */

import { watchedSources } from '#core';
import { changedOption, openFolder } from '../files/folder.ts';
import type { FileKind } from '../files/kind.ts';
import { fileOptions } from '../files/open.ts';
import type { Source } from '../source.ts';

export const folder: Source = {
  name: 'folder',
  title: 'Folders of files',
  summary: 'Each new file of a folder adds its rows, once; files that are still being written are left alone. Its one table is "files".',
  options: [
    { name: 'path', type: 'text', summary: 'The folder, relative to the workspace.', required: true },
    { name: 'pattern', type: 'text', summary: 'Which files: * and ** as in a shell.', default: watchedSources.folder.pattern },
    {
      name: 'settle',
      type: 'integer',
      summary: 'Seconds for which a file must have stayed as it is.',
      default: watchedSources.folder.settle,
    },
    changedOption,
    ...fileOptions,
  ],
  async open(connection, place) {
    const format = String(connection['format']);
    return openFolder(
      {
        path: String(connection['path']),
        pattern: String(connection['pattern']),
        settle: Number(connection['settle']) * 1000,
        kind: format === 'auto' ? null : (format as FileKind),
        options: connection,
        replaces: connection['changed'] === 'replace',
        belongs: () => ({ table: 'files', constants: [] }),
      },
      place,
    );
  },
  guess(address) {
    return /\/$/.test(address) && !/^\w+:\/\//.test(address) ? { connection: { path: address, changed: 'replace' }, secrets: {} } : null;
  },
};
