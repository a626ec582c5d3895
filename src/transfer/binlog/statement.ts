/**
 * What a statement in the log does to whole tables, whose rows it does not tell. Each name is qualified as the statement does, else by
 * the session's database.
 */

export interface Name {
  readonly database: string;
  /** Null: all of the database. */
  readonly table: string | null;
}

export interface Effect {
  /**
   * `writes`: rows, as a statement of its own. `shapes`: its columns. `keys`: its keys, rules or options, while its columns stay as they
   * are. `empties`: all rows are gone. `drops`: nobody has the name any more. `replaces`: the rows under the name are other ones, which the log does not tell.
   */
  readonly does: 'writes' | 'shapes' | 'keys' | 'empties' | 'drops' | 'replaces';
  readonly name: Name;
}

export interface Said {
  readonly kind: 'begins' | 'ends' | 'says';
  readonly effects: readonly Effect[];
  /** CREATE TABLE … SELECT as MariaDB writes it: its rows come behind it, in the same transaction. */
  readonly opens: boolean;
}

interface Token {
  readonly text: string;
  /** In upper case; empty where it was quoted. */
  readonly word: string;
  /** In how many parentheses it stands. */
  readonly depth: number;
}

/** Comments go, but not what is in those that a server executes (MySQL manual, 11.7). Strings are of no interest. */
const TOKEN =
  /\/\*M?!\d*|\*\/|\/\*[\s\S]*?\*\/|--(?=\s)[^\n]*|#[^\n]*|'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`((?:[^`]|``)*)`|([\w$@\u0080-\uffff]+)|[^\s]/g;

function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let depth = 0;
  for (const [all, quoted, word] of sql.matchAll(TOKEN)) {
    if (/^(\/\*|\*\/|--|#)/.test(all)) continue;
    if (all === ')') depth--;
    if (quoted !== undefined) tokens.push({ text: quoted.replaceAll('``', '`'), word: '', depth });
    // A name in a session with ANSI_QUOTES, else a string, of which none stands where a name does.
    else if (all[0] === '"') tokens.push({ text: all.slice(1, -1).replaceAll('""', '"'), word: '', depth });
    else tokens.push({ text: all, word: (word ?? all).toUpperCase(), depth });
    if (all === '(') depth++;
  }
  return tokens;
}

/** Beginnings of what ALTER TABLE does to no column's place, name or type. */
const COLUMNS_STAY =
  /^((ADD|DROP) (INDEX|KEY|UNIQUE|PRIMARY|FULLTEXT|SPATIAL|FOREIGN|CONSTRAINT|CHECK)|ADD PARTITION|RENAME (INDEX|KEY)|(ALTER|ENGINE|COMMENT|AUTO_INCREMENT|ROW_FORMAT|FORCE|ALGORITHM|LOCK|ENABLE|DISABLE) .*)$/;

/** No statement on whole tables is longer; one on rows may be. */
const LONGEST = 1_000_000;

export function saidBy(sql: string, database: string): Said {
  const reader = new Statement(tokensOf(sql.slice(0, LONGEST)), database);
  return { kind: reader.kind(), effects: reader.effects(), opens: /\bSTART TRANSACTION\s*$/i.test(sql) };
}

class Statement {
  readonly #tokens: readonly Token[];
  readonly #database: string;
  #at = 0;

  constructor(tokens: readonly Token[], database: string) {
    this.#tokens = tokens;
    this.#database = database;
  }

  kind(): Said['kind'] {
    const [first, second] = [this.#word(0), this.#word(1)];
    const pair = `${first} ${second}`;
    if (first === 'BEGIN' || first === 'SAVEPOINT' || /^(START TRANSACTION|ROLLBACK TO|XA START|XA END)$/.test(pair)) return 'begins';
    return first === 'COMMIT' || first === 'ROLLBACK' || /^XA (COMMIT|ROLLBACK)$/.test(pair) ? 'ends' : 'says';
  }

  effects(): Effect[] {
    const verb = this.#word(0);
    this.#at = 1;
    switch (verb) {
      case 'TRUNCATE':
        this.#skip('TABLE');
        return this.#each('empties');
      case 'CREATE':
        return this.#create();
      case 'DROP':
        return this.#drop();
      case 'RENAME':
        return this.#skip('TABLE', 'TABLES') ? this.#rename() : [];
      case 'ALTER':
        return this.#alter();
      case 'INSERT':
      case 'REPLACE':
        while (this.#skip('LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY', 'IGNORE', 'INTO')) {}
        return this.#each('writes');
      case 'LOAD':
        return this.#behindTable('writes');
      case 'UPDATE':
      case 'DELETE':
        return this.#mentioned();
      default:
        return [];
    }
  }

  #create(): Effect[] {
    const anew = this.#skip('OR') && this.#skip('REPLACE');
    if (this.#skip('DATABASE', 'SCHEMA')) return anew ? this.#whole() : [];
    if (!this.#skip('TABLE')) return [];
    const perhaps = this.#skip('IF');
    this.#skip('NOT');
    this.#skip('EXISTS');
    const name = this.#name();
    if (name === null) return [];
    // If it is made now, there was none: what is told of the one before is how it went.
    if (perhaps) return [{ does: 'keys', name }];
    // A table that is made is another one, by the same name: what the former one had is gone.
    return [
      { does: 'empties', name },
      { does: 'shapes', name },
    ];
  }

  #drop(): Effect[] {
    if (this.#skip('DATABASE', 'SCHEMA')) return this.#whole();
    return this.#skip('TABLE', 'TABLES') ? this.#each('drops') : [];
  }

  /** All tables of a database are gone. */
  #whole(): Effect[] {
    this.#skip('IF');
    this.#skip('EXISTS');
    const token = this.#tokens[this.#at];
    return token === undefined ? [] : [{ does: 'drops', name: { database: token.text, table: null } }];
  }

  /** `a TO b, b TO c`: from left to right; what has a name at the end counts. */
  #rename(): Effect[] {
    const last = new Map<string, Effect>();
    const put = (effect: Effect) => last.set(JSON.stringify(effect.name), effect);
    this.#skip('IF');
    this.#skip('EXISTS');
    while (this.#at < this.#tokens.length) {
      const from = this.#name();
      while (this.#at < this.#tokens.length && !this.#skip('TO')) this.#at++;
      const to = this.#name();
      if (from === null || to === null) break;
      put({ does: 'drops', name: from });
      put({ does: 'replaces', name: to });
      if (!this.#skip(',')) break;
    }
    return [...last.values()];
  }

  #alter(): Effect[] {
    this.#skip('ONLINE');
    // It leaves out rows that a new unique index would refuse.
    const ignoring = this.#skip('IGNORE');
    if (!this.#skip('TABLE')) return [];
    this.#skip('IF');
    this.#skip('EXISTS');
    const name = this.#name();
    if (name === null) return [];
    const effects: Effect[] = [];
    let stays = true;
    for (let before = ','; this.#at < this.#tokens.length; before = this.#word(this.#at++)) {
      const { depth } = this.#tokens[this.#at]!;
      if (depth > 0) continue;
      const [word, next] = [this.#word(this.#at), this.#word(this.#at + 1)];
      if (before === ',' && !COLUMNS_STAY.test(`${word} ${next}`)) stays = false;
      if (word === 'RENAME' && !/^(COLUMN|INDEX|KEY)$/.test(next)) {
        this.#at++;
        this.#skip('TO', 'AS', '=');
        effects.push({ does: 'drops', name }, ...this.#each('replaces').slice(0, 1));
      } else if (
        (/^(TRUNCATE|DROP|EXCHANGE|CONVERT)$/.test(word) && next === 'PARTITION') ||
        /^(CONVERT TABLE|IMPORT TABLESPACE)$/.test(`${word} ${next}`)
      )
        // EXCHANGE … WITH TABLE, CONVERT … TO TABLE: the other one has other rows too.
        effects.push({ does: 'replaces', name }, ...this.#behindTable('replaces'));
    }
    if (ignoring) effects.push({ does: 'replaces', name });
    return effects.length > 0 ? effects : [{ does: stays ? 'keys' : 'shapes', name }];
  }

  /** The name behind the next word TABLE. */
  #behindTable(does: Effect['does']): Effect[] {
    const at = this.#tokens.findIndex(({ word }, k) => k > this.#at && word === 'TABLE');
    if (at < 0) return [];
    this.#at = at + 1;
    return this.#each(does).slice(0, 1);
  }

  /** Names, divided by commas. */
  #each(does: Effect['does']): Effect[] {
    const effects: Effect[] = [];
    this.#skip('IF');
    this.#skip('EXISTS');
    do {
      const name = this.#name();
      if (name !== null) effects.push({ does, name });
    } while (this.#skip(','));
    return effects;
  }

  /** All tables that it may write to, and some that it only reads. */
  #mentioned(): Effect[] {
    const effects: Effect[] = [];
    while (this.#at < this.#tokens.length && !/^(SET|WHERE)$/.test(this.#word(this.#at))) {
      const name = this.#name();
      if (name === null) this.#at++;
      else effects.push({ does: 'writes', name });
    }
    return effects;
  }

  #name(): Name | null {
    const first = this.#tokens[this.#at];
    if (first === undefined || !isName(first)) return null;
    this.#at++;
    const second = this.#tokens[this.#at + 1];
    if (this.#word(this.#at) !== '.' || second === undefined) return { database: this.#database, table: first.text };
    this.#at += 2;
    return { database: first.text, table: second.text };
  }

  #word(at: number): string {
    return this.#tokens[at]?.word ?? '';
  }

  #skip(...words: readonly string[]): boolean {
    if (!words.includes(this.#word(this.#at)) || this.#at >= this.#tokens.length) return false;
    this.#at++;
    return true;
  }
}

/** Quoted, or a word. */
function isName({ text, word }: Token): boolean {
  return word === '' || /^[\w$\u0080-\uffff]/.test(text);
}
