import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { initWorkspace, openWorkspace, textFolder, type Workspace } from '#workspace';

const of = { name: 'Shop', timeZone: 'Asia/Seoul', currency: 'KRW' };
let folder = '';
let workspace: Workspace;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-workspace-'));
  workspace = initWorkspace(folder, of);
});
afterEach(() => {
  workspace.close();
  rmSync(folder, { recursive: true, force: true });
});

const topicPath = (name: string) => join(folder, 'topics', `${name}.yaml`);
const names = () => workspace.topics().map((topic) => topic.name);

/** Resolves when the workspace has come to see it; the test's own time limit is the failure. */
function until(seen: () => boolean): Promise<void> {
  if (seen()) return Promise.resolve();
  return new Promise((resolve) => {
    // The workspace holds no process open; this wait does.
    const hold = setInterval(() => {}, 10_000);
    const end = workspace.onChange(() => {
      if (!seen()) return;
      end();
      clearInterval(hold);
      resolve();
    });
  });
}
const limit = { timeout: 20_000 };

function allowFirstUse(): void {
  workspace.close();
  const path = join(folder, 'millrace.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('create: never', 'create: on_first_use'));
  workspace = openWorkspace(folder);
}

test('a new workspace has readable settings, a folder for topics and keeps its data out of git', () => {
  assert.deepEqual([workspace.settings.name, workspace.settings.timeZone, workspace.settings.currency], ['Shop', 'Asia/Seoul', 'KRW']);
  assert.equal(workspace.path, folder);
  assert.equal(workspace.dataPath, join(folder, '.millrace'));
  assert.equal(statSync(workspace.dataPath).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(folder).sort(), ['.gitignore', '.millrace', 'millrace.yaml', 'topics']);
  assert.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), '.millrace/\n');
  assert.deepEqual([workspace.topics(), workspace.problems()], [[], []]);
});

test('init makes missing folders, adds to a .gitignore, and touches no workspace that is there', () => {
  const other = join(folder, 'a', 'b');
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, '.gitignore'), 'node_modules');
  initWorkspace(other, of).close();
  assert.equal(readFileSync(join(other, '.gitignore'), 'utf8'), 'node_modules\n.millrace/\n');
  const before = readFileSync(join(other, 'millrace.yaml'), 'utf8');
  assert.throws(() => initWorkspace(other, { ...of, name: 'Other' }), { code: 'WORKSPACE_EXISTS' });
  assert.equal(readFileSync(join(other, 'millrace.yaml'), 'utf8'), before);
});

test('init with a zone that is none leaves nothing behind', () => {
  const other = join(folder, 'other');
  assert.throws(() => initWorkspace(other, { ...of, timeZone: 'Mars/Olympus' }), { code: 'DEFINITION_INVALID' });
  assert.equal(existsSync(other), false);
});

test('a folder without millrace.yaml, or none at all, is no workspace', () => {
  for (const path of [join(folder, 'topics'), join(folder, 'nowhere'), join(folder, 'millrace.yaml')]) {
    assert.throws(() => openWorkspace(path), { code: 'WORKSPACE_MISSING' }, path);
  }
});

test('a saved topic is on disk as it was written, in force at once and after a restart', () => {
  const text = '# ours\ntitle: Orders\nfields: { id: text }\nid: id\n';
  const topic = workspace.saveTopic('orders', text);
  assert.equal(readFileSync(topicPath('orders'), 'utf8'), text);
  assert.deepEqual(workspace.topic('orders'), topic);
  workspace.saveTopic('clicks', 'title: Clicks');
  assert.deepEqual(names(), ['clicks', 'orders']);
  workspace.close();
  workspace = openWorkspace(folder);
  assert.deepEqual(names(), ['clicks', 'orders']);
  assert.deepEqual(workspace.topic('orders'), topic);
  assert.deepEqual(readdirSync(join(folder, 'topics')).sort(), ['clicks.yaml', 'orders.yaml']);
});

test('a topic that can not be saved changes neither the file nor what is in force', () => {
  const topic = workspace.saveTopic('orders', 'title: Orders');
  assert.throws(() => workspace.saveTopic('orders', 'title: ['), { code: 'DEFINITION_YAML' });
  assert.throws(() => workspace.saveTopic('orders', 'titel: x'), { code: 'DEFINITION_INVALID' });
  for (const name of ['../evil', 'a/b', '', 'Orders', '.orders', 'orders\0']) {
    assert.throws(() => workspace.saveTopic(name, 'title: x'), { code: 'TOPIC_NAME' }, name);
  }
  assert.deepEqual(workspace.topic('orders'), topic);
  assert.equal(readFileSync(topicPath('orders'), 'utf8'), 'title: Orders');
  assert.deepEqual(readdirSync(folder).sort(), ['.gitignore', '.millrace', 'millrace.yaml', 'topics']);
});

test('a disk that takes no file gives a coded error and leaves the former definition in force', () => {
  workspace.saveTopic('orders', 'title: Orders');
  renameSync(join(folder, 'topics'), join(folder, 'away'));
  writeFileSync(join(folder, 'topics'), 'a file where the folder was');
  assert.throws(() => workspace.saveTopic('orders', 'title: New'), { code: 'DEFINITION_WRITE' });
  assert.equal(workspace.topic('orders')?.title, 'Orders');
});

test('an unknown topic is refused unless topics are made on first use', () => {
  assert.throws(() => workspace.createTopicOnFirstUse('orders'), { code: 'TOPIC_UNKNOWN' });
  allowFirstUse();
  const topic = workspace.createTopicOnFirstUse('orders');
  assert.deepEqual([topic.name, topic.drift, topic.fields, topic.id, topic.time], ['orders', 'evolve', [], null, null]);
  assert.deepEqual(workspace.createTopicOnFirstUse('orders'), topic);
  assert.equal(existsSync(topicPath('orders')), true);
  for (const name of ['../x', 'Orders', '_quarantine', ''])
    assert.throws(() => workspace.createTopicOnFirstUse(name), { code: 'TOPIC_NAME' }, name);
});

test('a first use does not overwrite a broken definition', () => {
  writeFileSync(topicPath('orders'), 'titel: mine');
  allowFirstUse();
  assert.throws(() => workspace.createTopicOnFirstUse('orders'), { code: 'DEFINITION_INVALID' });
  assert.equal(readFileSync(topicPath('orders'), 'utf8'), 'titel: mine');
});

test('a removed topic is gone, file and all', () => {
  workspace.saveTopic('orders', 'title: Orders');
  workspace.removeTopic('orders');
  assert.deepEqual([names(), existsSync(topicPath('orders'))], [[], false]);
  assert.throws(() => workspace.removeTopic('orders'), { code: 'TOPIC_UNKNOWN' });
  assert.throws(() => workspace.removeTopic('../millrace'), { code: 'TOPIC_UNKNOWN' });
  assert.equal(existsSync(join(folder, 'millrace.yaml')), true);
});

test('broken topic files are named and the others work', () => {
  workspace.close();
  writeFileSync(topicPath('good'), 'title: Good');
  writeFileSync(topicPath('broken'), 'title: [');
  writeFileSync(topicPath('Bad-Name'), 'title: x');
  writeFileSync(join(folder, 'topics', 'short.yml'), 'title: x');
  writeFileSync(topicPath('bytes'), Buffer.from([0x74, 0x3a, 0x20, 0xff]));
  writeFileSync(topicPath('large'), '');
  truncateSync(topicPath('large'), 10 * 2 ** 30);
  mkdirSync(topicPath('folder'));
  symlinkSync('/dev/zero', topicPath('device'));
  symlinkSync(topicPath('loop'), topicPath('loop'));
  execFileSync('mkfifo', [topicPath('pipe')]);
  writeFileSync(join(folder, 'topics', 'README.md'), 'not a topic');
  writeFileSync(join(folder, 'topics', '.hidden.yaml'), 'not a topic');
  workspace = openWorkspace(folder);
  assert.deepEqual(names(), ['good']);
  const problems = workspace.problems().map(({ code, params }) => `${code} ${params['file'] ?? params['topic']}`);
  assert.deepEqual(problems.sort(), [
    'DEFINITION_INVALID topics/short.yml',
    'DEFINITION_YAML topics/broken.yaml',
    'DEFINITION_YAML topics/bytes.yaml',
    'DEFINITION_YAML topics/device.yaml',
    'DEFINITION_YAML topics/folder.yaml',
    'DEFINITION_YAML topics/large.yaml',
    'DEFINITION_YAML topics/loop.yaml',
    'DEFINITION_YAML topics/pipe.yaml',
    'TOPIC_NAME Bad-Name',
  ]);
});

test('a broken millrace.yaml is refused at the start', () => {
  workspace.close();
  writeFileSync(join(folder, 'millrace.yaml'), 'name: x');
  assert.throws(() => openWorkspace(folder), { code: 'DEFINITION_INVALID' });
});

test('a file that is made, changed or deleted on disk is seen without a restart', limit, async () => {
  writeFileSync(topicPath('orders'), 'title: One');
  await until(() => workspace.topic('orders')?.title === 'One');
  writeFileSync(topicPath('orders'), 'title: Two');
  await until(() => workspace.topic('orders')?.title === 'Two');
  writeFileSync(join(folder, 'beside'), 'title: Moved');
  renameSync(join(folder, 'beside'), topicPath('orders'));
  await until(() => workspace.topic('orders')?.title === 'Moved');
  rmSync(topicPath('orders'));
  await until(() => names().length === 0);
});

test('a broken edit keeps the last good definition and is listed until it is mended', limit, async () => {
  workspace.saveTopic('orders', 'title: Good');
  writeFileSync(topicPath('orders'), 'titel: Bad');
  await until(() => workspace.problems().length === 1);
  assert.equal(workspace.topic('orders')?.title, 'Good');
  assert.equal(workspace.problems()[0]?.params['file'], 'topics/orders.yaml');
  writeFileSync(topicPath('orders'), 'title: Mended');
  await until(() => workspace.topic('orders')?.title === 'Mended');
  assert.deepEqual(workspace.problems(), []);
});

test('settings follow their file, and a broken or lost one keeps the last good', limit, async () => {
  const path = join(folder, 'millrace.yaml');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('create: never', 'create: on_first_use'));
  await until(() => workspace.settings.topicsCreate === 'on_first_use');
  writeFileSync(path, 'name: [');
  await until(() => workspace.problems()[0]?.code === 'DEFINITION_YAML');
  rmSync(path);
  await until(() => workspace.problems()[0]?.code === 'WORKSPACE_MISSING');
  assert.equal(workspace.settings.topicsCreate, 'on_first_use');
  writeFileSync(path, text);
  await until(() => workspace.settings.topicsCreate === 'never');
  assert.deepEqual(workspace.problems(), []);
});

test('a folder of topics that is replaced as a whole is seen', limit, async () => {
  workspace.saveTopic('old', 'title: Old');
  mkdirSync(join(folder, 'next'));
  writeFileSync(join(folder, 'next', 'new.yaml'), 'title: New');
  renameSync(join(folder, 'topics'), join(folder, 'gone'));
  renameSync(join(folder, 'next'), join(folder, 'topics'));
  await until(() => names().join() === 'new');
});

test('an edit that follows a save at once is not lost', limit, async () => {
  for (let i = 0; i < 5; i++) {
    workspace.saveTopic('orders', `title: Saved ${i}`);
    writeFileSync(topicPath('orders'), `title: Edited ${i}`);
    await until(() => workspace.topic('orders')?.title === `Edited ${i}`);
  }
});

test('a save tells its listeners once, and one that left hears nothing', limit, async () => {
  let told = 0;
  const end = workspace.onChange(() => told++);
  const saved = workspace.saveTopic('orders', 'title: Orders');
  assert.equal(told, 1);
  writeFileSync(topicPath('clicks'), 'title: Clicks');
  await until(() => workspace.topic('clicks')?.title === 'Clicks');
  assert.equal(told, 2);
  assert.equal(workspace.topic('orders'), saved, 'the watch does not take the save for an edit and read it again');
  end();
  workspace.removeTopic('orders');
  assert.equal(told, 2);
});

test('an open workspace keeps no process running', { timeout: 30_000 }, () => {
  const script = `import { openWorkspace } from '#workspace'; openWorkspace(${JSON.stringify(folder)}); console.log('open');`;
  const file = join(import.meta.dirname, '..', '..', 'package.json');
  const out = execFileSync(process.execPath, ['--conditions=source', '--input-type=module-typescript', '-e', script], {
    cwd: join(file, '..'),
    encoding: 'utf8',
  });
  assert.equal(out, 'open\n');
});

test('a saved text whose version can’t be kept is saved all the same; one whose former text can’t be kept is refused and stands', () => {
  const kept = join(folder, 'kept');
  writeFileSync(kept, 'in the way of the folder');
  const errors = { name: 'QUERY_NAME', unknown: 'QUERY_UNKNOWN', changed: 'QUERY_CHANGED', version: 'QUERY_VERSION' } as never;
  const texts = textFolder({ workspace: folder, folder: 'queries', ending: '.sql', kept, errors });
  const save = (text: string, on: string | null) => texts.save({ name: 'one', on, by: 'kim', next: () => text });
  assert.equal(save('SELECT 1', null), 'SELECT 1');
  assert.throws(() => save('SELECT 2', texts.versionOf('SELECT 1')), { code: 'DEFINITION_WRITE' });
  assert.throws(() => texts.remove('one', 'kim'), { code: 'DEFINITION_WRITE' });
  assert.equal(texts.read('one'), 'SELECT 1');
  rmSync(kept);
  assert.equal(save('SELECT 2', texts.versionOf('SELECT 1')), 'SELECT 2');
  assert.equal(texts.versions('one').length, 2);
});
