/** `zkeep lustre inspect` on stored streams, in files and pipes; the runbook in `zkeep plan`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseLastIds } from '../../../../agent/lustre/inspect/last-ids.ts';
import { runbookOfPlan } from '../../../../agent/lustre/runbook.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { GuidSchema, Nullable, U64Schema } from '../../../../catalog/schema.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { DATASET, standInForLustreHost } from '../../capture/lustre-host.ts';
import { AgentHouse } from '../../road/agent-house.ts';
import { StandIns } from '../../stand-ins.ts';

const exact = { additionalProperties: false };
const used = { index: Type.Integer(), sequence: Nullable(Type.String()), id: U64Schema };
/** As COMMANDS.md promises it. */
const DOCUMENT = Compile(
  Type.Object(
    {
      zkeep: Type.Literal(1),
      command: Type.Literal('lustre inspect'),
      target: Type.Object(
        {
          snapshot: Type.Object({ name: Type.String(), guid: GuidSchema, created: Type.Integer() }, exact),
          kind: Type.String(),
          configurations: Nullable(Type.Array(Type.String())),
          last_received: Nullable(
            Type.Object({
              uuid: Type.String(),
              clients: Type.Integer(),
              mounts: U64Schema,
              transaction: U64Schema,
            }),
          ),
          last_used: Nullable(Type.Array(Type.Object(used, exact))),
        },
        exact,
      ),
      orphans: Nullable(
        Type.Array(
          Type.Object({ ...used, last: U64Schema, destroyed: Type.Integer(), outcome: Type.String() }, exact),
        ),
      ),
    },
    exact,
  ),
);

describe('zkeep lustre inspect', () => {
  const files = mkdtempSync(join(tmpdir(), 'zkeep-inspect-'));
  const fileOf = (name: string) => join(files, name);
  let house: AgentHouse;

  before(async () => {
    house = await AgentHouse.open();
    for (const name of ['lustre-mdt0-full-s1', 'lustre-mdt0-incr-s1-s2', 'lustre-mgt-full-p-s1', 'raw-w']) {
      writeFileSync(fileOf(name), recordedStream(name));
    }
    for (const name of ['lustre-mdt0-full-s1', 'lustre-mdt0-incr-s1-s2']) {
      const ran = await house.zkeep(['import', '--dataset', 'mdtpool/mdt0', '--file', fileOf(name)]);
      assert.equal(ran.code, 0, ran.stderr);
    }
  });
  after(async () => {
    rmSync(files, { recursive: true, force: true });
    await house.end();
  });

  async function inspect(words: readonly string[], stdin?: Uint8Array) {
    const ran = await house.zkeep(['lustre', 'inspect', ...words, '--json'], stdin ? { stdin } : {});
    const document: unknown = JSON.parse(ran.stdout.toString());
    assert.ok(ran.code !== 0 || DOCUMENT.Check(document), ran.stdout.toString());
    return {
      code: ran.code,
      document: document as { target: never; orphans: never; error: { code: string } },
    };
  }
  const idsOf = ({ target }: { target: { last_used: { id: string }[] } }) =>
    target.last_used.map(({ id }) => id);

  it('tells of a stored snapshot, the newest or another, through the service or without it', async () => {
    const newest = await inspect(['mdtpool/mdt0']);
    assert.deepEqual(idsOf(newest.document), ['221', '204']);
    const first = await inspect(['mdtpool/mdt0', '--snapshot', 's1']);
    assert.deepEqual(idsOf(first.document), ['169', '151']);
    const without = await inspect(['mdtpool/mdt0', '--repository', house.repository]);
    assert.deepEqual(without.document, newest.document);
  });

  it('says how many objects a plain mount would destroy', async () => {
    const { document } = await inspect(['mdtpool/mdt0', '--last-id', '0=289', '--last-id', 'OST0001=0x4f00']);
    assert.deepEqual(document.orphans, [
      { index: 0, sequence: '240000400', id: '221', last: '289', destroyed: 68, outcome: 'destroyed' },
      { index: 1, sequence: '280000400', id: '204', last: '20224', destroyed: 0, outcome: 'trusted' },
    ]);
    const { stdout } = await house.zkeep(['lustre', 'inspect', 'mdtpool/mdt0', '--last-id', '0=222']);
    assert.match(stdout.toString(), /a mount waits for 1 client, unless abort_recov is given/);
    assert.match(stdout.toString(), /^OST0000 +0x240000400 +221 +222 +destroys 1 object$/m);
  });

  it('reads files in their order, and packages, also from a pipe', async () => {
    const both = ['lustre-mdt0-full-s1', 'lustre-mdt0-incr-s1-s2'].flatMap((name) => [
      '--stream',
      fileOf(name),
    ]);
    assert.deepEqual(idsOf((await inspect(both)).document), ['221', '204']);
    const piped = await inspect(['--stream', '-'], recordedStream('lustre-mgt-full-p-s1'));
    assert.deepEqual(piped.code, 0);
  });

  it('refuses with the codes that COMMANDS.md has', async () => {
    const cut = recordedStream('lustre-mdt0-full-s1').subarray(0, 1_000_000);
    const cases: [number, string, string[], Uint8Array?][] = [
      [2, 'inspect.what', []],
      [2, 'inspect.what', ['mdtpool/mdt0', '--stream', '-']],
      [2, 'inspect.last-id', ['mdtpool/mdt0', '--last-id', 'x']],
      [3, 'inspect.unreadable', ['--stream', fileOf('none')]],
      [8, 'inspect.unreadable', ['--stream', files]],
      [4, 'inspect.encrypted', ['--stream', fileOf('raw-w')]],
      [4, 'inspect.not-the-next', ['--stream', fileOf('lustre-mdt0-incr-s1-s2')]],
      [4, 'inspect.no-mdt', ['--stream', fileOf('lustre-mgt-full-p-s1'), '--last-id', '0=1']],
      [5, 'stream.truncated', ['--stream', '-'], cut],
      [5, 'stream.empty', ['--stream', '-'], new Uint8Array()],
    ];
    for (const [code, word, words, stdin] of cases) {
      const ran = await inspect(words, stdin);
      assert.deepEqual([ran.code, ran.document.error?.code], [code, word], words.join(' '));
    }
  });
});

describe('the runbook in zkeep plan', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    standInForLustreHost(standIns);
    const ran = await house.zkeep(['backup', DATASET, '--snapshot', 's1'], { env: { PATH: standIns.path } });
    assert.equal(ran.code, 0, ran.stderr);
  });
  after(async () => {
    standIns.end();
    await house.end();
  });

  it('is filled in for the place that is named', async () => {
    const { stdout } = await house.zkeep(['plan', DATASET, '--to', 'newpool/mgt']);
    const text = stdout.toString();
    assert.match(text, /^After the restore:$/m);
    assert.match(text, /^ +tunefs\.lustre --dryrun newpool\/mgt$/m);
    assert.match(text, /^ +mount -t lustre newpool\/mgt \/mnt\/MGS$/m);
  });

  it('is in the document, also when nothing is to be received', async () => {
    for (const have of [[], ['--have', '0x766876762356b3a7']]) {
      const document = await house.document(['plan', DATASET, ...have], 0);
      const { runbook } = document as unknown as { runbook: { commands: string[] }[] };
      assert.ok(runbook[0]?.commands.includes(`tunefs.lustre --dryrun ${DATASET}`), have.join());
    }
  });

  it('is left out with a word when the attributes cannot be read', async () => {
    const told: string[] = [];
    const view = {
      attributes: async () => {
        throw new ZkeepError('damaged', 'x.y', 'not what was stored');
      },
      backups: async function* () {},
    };
    const { plan } = await house.document(['plan', DATASET], 0);
    const steps = await runbookOfPlan(
      plan,
      { target: 'a/b' },
      { view, onProblem: (words) => told.push(words) },
    );
    assert.deepEqual([steps, told], [[], ['no runbook: not what was stored']]);
    assert.deepEqual(
      await runbookOfPlan({ ...plan, steps: [] }, { target: 'a/b' }, { view, onProblem: assert.fail }),
      [],
    );
  });
});

describe('--last-id', () => {
  it('takes an index or the name of an OST, in decimal or hex', () => {
    const ids = parseLastIds(['0=289', 'OST00ff=0x10', 'ost0001=18446744073709551615']);
    assert.deepEqual(
      [...ids],
      [
        [0, 289n],
        [255, 16n],
        [1, (1n << 64n) - 1n],
      ],
    );
  });

  it('refuses everything else', () => {
    const wrong = ['', '1', '=1', '1=', '1=-1', '65536=1', 'OST1=1', '1=18446744073709551616', '1=0x', 'x=1'];
    for (const text of [...wrong.map((each) => [each]), ['1=1', 'OST0001=2']]) {
      assert.throws(
        () => parseLastIds(text),
        (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === 'inspect.last-id',
        text.join(),
      );
    }
  });
});
