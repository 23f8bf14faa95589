/** `zkeep agent doctor` as a real process, on a host whose ZFS is a script. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { backUp, eachAnew, host, house } from '../backup/resume/halfway.ts';

eachAnew();

interface Told {
  readonly findings: readonly {
    readonly code: string;
    readonly mend: readonly (readonly string[])[];
    readonly mended: readonly { readonly error: string | null }[] | null;
  }[];
}

async function doctor(words: readonly string[], code: number): Promise<Told> {
  const ran = await house.zkeep(['agent', 'doctor', ...words, '--json'], { env: host.env });
  assert.equal(ran.code, code, `${ran.stdout}${ran.stderr}`);
  return JSON.parse(ran.stdout.toString());
}

const codes = ({ findings }: Told) => findings.map(({ code }) => code);
const TEMPORARY = 'tank/a@zkeep-refresh-20261119T090000Z-999999';

describe('zkeep agent doctor', () => {
  it('finds nothing where all is well', async () => {
    host.makeStream('tank/a', 101, 'full', 0.1);
    await backUp(['tank/a']);
    assert.deepEqual(codes(await doctor([], 0)), []);
    assert.deepEqual(codes(await doctor(['tank'], 0)), []);
  });

  it('does not call well what is not there', async () => {
    const { stdout, code } = await house.zkeep(['agent', 'doctor', 'tank/aa', '--json'], { env: host.env });
    assert.deepEqual([code, JSON.parse(stdout.toString()).error.code], [3, 'doctor.no-dataset']);
  });

  it('shows what is safe to mend, mends it, and leaves the rest to a person', async () => {
    host.makeStream('tank/a', 101, 'full', 0.1);
    await backUp(['tank/a']);
    host.add(TEMPORARY, 199);
    host.add('tank/a#zkeep-20261118T090000Z', 198);
    assert.deepEqual(codes(await doctor([], 1)), ['left-temporary', 'stale-bookmark']);
    const before = host.points;
    const shown = await doctor(['--fix', '--dry-run'], 1);
    assert.deepEqual(
      shown.findings.flatMap(({ mend }) => mend.map((command) => command.join(' '))),
      [`zfs destroy ${TEMPORARY}`],
    );
    assert.deepEqual(host.points, before);
    const fixed = await doctor(['--fix'], 1);
    assert.deepEqual(
      fixed.findings.map(({ mended }) => mended?.map(({ error }) => error) ?? null),
      [[null], null],
    );
    // Another repository may need the bookmark.
    assert.deepEqual(codes(await doctor([], 1)), ['stale-bookmark']);
  });

  it('finds datasets that no job covers, of those that none leaves out', async () => {
    const config = join(house.folder, 'agent.toml');
    const job = (names: string) =>
      writeFileSync(config, `[[job]]\nname = "nightly"\nschedule = "every day"\ndatasets = [${names}]\n`);
    job('"tank/a"');
    assert.deepEqual(codes(await doctor(['--config', config], 1)), ['not-covered']);
    job('"tank/a", "!tank/b"');
    assert.deepEqual(codes(await doctor(['--config', config], 0)), []);
    job('"tank/a"]\n[[drill]]\nname = "try"\nschedule = "every day"\nto = "tank/b"\ndatasets = ["tank/a"');
    assert.deepEqual(codes(await doctor(['--config', config], 0)), [], 'the scratch place of drills');
    writeFileSync(config, 'jobs = 1\n');
    assert.deepEqual(codes(await doctor(['--config', config], 1)), ['configuration-wrong']);
  });

  it('tells of a service that is away, and of what it finds without it', async () => {
    const { findings } = await doctor(['--service', 'http://127.0.0.1:1'], 1);
    assert.deepEqual(codes({ findings }), ['service-unreachable']);
  });
});
