import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { makeProgram } from '../../../agent/commands/program.ts';
import { wantedBy } from '../../../agent/view/wanted.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

/** The commands that do something, with the words that name them. */
function leavesOf(above: Command, before: readonly string[] = []): { command: Command; words: string }[] {
  return above.commands.flatMap((command) => {
    const words = [...before, command.name()];
    return command.commands.length > 0 ? leavesOf(command, words) : [{ command, words: words.join(' ') }];
  });
}

describe('every command', () => {
  for (const { command, words } of leavesOf(makeProgram(() => undefined))) {
    it(`has help with an example: ${words}`, () => {
      const told: string[] = [];
      command.configureOutput({ writeOut: (text) => void told.push(text) }).outputHelp();
      const help = told.join('');
      assert.match(help, new RegExp(`Example:\\n {2}(zkeep|zfs send .* zkeep) ${words}`));
      for (const option of ['--service', '--token-file', '--json', '--quiet', '--help'])
        assert.ok(help.includes(option));
    });
  }
});

it('enroll does not promise a service that nobody named', () => {
  const enroll =
    makeProgram(() => undefined).commands.find((one) => one.name() === 'enroll') ?? assert.fail();
  const told: string[] = [];
  enroll.configureOutput({ writeOut: (text) => void told.push(text) }).outputHelp();
  assert.doesNotMatch(told.join(''), /8470/);
});

describe('every command that has others below it', () => {
  const groups = (above: Command): Command[] =>
    above.commands.flatMap((one) => (one.commands.length > 0 ? [one, ...groups(one)] : []));
  for (const group of groups(makeProgram(() => undefined))) {
    it(`has help with an example: ${group.name()}`, () => {
      const told: string[] = [];
      group.configureOutput({ writeOut: (text) => void told.push(text) }).outputHelp();
      assert.match(told.join(''), new RegExp(`Example:\\n {2}zkeep ${group.name()} `));
    });
  }
});

describe('the snapshot that is wanted', () => {
  const refused = (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage';

  it('is refused when it is named twice or malformed', () => {
    assert.throws(() => wantedBy('tank/a', { guid: '1', snapshot: 'b' }), refused);
    assert.throws(() => wantedBy('tank/a', { at: 'yesterday' }), refused);
    assert.throws(() => wantedBy('tank/a', { guid: 'xyz' }), refused);
    assert.throws(() => wantedBy('tank/a', { snapshot: 'b/c' }), refused);
    assert.throws(() => wantedBy("tank/it's", {}), refused);
    assert.throws(() => wantedBy('tank/a@b', {}), refused);
  });

  it('is the newest, or that of a moment, name or GUID, in either reading of it', () => {
    assert.deepEqual(wantedBy('tank/a', {}), { dataset: 'tank/a' });
    assert.deepEqual(wantedBy('tank/a', { at: '2026-11-20T09:00:00Z', host: 'h' }), {
      dataset: 'tank/a',
      host: 'h',
      at: 1795165200,
    });
    assert.deepEqual(wantedBy('tank/a', { snapshot: '@b' }), { dataset: 'tank/a', name: 'b' });
    assert.equal(wantedBy('tank/a', { guid: '1234567890123456' }).guids?.length, 2);
  });
});
