/** Everything that the reader refuses, in words. STREAM.md gives the reasons. */
import { StreamError, type StreamPlace } from '../stream-error.ts';

const SEND_AGAIN =
  'send the snapshot again; where the bytes came from a file or over a network, check that first';

export function empty(place: StreamPlace): StreamError {
  return new StreamError('stream.empty', 'there is nothing: not one byte came', place, {
    advice: 'look at what was to write the stream; `zfs send` says on its standard error why it did not',
  });
}

export function notAStream(place: StreamPlace): StreamError {
  return new StreamError('stream.not-a-stream', 'this is not a ZFS send stream', place, {
    advice: 'give the bytes that `zfs send` wrote; unpack them first if they were compressed or encrypted',
  });
}

export function isPackage(place: StreamPlace): StreamError {
  return new StreamError('stream.package', 'this is a package of several streams', place, {
    advice: 'send without -R, -I, -p and -h, one snapshot at a time; `zkeep import` splits packages',
  });
}

export function notAWrapper(place: StreamPlace): StreamError {
  return new StreamError('stream.package', 'the wrapper of a package holds only BEGIN and END', place, {
    advice: SEND_AGAIN,
  });
}

export function isResuming(place: StreamPlace): StreamError {
  return new StreamError('stream.resuming', 'this is the rest of a stream, made by `zfs send -t`', place, {
    advice: 'it cannot stand alone: send the snapshot from its start, without -t',
  });
}

/** @param left bytes of a payload that did not come, or 0. */
export function truncated(place: StreamPlace, torn: number, left: number): StreamError {
  const where =
    torn > 0
      ? 'inside a header'
      : left > 0
        ? `${left} bytes before the end of a payload`
        : 'without an END record';
  return new StreamError('stream.truncated', `the stream ends too soon, ${where}`, place, {
    advice: 'its sender or the way was interrupted: send again (streams of `zfs send -S` are never whole)',
  });
}

export function trailing(place: StreamPlace): StreamError {
  return new StreamError('stream.trailing', 'bytes follow after the END record', place, {
    advice: 'a stream ends with END: find out what was appended to it, and cut that off',
  });
}

export function wrongSum(place: StreamPlace): StreamError {
  const what = 'the checksum does not match: bytes are damaged in this record or in the one before it';
  return new StreamError('stream.checksum', what, place, { advice: SEND_AGAIN });
}

export function wrongTotal(place: StreamPlace): StreamError {
  const what = 'the checksum of the whole stream does not match: bytes are damaged somewhere before its end';
  return new StreamError('stream.checksum', what, place, { advice: SEND_AGAIN });
}

export function secondBegin(place: StreamPlace): StreamError {
  return new StreamError('stream.second-begin', 'a second BEGIN comes before END', place, {
    advice: SEND_AGAIN,
  });
}

export function unknownRecord(place: StreamPlace, type: number): StreamError {
  return new StreamError('stream.unknown-record', `there is no record of type ${type}`, place, {
    advice: 'either its sender is newer than this zkeep, or the stream is damaged',
    facts: { type_number: type },
  });
}

export function otherStream(place: StreamPlace): StreamError {
  const what = 'the record is of another stream than the BEGIN: its toguid differs';
  return new StreamError('stream.mixed', what, place, {
    advice:
      'send the snapshot again, as a whole: `zfs send -S`, too, makes such a stream, of a half received snapshot',
  });
}

export function outOfBounds(place: StreamPlace, length: number): StreamError {
  return new StreamError('stream.bounds', `no record of this type has a payload of ${length} bytes`, place, {
    advice: SEND_AGAIN,
    facts: { length },
  });
}

export function spoilt(place: StreamPlace, object: number): StreamError {
  const what = `object ${object} announces a spill block (large extended attributes) that does not come`;
  return new StreamError('stream.spoilt', what, place, {
    advice:
      'receiving it would lose extended attributes without a word: send again without -e ' +
      '(and with zfs_send_unmodified_spill_blocks at its default, 1)',
    facts: { object },
  });
}

export function notAState(place: StreamPlace, why: string): StreamError {
  return new StreamError('stream.state', `this is not the state of a reader: ${why}`, place, {
    advice: 'read the stream from its start',
  });
}
