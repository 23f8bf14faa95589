import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { grantKey, keepRepository } from '../../../server/state/kept.ts';
import { openState, type State } from '../../../server/state/state.ts';
import { Tokens } from '../../../server/state/tokens.ts';

describe('service.db', () => {
  let folder: string;
  let state: State;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-state-'));
    state = openState(join(folder, 'data'));
  });
  afterEach(() => {
    state.close();
    rmSync(folder, { recursive: true });
  });

  it('that a newer zkeep wrote is refused', () => {
    state.pragma('user_version = 99');
    assert.throws(() => openState(join(folder, 'data')), { kind: 'refused', code: 'state.newer' });
  });

  it('cannot be opened where there is a file in the way', () => {
    assert.throws(() => openState(join(folder, 'data', 'service.db')), {
      kind: 'denied',
      code: 'state.unusable',
    });
  });

  it('is readable by its owner only', () => {
    assert.equal(statSync(join(folder, 'data', 'service.db')).mode & 0o077, 0);
    assert.equal(statSync(join(folder, 'data')).mode & 0o077, 0);
  });

  it('keeps the key of grants over a restart', () => {
    const key = grantKey(state);
    assert.equal(key.length, 32);
    state.close();
    state = openState(join(folder, 'data'));
    assert.deepEqual(grantKey(state), key);
  });

  it('knows its repository again and refuses another', () => {
    keepRepository(state, 'one', 'here');
    keepRepository(state, 'one', 'here');
    assert.throws(() => keepRepository(state, 'two', 'here'), { kind: 'refused', code: 'repository.other' });
  });

  describe('tokens', () => {
    let tokens: Tokens;
    beforeEach(() => {
      tokens = new Tokens(state);
    });

    it('of a name that is taken are refused, and the first one stays good', () => {
      const token = tokens.add('mds1', 'agent');
      assert.throws(() => tokens.add('mds1', 'operator'), { kind: 'refused', code: 'token.exists' });
      assert.equal(tokens.find(token)?.scope, 'agent');
    });

    for (const name of ['', ' ', 'a b', '-x', 'a\nb', 'x'.repeat(101)]) {
      it(`are not made with the name ${JSON.stringify(name.slice(0, 10))}`, () => {
        assert.throws(() => tokens.add(name, 'agent'), { kind: 'usage', code: 'token.name' });
      });
    }

    it('that were never made, or were removed, are not found', () => {
      const token = tokens.add('mds1', 'agent');
      assert.equal(tokens.find(`${token}x`), undefined);
      assert.equal(tokens.find(''), undefined);
      tokens.remove('mds1');
      assert.equal(tokens.find(token), undefined);
      assert.throws(() => tokens.remove('mds1'), { kind: 'missing', code: 'token.missing' });
    });

    it('do not lie in the file, nor do their secrets', () => {
      const token = tokens.add('mds1', 'agent');
      state.pragma('wal_checkpoint(TRUNCATE)');
      const bytes = readFileSync(join(folder, 'data', 'service.db'), 'latin1');
      assert(bytes.includes('mds1'));
      assert(!bytes.includes(token.slice('zkeep_'.length)));
    });

    it('that a command makes or ends count at once in a service that runs', () => {
      const elsewhere = openState(join(folder, 'data'));
      const token = new Tokens(elsewhere).add('mds1', 'reader');
      assert.equal(tokens.find(token)?.name, 'mds1');
      new Tokens(elsewhere).remove('mds1');
      assert.equal(tokens.find(token), undefined);
      elsewhere.close();
    });
  });

  it('is a database that other tools can check', () => {
    const other = new Database(join(folder, 'data', 'service.db'), { readonly: true });
    assert.equal(other.pragma('integrity_check', { simple: true }), 'ok');
    other.close();
  });
});
