import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lackingIn, NEEDED } from '../../../agent/doctor/rights.ts';

const PRINTED = `---- Permissions on tank/a -------------------------------------------
Local permissions:
\tuser backup hold,release
Descendent permissions:
\tuser backup send
Local+Descendent permissions:
\tgroup operators bookmark
\teveryone mount
---- Permissions on tank ---------------------------------------------
Permission sets:
\t@more destroy,snapshot
Create time permissions:
\tsend
Local permissions:
\tuser backup rollback
Local+Descendent permissions:
\tuser backup @more
\tuser other send
`;

describe('rights', () => {
  it('are those of the user, those of a group and of everybody, from above too, in sets and without', () => {
    const who = { user: 'backup', groups: ['operators'] };
    assert.deepEqual(lackingIn(PRINTED, 'tank/a', who), ['send']);
    assert.deepEqual(lackingIn(PRINTED, 'tank/a', { user: 'backup', groups: [] }), ['bookmark', 'send']);
  });

  it('on what is below do not count for the dataset itself, nor the other way round', () => {
    const who = { user: 'backup', groups: ['operators'] };
    assert.deepEqual(lackingIn(PRINTED, 'tank/a/b', who), ['hold', 'release']);
  });

  it('are all lacking where nothing was given', () => {
    assert.deepEqual(lackingIn('', 'tank', { user: 'backup', groups: [] }), [...NEEDED]);
  });
});
