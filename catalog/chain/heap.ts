/** A queue from which the least comes first: a binary heap. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #order: (a: T, b: T) => number;

  /** @param order negative when `a` comes before `b`. */
  constructor(order: (a: T, b: T) => number) {
    this.#order = order;
  }

  /** Adds one, in O(log n). */
  push(item: T): void {
    let at = this.#items.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#items[parent];
      if (above === undefined || this.#order(above, item) <= 0) break;
      this.#items[at] = above;
      at = parent;
    }
    this.#items[at] = item;
  }

  /** Takes the least, in O(log n); `undefined` when it is empty. */
  pop(): T | undefined {
    const [least] = this.#items;
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return least;
  }

  #sink(item: T): void {
    let at = 0;
    for (;;) {
      const child = this.#lesserChild(at);
      const below = this.#items[child];
      if (below === undefined || this.#order(item, below) <= 0) break;
      this.#items[at] = below;
      at = child;
    }
    this.#items[at] = item;
  }

  #lesserChild(at: number): number {
    const left = this.#items[2 * at + 1];
    const right = this.#items[2 * at + 2];
    if (left === undefined || right === undefined) return 2 * at + 1;
    return this.#order(right, left) < 0 ? 2 * at + 2 : 2 * at + 1;
  }
}
