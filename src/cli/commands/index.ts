import type { Command } from '../command.ts';
import { answer } from './answer.ts';
import { catalog } from './catalog.ts';
import { demo } from './demo.ts';
import { doctor } from './doctor.ts';
import { init } from './init.ts';
import { load } from './load.ts';
import { model } from './model.ts';
import { quarantine } from './quarantine.ts';
import { send } from './send.ts';
import { sql } from './sql.ts';
import { status } from './status.ts';
import { stop } from './stop.ts';
import { token } from './token.ts';
import { topic } from './topic.ts';
import { transfer } from './transfer.ts';
import { up } from './up.ts';
import { view } from './view.ts';

/** In the order in which help lists them: that of a newcomer's first day. */
export const commands: readonly Command[] = [
  demo,
  init,
  up,
  stop,
  status,
  doctor,
  topic,
  send,
  load,
  transfer,
  sql,
  view,
  answer,
  model,
  catalog,
  quarantine,
  token,
];
