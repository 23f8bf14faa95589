import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { LEASE_MILLISECONDS, type ResumeRequest } from '../../../catalog/protocol/protocol.ts';
import {
  checkBase,
  checkRequest,
  checkResuming,
  decideOpening,
  type OpeningFacts,
} from '../../../server/backup/opening.ts';
import type { TokenFacts } from '../../../server/state/tokens.ts';
import { commitRequest, openRequest, someBackup } from '../fixture/samples.ts';

const NOW = 1_800_000_000_000;
const AGENT = { name: 'mds1', scope: 'agent', created: '' } as const;
const OTHER = { name: 'mds2', scope: 'agent', created: '' } as const;
const OPERATOR = { name: 'root', scope: 'operator', created: '' } as const;

type Rival = OpeningFacts['rivals'][number];

function rival(changes: Partial<Rival> = {}): Rival {
  const [backup, opened] = [someBackup(1), NOW - 1000];
  const request = openRequest({ to: 0xbn });
  return {
    backup,
    token: 'mds1',
    opened,
    heard: opened,
    request,
    writer: request.writer,
    session: randomUUID(),
    attributes: null,
    adopted: null,
    committing: undefined,
    parts: 3,
    ...changes,
  };
}

function decide(changes: Partial<OpeningFacts>) {
  return decideOpening({
    request: openRequest({ to: 0xan }),
    token: AGENT,
    rivals: [],
    now: NOW,
    started: 0,
    ...changes,
  });
}

describe('opening a backup', () => {
  it('is refused while another writer was heard of within its lease, saying who', () => {
    const holder = rival({ heard: NOW - LEASE_MILLISECONDS + 1 });
    assert.throws(() => decide({ rivals: [holder] }), {
      kind: 'busy',
      code: 'backup.busy',
      facts: {
        backup: holder.backup,
        host: 'mds1.example',
        process: 4242,
        heard: new Date(holder.heard).toISOString(),
        dataset: 'pool/mdt0',
        to: '000000000000000b',
      },
    });
  });

  it('replaces a backup whose lease has lapsed, whoever opened it', () => {
    const lapsed = rival({ heard: NOW - LEASE_MILLISECONDS, token: 'mds2' });
    assert.deepEqual(decide({ rivals: [lapsed] }), { kind: 'new', replaces: [lapsed] });
  });

  it('counts no silence of before the service started', () => {
    const silent = rival({ heard: NOW - 10 * LEASE_MILLISECONDS });
    assert.throws(() => decide({ rivals: [silent], started: NOW - LEASE_MILLISECONDS + 1 }), {
      code: 'backup.busy',
    });
  });

  it('takes over a live backup of its own token, by name only', () => {
    const own = rival();
    const takeover = openRequest({ to: 0xan, takeover: own.backup });
    assert.deepEqual(decide({ request: takeover, rivals: [own] }), { kind: 'new', replaces: [own] });
    const wrong = openRequest({ to: 0xan, takeover: someBackup(2) });
    assert.throws(() => decide({ request: wrong, rivals: [own] }), { code: 'backup.busy' });
  });

  it("does not take over another token's live backup, unless an operator does", () => {
    const theirs = rival();
    const request = openRequest({ to: 0xan, takeover: theirs.backup });
    assert.throws(() => decide({ request, token: OTHER, rivals: [theirs] }), { code: 'backup.busy' });
    assert.equal(decide({ request, token: OPERATOR, rivals: [theirs] }).kind, 'new');
  });

  it('does not replace a backup whose manifest may have been written', () => {
    const committing = { request: commitRequest(openRequest({ to: 0xbn }), 3), at: NOW };
    assert.throws(() => decide({ rivals: [rival({ heard: 0, committing })] }), { code: 'backup.busy' });
  });

  it('is refused when one of two rivals may not be replaced', () => {
    const lapsed = rival({ heard: 0 });
    const live = rival({ backup: someBackup(2) });
    assert.throws(() => decide({ rivals: [lapsed, live] }), { code: 'backup.busy', message: /4242/ });
  });

  it('answers the same when the first answer was lost and nothing was granted yet', () => {
    const request = openRequest({ to: 0xan });
    const open = rival({ request: structuredClone(request), parts: 0 });
    assert.deepEqual(decide({ request, rivals: [open] }), { kind: 'again', open });
    assert.throws(() => decide({ request, rivals: [{ ...open, parts: 1 }] }), { code: 'backup.busy' });
    assert.throws(() => decide({ request, token: OTHER, rivals: [open] }), { code: 'backup.busy' });
  });

  it('goes on with the same stream of a writer that is gone, whatever was granted', () => {
    const writer = { host: 'mds1.example', process: 7 };
    const request = { ...openRequest({ to: 0xbn }), writer };
    const lapsed = rival({ heard: 0 });
    assert.deepEqual(decide({ request, rivals: [lapsed] }), { kind: 'again', open: lapsed });
    const live = rival();
    const takeover = { ...request, takeover: live.backup };
    assert.deepEqual(decide({ request: takeover, rivals: [live] }), { kind: 'again', open: live });
    assert.throws(() => decide({ request, rivals: [live] }), { code: 'backup.busy' });
  });

  it('begins anew with the same stream where it is told of otherwise, or belongs to another token', () => {
    const request = openRequest({ to: 0xbn });
    const lapsed = rival({ heard: 0 });
    const anew = { kind: 'new', replaces: [lapsed] };
    assert.deepEqual(decide({ request, token: OTHER, rivals: [lapsed] }), anew);
    const begin = { ...request.begin, features: 'c' };
    assert.deepEqual(decide({ request: { ...request, begin }, rivals: [lapsed] }), anew);
    assert.deepEqual(decide({ request: { ...request, send_flags: ['-w'] }, rivals: [lapsed] }), anew);
  });
});

describe('resuming a backup', () => {
  const other = { host: 'mds1.example', process: 7 };
  const elsewhere = { host: 'mds2.example', process: 7 };
  const check = (open: Rival, request: ResumeRequest, token: TokenFacts = AGENT) =>
    checkResuming(open, request, { token, now: NOW, started: 0 });

  it('is refused while its writer was heard of, saying who', () => {
    const open = rival({ writer: elsewhere });
    assert.throws(() => check(open, { writer: other, takeover: null }), {
      code: 'backup.busy',
      message: /process 7 on mds2/,
    });
  });

  it('is allowed when its lease has lapsed, to its own token and to operators', () => {
    const open = rival({ heard: NOW - LEASE_MILLISECONDS });
    for (const token of [AGENT, OPERATOR]) check(open, { writer: elsewhere, takeover: null }, token);
    assert.throws(() => check(open, { writer: other, takeover: null }, OTHER), { code: 'backup.other' });
  });

  it('is allowed to the host of its writer, which saw that very writer dead', () => {
    const open = rival();
    check(open, { writer: other, takeover: open.writer });
    assert.throws(() => check(open, { writer: elsewhere, takeover: open.writer }), { code: 'backup.busy' });
    const faster = rival({ writer: { host: 'mds1.example', process: 8 } });
    assert.throws(() => check(faster, { writer: other, takeover: open.writer }), { code: 'backup.busy' });
  });

  it('is allowed to its writer, whose answer got lost', () => {
    const open = rival();
    check(open, { writer: open.writer, takeover: null });
  });
});

describe('the request to open', () => {
  it('is refused when its BEGIN record names other snapshots', () => {
    const request = openRequest({ to: 0xan });
    const other = openRequest({ to: 0xbn, from: 0xcn });
    assert.throws(() => checkRequest({ ...request, begin: other.begin }), {
      kind: 'usage',
      code: 'backup.begin',
    });
    const full = { ...other, from: null };
    assert.throws(() => checkRequest(full), { kind: 'usage', code: 'backup.begin' });
    checkRequest(other);
  });

  it('is refused for the rest of a stream', () => {
    const request = openRequest({ to: 0xan });
    const begin = { ...request.begin, features: (1 << 20).toString(16) };
    assert.throws(() => checkRequest({ ...request, begin }), { kind: 'refused', code: 'backup.resuming' });
  });

  it('is refused when no chain leads to its base', () => {
    const request = openRequest({ to: 0xan, from: 0xbn });
    assert.throws(() => checkBase(request, []), { kind: 'refused', code: 'backup.base-missing' });
  });

  it('is refused when it would change the flags of its chain', () => {
    const request = openRequest({ to: 0xan, from: 0xbn });
    assert.throws(() => checkBase(request, [{ raw: true, large_blocks: false }]), {
      kind: 'refused',
      code: 'chain.flags-changed',
    });
    checkBase(request, [{ raw: false, large_blocks: false }]);
  });

  it('needs no base for a full stream', () => {
    checkBase(openRequest({ to: 0xan }), []);
  });
});
