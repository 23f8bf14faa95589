import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadGrants } from '../../../agent/view/read-grants.ts';
import { sizeIn } from '../../../agent/view/service-verify.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Grant } from '../../../catalog/repository/store/store.ts';

const grant = (segment: number, expires: number): Grant => ({
  method: 'GET',
  url: `http://x/${segment}`,
  headers: {},
  expires,
});

describe('grants to read', () => {
  const clock = { time: 0, now: () => clock.time, sleep: async () => undefined, random: () => 0 };

  it('are asked for once for many segments, however many want them at once', async () => {
    const asked: number[][] = [];
    const grants = new ReadGrants(
      70,
      async (some) => {
        asked.push(some);
        return some.map((segment) => grant(segment, 1e9));
      },
      clock,
    );
    const got = await Promise.all(
      [0, 1, 63, 64, 69].map(async (segment) => (await grants.grantFor(segment)).url),
    );
    assert.deepEqual(
      got,
      [0, 1, 63, 64, 69].map((segment) => `http://x/${segment}`),
    );
    assert.deepEqual(
      asked.map((some) => [some[0], some.length]),
      [
        [0, 64],
        [64, 6],
      ],
    );
  });

  it('are asked for anew when they end, but not for ever', async () => {
    let asked = 0;
    const ask = async () => {
      asked += 1;
      return [grant(0, asked === 1 ? 10_000 : 0)];
    };
    const grants = new ReadGrants(1, ask, clock);
    await grants.grantFor(0);
    clock.time = 9_000;
    await grants.grantFor(0);
    assert.equal(asked, 2);
  });

  it('that could not be had are asked for again', async () => {
    let asked = 0;
    const grants = new ReadGrants(
      1,
      async () => {
        asked += 1;
        if (asked === 1) throw new Error('away');
        return [grant(0, 1e9)];
      },
      clock,
    );
    await assert.rejects(grants.grantFor(0), /away/);
    assert.equal((await grants.grantFor(0)).url, 'http://x/0');
  });
});

describe('the size of an object, asked for by its first byte', () => {
  it('is in the range, or in the length where a store knows no ranges', () => {
    assert.equal(sizeIn(206, { 'content-range': 'bytes 0-0/123' }), 123);
    assert.equal(sizeIn(200, { 'content-length': '456' }), 456);
    assert.equal(sizeIn(416, {}), 0);
    assert.equal(sizeIn(404, {}), undefined);
  });

  it('is an error where the store refuses or fails', () => {
    for (const [status, kind] of [
      [403, 'denied'],
      [500, 'unavailable'],
      [206, 'denied'],
    ] as const) {
      assert.throws(
        () => sizeIn(status, {}),
        (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === kind,
      );
    }
  });
});
