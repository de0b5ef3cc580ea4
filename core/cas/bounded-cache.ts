/** A cache of loaded values with a bound on their weight; the least recently used goes first. Overlapping loads of one key are one load. */

export interface BoundedCache<K, V> {
  /** The value, loaded if need be. A failed load is not remembered. */
  get(key: K): Promise<V>;
  /** The value if it is here now. */
  peek(key: K): V | undefined;
  set(key: K, value: V): void;
  readonly weightBytes: number;
}

export interface BoundedCacheOptions<K, V> {
  readonly budgetBytes: number;
  readonly load: (key: K) => Promise<V>;
  readonly weigh: (value: V) => number;
}

export function createBoundedCache<K, V>(options: BoundedCacheOptions<K, V>): BoundedCache<K, V> {
  const { budgetBytes, load, weigh } = options;
  const held = new Map<K, V>();
  const loading = new Map<K, Promise<V>>();
  let weightBytes = 0;

  function set(key: K, value: V): void {
    drop(key);
    held.set(key, value);
    weightBytes += weigh(value);
    for (const oldest of held.keys()) {
      if (weightBytes <= budgetBytes || held.size === 1) return;
      drop(oldest);
    }
  }

  function drop(key: K): void {
    const value = held.get(key);
    if (value !== undefined && held.delete(key)) weightBytes -= weigh(value);
  }

  function peek(key: K): V | undefined {
    const value = held.get(key);
    if (value === undefined) return undefined;
    // A Map keeps insertion order, so inserting again marks it as used last.
    held.delete(key);
    held.set(key, value);
    return value;
  }

  async function loadNow(key: K): Promise<V> {
    try {
      const value = await load(key);
      set(key, value);
      return value;
    } finally {
      loading.delete(key);
    }
  }

  async function get(key: K): Promise<V> {
    const here = peek(key);
    if (here !== undefined) return here;
    const running = loading.get(key) ?? loadNow(key);
    if (held.get(key) === undefined) loading.set(key, running);
    return running;
  }

  return {
    get,
    peek,
    set,
    get weightBytes() {
      return weightBytes;
    },
  };
}
