import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type ErrorBody, fail, MillraceError, type Topic } from '#core';
import { codeOf } from '#files';
import { listFolder, readFile, removeDefinition, type State, stateOf, writeDefinition } from './file.ts';
import { checkedTemplate, parseSettings, type Settings } from './settings.ts';
import { isTopicName, parseTopic } from './topic.ts';
import { Watch } from './watch.ts';

const settingsFile = 'millrace.yaml';
const topicsFolder = 'topics';

/** A user's folder of definition files as checked data, kept up to date with the files while it is open. */
export interface Workspace {
  readonly path: string;
  /** `<path>/.millrace`, for nobody but this user: log, warehouse, tokens. */
  readonly dataPath: string;
  /** Those of the last good millrace.yaml. */
  readonly settings: Settings;
  /** By name; each as its last good file says. */
  topics(): readonly Topic[];
  /** Costs a look into a map. */
  topic(name: string): Topic | undefined;
  /** What is wrong with which file; all others work. */
  problems(): readonly ErrorBody[];
  /** Checks the text and puts it in place as topics/<name>.yaml, durable when it returns. TOPIC_NAME, DEFINITION_*. */
  saveTopic(name: string, yamlText: string): Topic;
  /** The topic, made with an empty definition if there is none. TOPIC_NAME; TOPIC_UNKNOWN unless topics.create is on_first_use; DEFINITION_*. */
  createTopicOnFirstUse(name: string): Topic;
  /** Deletes the definition, not the records. TOPIC_UNKNOWN, DEFINITION_WRITE. */
  removeTopic(name: string): void;
  /** Called after topics, settings or problems changed. Returns what ends it. */
  onChange(listener: () => void): () => void;
  close(): void;
}

/**
 * Makes the folder, millrace.yaml, topics/ and .gitignore, and opens it.
 * WORKSPACE_EXISTS; DEFINITION_INVALID for a name, zone or currency that can't be; DEFINITION_WRITE.
 */
export function initWorkspace(path: string, of: { name: string; timeZone: string; currency: string }): Workspace {
  const root = resolve(path);
  const text = checkedTemplate(of, settingsFile);
  if (existsSync(join(root, settingsFile))) fail('WORKSPACE_EXISTS', { path: root });
  makeFolder(join(root, topicsFolder));
  ignoreData(root);
  writeDefinition(join(root, settingsFile), text, settingsFile);
  return openWorkspace(root);
}

/** Broken topic files are listed as problems; a broken millrace.yaml is refused. WORKSPACE_MISSING, DEFINITION_*. */
export function openWorkspace(path: string): Workspace {
  return new FolderWorkspace(resolve(path));
}

/** Of a workspace that is not opened; null where there is none. DEFINITION_*. */
export function settingsOf(path: string): Settings | null {
  const found = readFile(join(resolve(path), settingsFile), settingsFile);
  return found === null ? null : parseSettings(found.text, settingsFile);
}

class FolderWorkspace implements Workspace {
  readonly path: string;
  readonly dataPath: string;
  #settings: Settings;
  readonly #topics = new Map<string, Topic>();
  readonly #problems = new Map<string, MillraceError>();
  readonly #listeners = new Set<() => void>();
  readonly #watch: Watch;

  constructor(path: string) {
    this.path = path;
    this.dataPath = join(path, '.millrace');
    const settings = readFile(join(path, settingsFile), settingsFile) ?? fail('WORKSPACE_MISSING', { path });
    this.#settings = parseSettings(settings.text, settingsFile);
    makeFolder(this.dataPath, 0o700);
    this.#watch = new Watch(
      [path, join(path, topicsFolder)],
      () => this.#files(),
      (paths) => this.#reload(paths),
    );
    this.#watch.took(join(path, settingsFile), settings.state);
    for (const file of this.#topicFiles()) this.#watch.took(file, this.#readTopic(file));
  }

  get settings(): Settings {
    return this.#settings;
  }

  topics(): readonly Topic[] {
    return [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  problems(): readonly ErrorBody[] {
    return [...this.#problems.values()].map((problem) => problem.body);
  }

  saveTopic(name: string, yamlText: string): Topic {
    const file = topicFile(name);
    const topic = parseTopic(name, yamlText, file);
    const path = join(this.path, file);
    this.#watch.took(path, writeDefinition(path, yamlText, file));
    this.#topics.set(name, topic);
    this.#problems.delete(file);
    this.#tell();
    return topic;
  }

  createTopicOnFirstUse(name: string): Topic {
    const existing = this.#topics.get(name);
    if (existing) return existing;
    if (!isTopicName(name)) fail('TOPIC_NAME', { topic: name.slice(0, 100) });
    if (this.#settings.topicsCreate !== 'on_first_use') fail('TOPIC_UNKNOWN', { topic: name });
    const broken = this.#problems.get(topicFile(name));
    if (broken) throw broken;
    return this.saveTopic(
      name,
      `# Made on first use. Name the fields that you rely on: docs/definitions.md.\ntitle: ${name}\ndrift: evolve\n`,
    );
  }

  removeTopic(name: string): void {
    const file = topicFile(name);
    if (!this.#topics.has(name) && !this.#problems.has(file)) fail('TOPIC_UNKNOWN', { topic: name.slice(0, 100) });
    const path = join(this.path, file);
    removeDefinition(path, file);
    this.#watch.took(path, '');
    this.#topics.delete(name);
    this.#problems.delete(file);
    this.#tell();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watch.close();
    this.#listeners.clear();
  }

  #files(): string[] {
    return [join(this.path, settingsFile), ...this.#topicFiles()];
  }

  /** Hidden files are ours in the making, or an editor's. */
  #topicFiles(): string[] {
    const folder = join(this.path, topicsFolder);
    const names = listFolder(folder).filter((name) => /^[^.].*\.ya?ml$/.test(name));
    return names.map((name) => join(folder, name));
  }

  #reload(paths: readonly string[]): void {
    for (const path of paths) {
      const state = path === join(this.path, settingsFile) ? this.#readSettings(path) : this.#readTopic(path);
      this.#watch.took(path, state);
    }
    this.#tell();
  }

  #readSettings(path: string): State {
    return this.#attempt(path, settingsFile, () => {
      const definition = readFile(path, settingsFile) ?? fail('WORKSPACE_MISSING', { path: this.path });
      this.#settings = parseSettings(definition.text, settingsFile);
      return definition.state;
    });
  }

  #readTopic(path: string): State {
    const file = `${topicsFolder}/${basename(path)}`;
    return this.#attempt(path, file, () => {
      if (!file.endsWith('.yaml')) fail('DEFINITION_INVALID', { file, problem: 'the name must end in .yaml' });
      const name = basename(path, '.yaml');
      const definition = readFile(path, file);
      if (definition) this.#topics.set(name, parseTopic(name, definition.text, file));
      else this.#topics.delete(name);
      return definition?.state ?? '';
    });
  }

  /** A file that can't be taken is listed, and what it said before stays in force. The state is the one before it was read. */
  #attempt(path: string, file: string, read: () => State): State {
    const state = stateOf(path);
    this.#problems.delete(file);
    try {
      return read();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (state !== '' || file === settingsFile) this.#problems.set(file, error);
      return state;
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function topicFile(name: string): string {
  return `${topicsFolder}/${name}.yaml`;
}

function makeFolder(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    fail('DEFINITION_WRITE', { file: path, problem: codeOf(error) }, error);
  }
}

/** Keeps the data out of git and leaves a .gitignore that is there as it is. */
function ignoreData(root: string): void {
  const path = join(root, '.gitignore');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (text.split(/\r?\n/).includes('.millrace/')) return;
  writeDefinition(path, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}.millrace/\n`, '.gitignore');
}
