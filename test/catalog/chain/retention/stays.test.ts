import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placeNow, type Stay } from '../../../../catalog/chain/retention/stays.ts';

const stay = (place: string, newest: number, last: string): Stay<string> => ({ place, newest, last });

describe('the name that a dataset has now', () => {
  it('is that under which it was backed up last', () => {
    assert.equal(placeNow([stay('a', 1, '01'), stay('b', 3, '03'), stay('c', 2, '02')]), 'b');
    assert.equal(placeNow([stay('a', 1, '01')]), 'a');
    assert.equal(placeNow([]), undefined);
  });

  it('of snapshots of one second, is that of the one that was stored last', () => {
    assert.equal(placeNow([stay('a', 1, '02'), stay('b', 1, '01')]), 'a');
    assert.equal(placeNow([stay('b', 1, '01'), stay('a', 1, '02')]), 'a');
  });

  it('is not told when what seems to be the newest was stored before: a clock was ahead, or is behind', () => {
    assert.equal(placeNow([stay('a', 900, '01'), stay('b', 100, '02')]), undefined);
    assert.equal(placeNow([stay('b', 100, '02'), stay('a', 900, '01')]), undefined);
  });
});
