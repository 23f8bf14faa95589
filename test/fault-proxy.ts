/**
 * A TCP proxy on loopback that does to HTTP exchanges what networks do: cuts,
 * stalls, delays, refusals, lost answers, flipped bits, and the 503 and 403 of a
 * store that has too much to do or no room. Faults meet exchanges and not connections, so that they hit a
 * connection that is kept alive as well.
 */
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to one exchange. Positions are bytes of the body, its header not counted. */
export interface Fault {
  /** Meets only requests of this method; others pass, and the fault waits. */
  readonly method?: 'GET' | 'PUT' | 'HEAD' | 'DELETE';
  /** The connection is reset instead of accepting the request. */
  readonly refuse?: boolean;
  /** 503 SlowDown is answered, and the request not passed on. */
  readonly busy?: boolean;
  /** 403 QuotaExceeded is answered, and the request not passed on. */
  readonly full?: boolean;
  /** The request is passed on whole; the connection is reset when the answer comes. */
  readonly dropAnswer?: boolean;
  /** The request is passed on whole; nothing of the answer is, and the connections stay open. */
  readonly withholdAnswer?: boolean;
  /** Both sides are reset after so many bytes of the request, or of the answer. */
  readonly cutUp?: number;
  readonly cutDown?: number;
  /** After so many bytes nothing more is passed on; the connections stay open. */
  readonly stallUp?: number;
  readonly stallDown?: number;
  /** The lowest bit of this byte is turned over. */
  readonly flipUp?: number;
  readonly flipDown?: number;
  /** Milliseconds before anything is passed on, each time. */
  readonly delay?: number;
  /** Bytes a second in either direction. */
  readonly rate?: number;
}

export interface FaultProxy {
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** Lets this fault meet the next exchanges, after those that were set before. */
  meet(fault: Fault, times?: number): void;
  /** Nothing bad happens to the exchanges that begin from now on. */
  clear(): void;
  /** Exchanges that met a fault. */
  readonly met: number;
  /** Exchanges that began, refused ones included. */
  readonly exchanges: number;
  /** Connections that are open. */
  readonly connections: number;
  /** Bytes of bodies that were passed on, to the server and from it. */
  readonly passed: { readonly up: number; readonly down: number };
  stop(): Promise<void>;
}

/**
 * Starts a proxy before a server on loopback.
 *
 * @param port where it listens; 0: any free port.
 * @example proxy.meet({ cutDown: 1000 }); // the next answer ends after 1,000 bytes of its body
 */
export async function startFaultProxy(targetPort: number, port = 0): Promise<FaultProxy> {
  const line = new Line();
  const server = createServer({ noDelay: true }, (client) => {
    line.sockets.add(client);
    client.on('error', () => {}).on('close', () => line.sockets.delete(client));
    if (line.refusesNow()) client.resetAndDestroy();
    else join(line, client, dial({ port: targetPort, host: '127.0.0.1', noDelay: true }));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    meet: (fault, times = 1) => line.faults.push({ fault, left: times }),
    clear: () => line.faults.splice(0),
    get met() {
      return line.met;
    },
    get exchanges() {
      return line.exchanges;
    },
    get connections() {
      return line.sockets.size;
    },
    get passed() {
      return { ...line.passed };
    },
    async stop() {
      server.close();
      const closing = [...line.sockets].map((socket) => once(socket, 'close'));
      for (const socket of line.sockets) socket.destroy();
      await Promise.all(closing);
    },
  };
}

/** What is to come, and what was. */
class Line {
  readonly faults: { readonly fault: Fault; left: number }[] = [];
  readonly sockets = new Set<Socket>();
  readonly passed = { up: 0, down: 0 };
  met = 0;
  exchanges = 0;

  /** The fault of the exchange that begins now, by its request line. */
  begin(request: string): Fault {
    this.exchanges++;
    const at = this.faults.findIndex(({ fault }) => !fault.method || request.startsWith(`${fault.method} `));
    const found = this.faults[at];
    if (!found) return {};
    this.met++;
    if (--found.left <= 0) this.faults.splice(at, 1);
    return found.fault;
  }

  /** A refusal of any method needs no request: it meets the connection itself. */
  refusesNow(): boolean {
    const first = this.faults[0]?.fault;
    return first?.refuse === true && !first.method && this.begin('').refuse === true;
  }
}

/** One request and its answer. */
class Exchange {
  readonly fault: Fault;
  readonly up: Direction;
  readonly down: Direction;

  constructor(fault: Fault) {
    this.fault = fault;
    this.up = new Direction(fault.cutUp, fault.stallUp, fault.flipUp);
    this.down = new Direction(fault.cutDown, fault.stallDown, fault.flipDown);
  }

  /** What the proxy answers by itself. */
  get own(): string | undefined {
    if (this.fault.busy) return BUSY;
    return this.fault.full ? FULL : undefined;
  }
}

function join(line: Line, client: Socket, server: Socket): void {
  let exchange: Exchange | undefined;
  const reset = () => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  const up = async (data: Buffer) => {
    const start = data.toString('latin1', 0, 16);
    if (!exchange || (exchange.down.began && REQUEST.test(start))) {
      exchange = new Exchange(line.begin(start));
      if (exchange.fault.refuse) return reset();
      if (exchange.own !== undefined) {
        exchange.down.began = true;
        client.write(exchange.own);
      }
    }
    if (exchange.own === undefined) {
      line.passed.up += await exchange.up.pass(data, server, exchange.fault, reset);
    }
  };
  const down = async (data: Buffer) => {
    if (exchange?.fault.dropAnswer) return reset();
    if (exchange?.fault.withholdAnswer) return;
    if (!exchange) return;
    line.passed.down += await exchange.down.pass(data, client, exchange.fault, reset);
  };
  server.on('error', () => client.resetAndDestroy()).on('close', () => client.destroy());
  client.on('close', () => server.destroy());
  void pump(client, server, up);
  void pump(server, client, down);
}

async function pump(from: Socket, to: Socket, take: (data: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const data of from.iterator({ destroyOnReturn: false })) await take(data);
    to.end();
  } catch {
    to.destroy(); // A broken connection breaks the other one, as it would without the proxy.
  }
}

/** The bytes of one exchange that go one way. */
class Direction {
  began = false;
  readonly #limit: number;
  readonly #resets: boolean;
  readonly #flip: number;
  /** The last bytes of the header, as long as it goes on. */
  #tail: string | undefined = '';
  /** Bytes of the body so far. */
  #at = 0;

  constructor(cut: number | undefined, stall: number | undefined, flip: number | undefined) {
    this.#limit = cut ?? stall ?? Number.POSITIVE_INFINITY;
    this.#resets = cut !== undefined;
    this.#flip = flip ?? -1;
  }

  /** @returns how many bytes of the body it passed on. */
  async pass(data: Buffer, to: Socket, { delay = 0, rate }: Fault, reset: () => void): Promise<number> {
    this.began = true;
    const pause = delay + (rate ? (data.length / rate) * 1000 : 0);
    if (pause > 0) await sleep(pause);
    const start = this.#bodyStart(data);
    const body = data.subarray(start);
    const flipped = this.#flip - this.#at;
    if (flipped >= 0 && flipped < body.length) body.writeUInt8(body.readUInt8(flipped) ^ 1, flipped);
    const isOver = this.#tail === undefined && this.#at + body.length >= this.#limit;
    const passed = isOver ? data.subarray(0, start + this.#limit - this.#at) : data;
    this.#at += body.length;
    await write(to, passed);
    if (isOver && this.#resets) reset();
    else if (isOver) await new Promise(() => {});
    return passed.length - start;
  }

  /** Where the body begins in these bytes of the exchange. */
  #bodyStart(data: Buffer): number {
    if (this.#tail === undefined) return 0;
    const text = this.#tail + data.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    const before = this.#tail.length;
    this.#tail = end < 0 ? text.slice(-3) : undefined;
    return end < 0 ? data.length : end + 4 - before;
  }
}

async function write(to: Socket, data: Buffer): Promise<void> {
  if (data.length > 0) await new Promise((written) => to.write(data, written));
}

const REQUEST = /^[A-Z]+ \S/;
const BUSY = refusal('503 Slow Down', 'SlowDown');
const FULL = refusal('403 Forbidden', 'QuotaExceeded');

function refusal(status: string, code: string): string {
  const body = `<Error><Code>${code}</Code><Message>said by the fault proxy</Message></Error>`;
  const head = ['content-type: application/xml', `content-length: ${body.length}`, '', body];
  return [`HTTP/1.1 ${status}`, ...head].join('\r\n');
}
