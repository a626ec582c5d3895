import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fail } from '#core';
import { parseBytes, tidyAfterStart } from '#run';
import { workspaceOption } from '../client.ts';
import type { Command, Input } from '../command.ts';
import { removeRunning, writeRunning } from '../running.ts';

export const up: Command = {
  name: 'up',
  summary: 'Starts Millrace on a workspace and stays in the foreground.',
  options: [
    workspaceOption,
    {
      name: 'host',
      type: 'text',
      summary: 'The address to listen on. Other than this machine’s own needs TLS, or --insecure-http.',
      default: '127.0.0.1',
    },
    { name: 'port', type: 'integer', summary: 'The port to listen on; 0 takes a free one.', default: 7070 },
    { name: 'memory', type: 'text', summary: 'What all of its processes together may take, like 1GB. Default: the workspace’s.' },
    { name: 'tls-cert', type: 'text', summary: 'A PEM file with the certificate and its chain.' },
    { name: 'tls-key', type: 'text', summary: 'A PEM file with the certificate’s key.' },
    {
      name: 'insecure-http',
      type: 'boolean',
      summary: 'Listens on --host without TLS: only behind something that does TLS.',
      default: false,
    },
  ],
  usage:
    '  Ctrl-C, SIGTERM or "millrace stop" ends it within 5 s: what is in flight is acknowledged and delivered first, what is left by the next start.',
  async run(input, io) {
    const workspace = resolve(String(input.options['workspace']));
    const asked = settings(input);
    const ending = endAsked();
    // Loaded only here: the other commands start in a fraction of the time without the server.
    const { startMillrace } = await import('#server');
    const millrace = await startMillrace({ workspace, ...asked });
    tidyAfterStart();
    writeRunning(workspace, { pid: process.pid, ...millrace.local, token: millrace.adminToken });
    try {
      io.stdout.write(`Millrace is ready at ${millrace.address}\n`);
      if (millrace.setupToken !== null)
        io.stdout.write(`The first administrator signs in with the one-time token ${millrace.setupToken}\n`);
      await ending;
    } finally {
      removeRunning(workspace);
      await millrace.stop();
    }
    io.stdout.write('Millrace has stopped.\n');
    return 0;
  },
};

function settings({ options }: Input) {
  const memory = options['memory'] as string | undefined;
  const port = Number(options['port']);
  if (port < 0 || port > 65_535) fail('OPTION_VALUE', { option: '--port', value: port, problem: 'ports go from 0 to 65535' });
  return {
    host: String(options['host']),
    port,
    insecureHttp: options['insecure-http'] === true,
    ...(memory !== undefined && { memory: parseBytes(memory) }),
    ...tls(options['tls-cert'] as string | undefined, options['tls-key'] as string | undefined),
  };
}

function tls(cert: string | undefined, key: string | undefined): { tls?: { cert: Buffer; key: Buffer } } {
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined) fail('OPTION_VALUE', { option: '--tls-cert', value: 'absent', problem: '--tls-key needs it' });
  if (key === undefined) fail('OPTION_VALUE', { option: '--tls-key', value: 'absent', problem: '--tls-cert needs it' });
  return { tls: { cert: readPem('--tls-cert', cert), key: readPem('--tls-key', key) } };
}

function readPem(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail('OPTION_VALUE', { option, value: path, problem: (error as Error).message }, error);
  }
}

/** Resolves when the first signal asks for the end; further ones change nothing, since each step of the stop has its own deadline. */
function endAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
}
