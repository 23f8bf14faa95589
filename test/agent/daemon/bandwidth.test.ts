import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limitAt } from '../../../agent/daemon/bandwidth.ts';
import { parseAgentConfiguration } from '../../../agent/daemon/configuration.ts';

const MIB = 1024 * 1024;
const parse = (limits: string, zone = 'Europe/Berlin') =>
  parseAgentConfiguration(`[bandwidth]\nzone = "${zone}"\nlimits = [${limits}]`, 'agent.toml').bandwidth;
const at = (bandwidth: ReturnType<typeof parse>, time: string) => limitAt(bandwidth, Date.parse(time));

describe('the limit', () => {
  it('is none where nothing is said, or nothing fits', () => {
    assert.equal(at(parse(''), '2026-11-20T12:00:00Z'), null);
    assert.equal(at(parse('{ limit = "1 MiB/s", days = "sat,sun" }'), '2026-11-20T12:00:00Z'), null);
  });

  it('is that of the first line that fits, by hour and day of its zone', () => {
    const office = parse(
      '{ hours = "08:00-18:00", days = "mon-fri", limit = "20 MiB/s" }, { limit = "100 MiB/s" }',
    );
    // A Friday, 07:59, 08:00, 17:59 and 18:00 in Berlin; then a Saturday.
    assert.equal(at(office, '2026-11-20T06:59:59Z'), 100 * MIB);
    assert.equal(at(office, '2026-11-20T07:00:00Z'), 20 * MIB);
    assert.equal(at(office, '2026-11-20T16:59:59Z'), 20 * MIB);
    assert.equal(at(office, '2026-11-20T17:00:00Z'), 100 * MIB);
    assert.equal(at(office, '2026-11-21T10:00:00Z'), 100 * MIB);
  });

  it('follows summer time', () => {
    const office = parse('{ hours = "08:00-18:00", limit = "20 MiB/s" }');
    assert.equal(at(office, '2026-07-20T06:30:00Z'), 20 * MIB);
    assert.equal(at(office, '2026-01-20T06:30:00Z'), null);
  });

  it('over midnight belongs to the day on which it begins', () => {
    const night = parse(
      '{ hours = "22:00-06:00", days = "fri", limit = "none" }, { limit = "1 MiB/s" }',
      'UTC',
    );
    assert.equal(at(night, '2026-11-20T21:59:00Z'), MIB);
    assert.equal(at(night, '2026-11-20T22:00:00Z'), null);
    assert.equal(at(night, '2026-11-21T05:59:00Z'), null);
    assert.equal(at(night, '2026-11-21T06:00:00Z'), MIB);
    assert.equal(at(night, '2026-11-20T03:00:00Z'), MIB);
    assert.equal(at(night, '2026-11-21T23:00:00Z'), MIB);
  });

  it("of days over the week's end goes round", () => {
    const weekend = parse('{ days = "fri-mon", limit = "1 MiB/s" }', 'UTC');
    const held = ['20', '21', '22', '23', '24', '25', '26'].map((day) =>
      at(weekend, `2026-11-${day}T12:00:00Z`),
    );
    assert.deepEqual(held, [MIB, MIB, MIB, MIB, null, null, null]);
  });
});
