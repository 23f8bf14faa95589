import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  comparable,
  liveMeant,
  readingsOf,
  type SettingsPoint,
  settingsPoint,
} from '../../../agent/view/points.ts';
import type { CatalogView } from '../../../agent/view/view.ts';
import type { Setting } from '../../../catalog/attributes/difference.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary, Wanted } from '../../../catalog/protocol/protocol.ts';

describe('a point', () => {
  it('may be a name, a time or a GUID, the likeliest first', () => {
    const kinds = (text: string) => readingsOf(text).flatMap((reading) => Object.keys(reading));
    assert.deepEqual(kinds('daily-1'), ['name']);
    assert.deepEqual(kinds('@20261120'), ['name'], 'with @ a name and nothing else');
    assert.deepEqual(kinds('20261120'), ['name', 'guids']);
    assert.deepEqual(kinds('2026-11-20T09:00:00Z'), ['name', 'at']);
    assert.deepEqual(kinds('2026-11-20 09:00'), ['name', 'at']);
    assert.deepEqual(kinds('0x2a'), ['name', 'guids']);
    assert.deepEqual(kinds('a/b'), []);
  });

  it('is live, or another dataset that is', () => {
    assert.equal(liveMeant('live', 'tank/fs'), 'tank/fs');
    assert.equal(liveMeant('live:new/fs', 'tank/fs'), 'new/fs');
    assert.equal(liveMeant('@live', 'tank/fs'), undefined);
    assert.throws(() => liveMeant('live:', 'tank/fs'), { kind: 'usage' });
  });

  it('of any text is understood, or is none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const reading of readingsOf(text)) assert.equal(Object.keys(reading).length, 1);
      }),
    );
  });

  const backup = { name: 'x', dataset: 'tank/fs' } as BackupSummary;
  const setting = (scope: Setting['scope']): Setting => ({
    scope,
    name: 'x',
    property: 'a:b',
    value: '1',
    source: 'local',
  });
  const point = (settings: Setting[], kept: BackupSummary | null): SettingsPoint => ({
    dataset: 'tank/fs',
    settings,
    backup: kept,
  });

  it("is compared in a snapshot's own settings with another snapshot only", () => {
    const both = [setting('dataset'), setting('snapshot')];
    const scopes = (one: SettingsPoint, other: SettingsPoint) =>
      comparable(one, other).map((settings) => settings.map(({ scope }) => scope));
    const kept = point(both, backup);
    assert.deepEqual(scopes(kept, kept), [
      ['dataset', 'snapshot'],
      ['dataset', 'snapshot'],
    ]);
    assert.deepEqual(scopes(kept, point([setting('dataset')], null)), [['dataset'], ['dataset']]);
  });

  it('is looked for in every reading, but what fails for another reason is told at once', async () => {
    const asked: Wanted[] = [];
    const viewThat = (answer: () => Error | undefined) => {
      const settings: CatalogView['settings'] = async (wanted) => {
        asked.push(wanted);
        const error = answer();
        if (error) throw error;
        return { backup, settings: [] };
      };
      return { settings } as Partial<CatalogView> as CatalogView;
    };
    const find = async (text: string, answer: () => Error | undefined) => {
      asked.length = 0;
      const of = { dataset: 'tank/fs', host: 'alpha' };
      return await settingsPoint(viewThat(answer), text, of, new AbortController().signal);
    };
    const none = () => new ZkeepError('missing', 'chain.no-such-snapshot', 'there is none');
    await find('42', () => (asked.length === 1 ? none() : undefined));
    assert.deepEqual(asked, [
      { dataset: 'tank/fs', host: 'alpha', name: '42' },
      { dataset: 'tank/fs', host: 'alpha', guids: ['000000000000002a'] },
    ]);
    await assert.rejects(find('42', none), { kind: 'missing', code: 'attributes.no-point' });
    await assert.rejects(find('a/b', none), { kind: 'missing', code: 'attributes.no-point' });
    const away = new ZkeepError('unavailable', 'service.unreachable', 'it does not answer');
    await assert.rejects(
      find('42', () => away),
      away,
    );
    assert.equal(asked.length, 1);
  });
});
