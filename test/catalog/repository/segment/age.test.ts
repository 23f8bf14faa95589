import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { checkRecipients, decrypt, encrypt } from '../../../../catalog/repository/segment/age.ts';

const CHUNK = 64 * 1024;
const identity = await generateIdentity();
const recipient = await identityToRecipient(identity);

for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200_000]) {
  test(`${size} bytes come back, also through the library alone`, async () => {
    const plain = randomBytes(size);
    const file = await encrypt(plain, [recipient]);
    assert.ok((await decrypt(file, [identity])).equals(plain));
    const library = new Decrypter();
    library.addIdentity(identity);
    assert.ok(Buffer.from(await library.decrypt(file)).equals(plain));
  });

  test(`${size} bytes that the library encrypted are read`, async () => {
    const plain = randomBytes(size);
    const library = new Encrypter();
    library.addRecipient(recipient);
    assert.ok((await decrypt(Buffer.from(await library.encrypt(plain)), [identity])).equals(plain));
  });
}

test('another identity is told apart from damage', async () => {
  const file = await encrypt(Buffer.from('secret'), [recipient]);
  await assert.rejects(decrypt(file, [await generateIdentity()]), { kind: 'denied', code: 'age.identity' });
  await assert.rejects(decrypt(file, []), { kind: 'denied' });
});

test('every changed or missing byte of the payload is noticed', async () => {
  const file = await encrypt(randomBytes(CHUNK + 100), [recipient]);
  const start = file.length - (CHUNK + 100 + 2 * 16);
  for (const at of [start, start + 1, start + CHUNK, start + CHUNK + 16, file.length - 1]) {
    const changed = Buffer.from(file);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assert.rejects(decrypt(changed, [identity]), { kind: 'damaged' }, `byte ${at}`);
  }
  for (const length of [file.length - 1, file.length - 116, start, start - 1]) {
    await assert.rejects(
      decrypt(file.subarray(0, length), [identity]),
      { kind: 'damaged' },
      `cut at ${length}`,
    );
  }
});

test('a malformed recipient is named', async () => {
  await assert.rejects(checkRecipients([recipient, 'age1nonsense']), {
    kind: 'usage',
    message: /age1nonsense/,
  });
});
