/**
 * age v1 files (C2SP, age-encryption.org/v1), made in two parts: the header by
 * the library `age-encryption`, the payload by `node:crypto`, because the
 * library's own payload cipher is ten times slower.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { ZkeepError } from '../../errors.ts';

const CHUNK = 64 * 1024;
const TAG = 16;
const NONCE = 16;
const CIPHER = 'chacha20-poly1305';
/** Longest header that is looked for: far above a hundred recipients' stanzas. */
const MAX_HEADER = 256 * 1024;
const MAC_LINE = Buffer.from('\n--- ');

/**
 * Encrypts to every recipient.
 *
 * @param recipients `age1...` strings, at least one.
 * @throws {ZkeepError} `usage` when a recipient is malformed.
 * @example const file = await encrypt(Buffer.from('x'), ['age1...'])
 */
export async function encrypt(
  plain: Uint8Array,
  recipients: readonly string[],
): Promise<Buffer<ArrayBuffer>> {
  const { header, fileKey } = await makeHeader(recipients);
  const nonce = randomBytes(NONCE);
  const key = payloadKey(fileKey, nonce);
  const chunks = Math.max(1, Math.ceil(plain.length / CHUNK));
  const file = Buffer.allocUnsafeSlow(header.length + NONCE + plain.length + chunks * TAG);
  file.set(header, 0);
  file.set(nonce, header.length);
  let at = header.length + NONCE;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const cipher = createCipheriv(CIPHER, key, chunkNonce(chunk, chunk === chunks - 1), {
      authTagLength: TAG,
    });
    const sealed = cipher.update(plain.subarray(chunk * CHUNK, (chunk + 1) * CHUNK));
    cipher.final();
    file.set(sealed, at);
    file.set(cipher.getAuthTag(), at + sealed.length);
    at += sealed.length + TAG;
  }
  return file;
}

/**
 * Decrypts with the first identity that fits.
 *
 * @param identities `AGE-SECRET-KEY-1...` strings.
 * @throws {ZkeepError} `denied` when none fits, `damaged` when the payload was changed.
 */
export async function decrypt(file: Buffer, identities: readonly string[]): Promise<Buffer> {
  const end = headerEnd(file);
  const fileKey = await openHeader(file.subarray(0, end), identities);
  const nonce = file.subarray(end, end + NONCE);
  const sealed = file.subarray(end + NONCE);
  if (nonce.length < NONCE || sealed.length < TAG) throw damaged('it is cut short');
  const key = payloadKey(fileKey, nonce);
  const chunks = Math.ceil(sealed.length / (CHUNK + TAG));
  const plain = Buffer.allocUnsafeSlow(sealed.length - chunks * TAG);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const piece = sealed.subarray(chunk * (CHUNK + TAG), (chunk + 1) * (CHUNK + TAG));
    const last = chunk === chunks - 1;
    if (piece.length < TAG || (last && chunk > 0 && piece.length === TAG)) throw damaged('it is cut short');
    const decipher = createDecipheriv(CIPHER, key, chunkNonce(chunk, last), { authTagLength: TAG });
    decipher.setAuthTag(piece.subarray(piece.length - TAG));
    try {
      plain.set(decipher.update(piece.subarray(0, piece.length - TAG)), chunk * CHUNK);
      decipher.final();
    } catch (cause) {
      throw damaged(`its chunk ${chunk} was changed or cut`, cause);
    }
  }
  return plain;
}

/**
 * Checks recipients before anything depends on them.
 *
 * @throws {ZkeepError} `usage` naming the one that is malformed.
 */
export async function checkRecipients(recipients: readonly string[]): Promise<void> {
  if (recipients.length === 0) return; // the library takes 30 ms to load
  const { Encrypter } = await import('age-encryption');
  for (const recipient of recipients) {
    try {
      new Encrypter().addRecipient(recipient);
    } catch (cause) {
      throw new ZkeepError('usage', 'age.recipient', `${JSON.stringify(recipient)} is not an age recipient`, {
        advice: 'age-keygen prints the public key (age1...) of a new identity',
        cause,
      });
    }
  }
}

/** The file key is only told to recipients; one that keeps it and adds nothing to the header lets us have it. */
async function makeHeader(
  recipients: readonly string[],
): Promise<{ header: Uint8Array; fileKey: Uint8Array }> {
  await checkRecipients(recipients);
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  let fileKey: Uint8Array | undefined;
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const empty = await encrypter.encrypt(new Uint8Array(0));
  if (!fileKey) throw new ZkeepError('failed', 'age.header', 'the age library did not tell the file key');
  return { header: empty.subarray(0, empty.length - NONCE - TAG), fileKey };
}

async function openHeader(header: Buffer, identities: readonly string[]): Promise<Uint8Array> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return await decrypter.decryptHeader(header);
  } catch (cause) {
    throw new ZkeepError('denied', 'age.identity', 'none of the given identities opens this backup', {
      advice: 'give the identity file of one of its recipients: --identity FILE',
      cause,
    });
  }
}

/** The header ends with the line that holds its MAC. */
function headerEnd(file: Buffer): number {
  const head = file.subarray(0, MAX_HEADER);
  const mac = head.indexOf(MAC_LINE);
  const end = mac < 0 ? -1 : head.indexOf('\n', mac + MAC_LINE.length);
  if (end < 0) throw damaged('it has no age header');
  return end + 1;
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

/** 11 bytes of counter, big-endian, and one that marks the last chunk. */
function chunkNonce(chunk: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(chunk, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function damaged(what: string, cause?: unknown): ZkeepError {
  return new ZkeepError('damaged', 'age.malformed', `the encrypted segment is damaged: ${what}`, { cause });
}
