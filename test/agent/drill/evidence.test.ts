import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEvidence } from '../../../agent/drill/evidence.ts';
import { failureOf } from '../../../agent/zfs/failure.ts';
import { type ErrorKind, ZkeepError } from '../../../catalog/errors.ts';

const receive = ['zfs', 'receive', '-s', '-u', 'scratch/d/data'];
const says = (stderr: string, command = receive) => failureOf({ command, exit: 1, stderr });
const made = (kind: ErrorKind, code: string) => new ZkeepError(kind, code, 'words');

const OF_THE_MOMENT: Readonly<Record<string, unknown>> = {
  'a service that is away': made('unavailable', 'service.unreachable'),
  'a store that is away': made('unavailable', 'store.unavailable'),
  'a grant that is too old': made('unavailable', 'grant.expired'),
  'a scratch pool that is full': says('cannot receive new filesystem stream: out of space'),
  'a quota above it': says("cannot receive: 'scratch' quota exceeded"),
  'a pool that is suspended': says('cannot receive: pool I/O is currently suspended'),
  'a disk that cannot be written': says('cannot receive incremental stream: I/O error'),
  'a place that is busy': says("cannot receive: 'scratch/d/data' dataset is busy"),
  'a place that is gone': says("cannot open 'scratch/d': dataset does not exist"),
  'a place that cannot be made': says('something else', ['zfs', 'create', 'scratch/d']),
  'a receive that was killed': failureOf({
    command: receive,
    exit: undefined,
    killedBy: 'SIGKILL',
    stderr: '',
  }),
  'an older ZFS here': says('cannot receive: stream has unsupported feature'),
  'a right that lacks': says('cannot receive: permission denied'),
  'no identity': made('denied', 'restore.no-identity'),
  'a backup that was pruned meanwhile': made('missing', 'backup.missing'),
  'a defect of ours': new TypeError('undefined is not a function'),
};
const OF_WHAT_IS_STORED: Readonly<Record<string, unknown>> = {
  'an object that is gone': made('missing', 'store.missing'),
  'a spoilt segment': made('damaged', 'segment.digest'),
  'a stream that ZFS finds spoilt': says('cannot receive: invalid stream (checksum mismatch)'),
  'steps that do not follow each other': says(
    'cannot receive incremental stream: most recent snapshot of scratch does not match incremental source',
  ),
  'words of zfs receive that nobody knows': says('cannot receive: strange'),
  'another snapshot than was wanted': made('failed', 'restore.proof'),
  'other content than was received': made('failed', 'drill.content'),
};

for (const [what, thrown] of Object.entries(OF_THE_MOMENT))
  test(`${what} is no evidence`, () => assert.equal(isEvidence(thrown), false));
for (const [what, thrown] of Object.entries(OF_WHAT_IS_STORED))
  test(`${what} is evidence`, () => assert.equal(isEvidence(thrown), true));
