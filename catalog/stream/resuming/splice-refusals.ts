/** Why what `zfs send -t` gives is not the rest of a stored stream, in words. */
import { ZkeepError } from '../../errors.ts';
import { StreamError } from '../stream-error.ts';
import type { StoredPart } from './splice.ts';

const START_AGAIN = 'send the snapshot again from its start';

export function otherStream(stored: StoredPart, differing: readonly string[]): ZkeepError {
  const what = `zfs send -t gives another stream of ${stored.begin.toName} than is stored: ${differing.join(', ')}`;
  return new ZkeepError('refused', 'resume.other-stream', what, {
    advice: START_AGAIN,
    facts: { ...placeOf(stored), differing },
  });
}

export function noPoint(stored: StoredPart): ZkeepError {
  const { type, object, offset } = stored.point;
  const what = `zfs send -t gives no ${type} of object ${object} at offset ${offset}, where the stored stream is to go on`;
  return new ZkeepError('refused', 'resume.no-point', what, { advice: START_AGAIN, facts: placeOf(stored) });
}

export function differs(stored: StoredPart, why: string, cause?: unknown): ZkeepError {
  const { at } = stored.point.state;
  const what = `zfs send -t does not give again what is stored from byte ${at} to ${stored.after.at}: ${why}`;
  return new ZkeepError('refused', 'resume.differs', what, {
    advice: START_AGAIN,
    facts: placeOf(stored),
    cause,
  });
}

/** The same error, telling that its place is not one in the stored stream. */
export function inRest(thrown: StreamError): StreamError {
  const what = `in what zfs send -t gave, ${thrown.what}`;
  return new StreamError(thrown.code, what, thrown, {
    ...(thrown.advice === undefined ? {} : { advice: thrown.advice }),
    facts: thrown.facts,
    cause: thrown,
  });
}

function placeOf({ begin, point, after }: StoredPart) {
  return {
    snapshot: begin.toName,
    type: point.type,
    object: point.object,
    offset: point.offset,
    point: point.state.at,
    stored: after.at,
  };
}
