import { resolve } from 'node:path';
import { initWorkspace } from '#workspace';
import type { Command } from '../command.ts';

export const init: Command = {
  name: 'init',
  summary: 'Makes a workspace: a folder with definition files and, later, your data.',
  positionals: [{ name: 'DIR', summary: 'The folder; made if it is absent. Default: the current one.' }],
  options: [
    { name: 'name', type: 'text', summary: 'The workspace’s name. Default: the folder’s.' },
    { name: 'time-zone', type: 'text', summary: 'The time zone of your business days (IANA, like Asia/Seoul). Default: this machine’s.' },
    { name: 'currency', type: 'text', summary: 'The currency of amounts that name none (ISO 4217).', default: 'USD' },
  ],
  async run({ options, positionals }, io) {
    const path = resolve(positionals[0] ?? '.');
    const workspace = initWorkspace(path, {
      name: String(options['name'] ?? path.split(/[\\/]/).at(-1)),
      timeZone: String(options['time-zone'] ?? Intl.DateTimeFormat().resolvedOptions().timeZone),
      currency: String(options['currency']),
    });
    workspace.close();
    io.stdout.write(`The workspace ${path} is ready.\nStart it:  millrace up --workspace ${path}\n`);
    return 0;
  },
};
