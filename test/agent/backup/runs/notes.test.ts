import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { RunNotes } from '../../../../agent/backup/runs/notes.ts';
import { livesOn, thisProcess } from '../../../../agent/backup/writer.ts';
import { guidOf, newUuid7, type SetId } from '../../../../catalog/words.ts';

const SET = newUuid7(1) as SetId;
const MEMBERS = [{ snapshot: 'tank/a@one', guid: guidOf(7n), set: SET }];
const never = (thrown: unknown) => assert.fail(String(thrown));
/** No process has this number: it is more than any system gives. */
const NOBODY = 2 ** 30;

describe('the note of a run', () => {
  let state: string;
  let notes: RunNotes;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'zkeep-runs-'));
    notes = new RunNotes(state);
  });
  afterEach(() => rmSync(state, { recursive: true, force: true }));

  const files = () => readdirSync(join(state, 'runs'));
  const fileOf = (name: string) => join(state, 'runs', name);
  /** As if another process had written it. */
  function by(writer: object | null, more: object = {}): void {
    const [name = ''] = files();
    const note = JSON.parse(readFileSync(fileOf(name), 'utf8'));
    writeFileSync(fileOf(`${crypto.randomUUID()}.json`), JSON.stringify({ ...note, by: writer, ...more }));
    rmSync(fileOf(name));
  }
  const lives = async () => (await notes.read()).map((run) => run.lives);

  it('says before anything is taken what will be, and then what was', async () => {
    const note = await notes.begin('here', ['tank/a@one'], never);
    assert.deepEqual((await notes.read())[0]?.members, [{ snapshot: 'tank/a@one', guid: null, set: null }]);
    await note.taken(MEMBERS);
    const [run] = await new RunNotes(state).read();
    assert.deepEqual([run?.lives, run?.members], [true, MEMBERS]);
    await note.end([]);
    assert.deepEqual(files(), []);
  });

  it('stays when it is over as far as something is left, and nobody is at that', async () => {
    const note = await notes.begin('here', ['tank/a@one'], never);
    await note.end(MEMBERS);
    const [run] = await notes.read();
    assert.ok(run);
    assert.deepEqual([run.lives, run.members], [false, MEMBERS]);
    await notes.leave(run, []);
    assert.deepEqual(files(), []);
  });

  it('is of a run that lives as long as its process does, and no other one with its number', async () => {
    await notes.begin('here', ['tank/a@one'], never);
    const parent = { ...thisProcess(), process: process.ppid };
    by(parent);
    assert.deepEqual(await lives(), [false], 'another one had the number of the parent');
    by({ ...thisProcess(), process: NOBODY });
    assert.deepEqual(await lives(), [false]);
    by({ ...thisProcess(), boot: 'another' });
    assert.deepEqual(await lives(), [false], 'of this process, what is not ours is of one before it');
  });

  it('of another process that lives is of a run that lives', () => {
    assert.ok(livesOn(thisProcess()));
    assert.ok(!livesOn({ ...thisProcess(), began: '1' }));
    assert.ok(!livesOn({ ...thisProcess(), boot: 'another' }));
    assert.ok(!livesOn({ ...thisProcess(), process: NOBODY }));
  });

  it('of a dead run is nothing to those who store into another repository', async () => {
    const note = await notes.begin('here', ['tank/a@one'], never);
    await note.taken(MEMBERS);
    assert.equal((await notes.read('elsewhere')).length, 1);
    await note.end(MEMBERS);
    assert.equal((await notes.read('elsewhere')).length, 0);
    assert.equal((await notes.read('here')).length, 1);
  });

  it('is forgotten when nobody came for it in months, and left alone when it cannot be read', async () => {
    const note = await notes.begin('here', ['tank/a@one'], never);
    await note.end(MEMBERS);
    by(null, { noted: 0 });
    writeFileSync(fileOf('later.json'), JSON.stringify({ run: 2 }));
    writeFileSync(fileOf('torn.json'), '{"run":');
    assert.deepEqual(await notes.read(), []);
    assert.deepEqual(files().toSorted(), ['later.json', 'torn.json']);
  });

  it('clears what a process left that was killed while it wrote', async () => {
    mkdirSync(join(state, 'runs'));
    writeFileSync(fileOf(`x.json.${NOBODY}.partial`), '{');
    writeFileSync(fileOf(`x.json.${process.pid}.partial`), '{');
    await notes.read();
    assert.deepEqual(files(), [`x.json.${process.pid}.partial`]);
  });

  it('that cannot be written is told once, and keeps no run from its work', async () => {
    writeFileSync(join(state, 'runs'), 'a file where the folder should be');
    let told = 0;
    const note = await notes.begin('here', ['tank/a@one'], () => {
      told += 1;
    });
    await note.taken(MEMBERS);
    await note.taken(MEMBERS);
    assert.equal(told, 1);
    assert.deepEqual(await notes.read(), []);
  });
});
