import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ZkeepError } from '../../../catalog/errors.ts';
import { loadConfiguration, parseConfiguration } from '../../../server/configuration/configuration.ts';

const FILE = '/somewhere/server.toml';
const parse = (text: string) => parseConfiguration(text, FILE, { data: '/data' });

function refusal(text: string): ZkeepError {
  try {
    parse(text);
  } catch (thrown) {
    assert(thrown instanceof ZkeepError, String(thrown));
    assert.equal(thrown.kind, 'usage');
    return thrown;
  }
  return assert.fail(`was taken: ${text}`);
}

describe('a configuration that is wrong', () => {
  const wrong: [name: string, text: string, message: RegExp][] = [
    ['names an unknown key', 'lisen = "127.0.0.1:1"', /^\/somewhere\/server\.toml: lisen is not a key/],
    ['names an unknown key in a section', '[limits]\nseconds = 3', /: limits\.seconds is not a key/],
    [
      'names an unknown key of a store',
      '[store]\ntype = "directory"\nbucket = "b"',
      /: store\.bucket is not a key/,
    ],
    ['lacks what its store needs', '[store]\ntype = "s3"', /: store\.bucket is missing/],
    ['lacks the type of the store', '[store]\npath = "/x"', /: store\.type is missing/],
    ['has a store of unknown type', '[store]\ntype = "tape"', /: store\.type must be one of directory, s3/],
    ['has a number where a text belongs', 'data = 3', /: data must be a text in quotes/],
    ['has a limit that is too small', '[limits]\nstop_seconds = 0', /: limits\.stop_seconds must be >= 1/],
    ['has a level that is none', 'log_level = "loud"', /: log_level must be one of error, warn, info, debug/],
    ['has no port', 'listen = "127.0.0.1"', /: listen is not "host:port"/],
    ['has a port that is none', 'listen = "127.0.0.1:70000"', /: listen is not "host:port"/],
    ['is no TOML', 'listen = ', /server\.toml:1:\d+: /],
    [
      'listens everywhere and does not say how agents reach it',
      'listen = "0.0.0.0:1"',
      /: public_url is needed/,
    ],
    [
      'has a public address with a query',
      'public_url = "http://x/?a=b"',
      /: public_url must be an address without/,
    ],
  ];
  for (const [name, text, message] of wrong) {
    it(`is refused with file, key and reason when it ${name}`, () => {
      const { message: said, advice } = refusal(text);
      assert.match(said, message);
      assert(advice);
    });
  }

  it('is refused when the file that was named is not there', () => {
    assert.throws(() => loadConfiguration({ file: '/nowhere/zkeep.toml' }, {}), {
      kind: 'missing',
      code: 'configuration.unreadable',
    });
  });
});

describe('the configuration', () => {
  it('serves on loopback with the directory store in the data folder when nothing is said', () => {
    const { listen, store, data, publicUrl, recipients } = parse('');
    assert.deepEqual(
      { listen, store, data, publicUrl, recipients },
      {
        listen: { host: '127.0.0.1', port: 8470 },
        store: { type: 'directory', path: '/data/repository' },
        data: '/data',
        publicUrl: undefined,
        recipients: [],
      },
    );
  });

  it('takes relative paths from the folder of the file', () => {
    const { data, store } = parse('data = "state"\n[store]\ntype = "directory"\npath = "objects"');
    assert.equal(data, '/somewhere/state');
    assert.deepEqual(store, { type: 'directory', path: '/somewhere/objects' });
  });

  it('lets the command line choose folder and port over the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zkeep-configuration-'));
    try {
      const file = join(folder, 'server.toml');
      writeFileSync(
        file,
        'data = "elsewhere"\nlisten = "[::1]:1000"\npublic_url = "https://zkeep.example/x/"\n',
      );
      const environment = { ZKEEP_SERVER_CONFIG: file };
      const { data, listen, publicUrl } = loadConfiguration({ data: '/chosen', port: 0 }, environment);
      assert.equal(data, '/chosen');
      assert.deepEqual(listen, { host: '::1', port: 0 });
      assert.equal(publicUrl, 'https://zkeep.example/x');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('knows every setting of an S3 store', () => {
    const { store } = parse(
      '[store]\ntype = "s3"\nbucket = "b"\nprefix = "p"\nendpoint = "https://s3.example"\nregion = "eu"\n' +
        'path_style = true\nstorage_class = "COLD"\nchecksums = "required"\ncredentials_file = "keys"\nprofile = "z"',
    );
    assert.deepEqual(store, {
      type: 's3',
      bucket: 'b',
      prefix: 'p',
      endpoint: 'https://s3.example',
      region: 'eu',
      path_style: true,
      storage_class: 'COLD',
      checksums: 'required',
      credentials_file: '/somewhere/keys',
      profile: 'z',
    });
  });
});
