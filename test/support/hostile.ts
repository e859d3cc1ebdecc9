/** What a caller may hand over by mistake or by malice, none of which is ever what is expected. */

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

const thrower = () => {
  throw new Error('a trap');
};

/** A proxy all of whose traps throw. */
const trapped = new Proxy(
  {},
  {
    get: thrower,
    has: thrower,
    ownKeys: thrower,
    getPrototypeOf: thrower,
    getOwnPropertyDescriptor: thrower,
  },
);

/** An array of numbers whose methods do what they should not. */
export function spoilt(array: Float32Array): Float32Array {
  return Object.defineProperties(array, {
    byteOffset: { get: thrower },
    constructor: { get: thrower },
    set: { value: thrower },
    fill: { value: thrower },
    slice: { value: thrower },
    find: { value: thrower },
    [Symbol.iterator]: { value: thrower },
  });
}

/** One that says of itself what is not so, too. */
const liar = () =>
  Object.defineProperties(spoilt(new Float32Array(3)), {
    length: { value: 6 },
    buffer: { value: new ArrayBuffer(0) },
  });

/** Endless in itself. */
const circular: Record<string, unknown> = {};
circular.self = circular;

/** Named values that no argument is. */
export const hostileValues: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  'a symbol': () => Symbol('any'),
  'a number': () => 7,
  NaN: () => Number.NaN,
  'a big integer': () => 7n,
  'a string': () => 'any',
  'a function': () => thrower,
  'a revoked proxy': () => revoked({}),
  'a revoked proxy of an array': () => revoked([]),
  'a revoked proxy of a function': () => revoked(() => 1),
  'a proxy that throws': () => trapped,
  'an object whose class cannot be read': () => Object.defineProperty({}, 'constructor', { get: thrower }),
  'an object without a prototype': () => Object.create(null),
  'an object that holds itself': () => circular,
  'an array with a hole': () => new Array(1),
  'an array of symbols': () => [Symbol('any'), revoked({})],
  'an array that lies': liar,
  'an array of other numbers': () => new Float64Array(6),
  'an array of no numbers': () => new Float32Array(0),
  'an array that was detached': () => {
    const array = new Float32Array(6);
    structuredClone(array, { transfer: [array.buffer] });
    return array;
  },
  'a number that throws': () => ({ valueOf: thrower, toString: thrower, [Symbol.toPrimitive]: thrower }),
};

/** An object each of whose properties can be read by nobody. */
export function unreadable<T extends object>(object: T): T {
  return Object.defineProperties(
    {},
    Object.fromEntries(Object.keys(object).map((name) => [name, { enumerable: true, get: thrower }])),
  ) as T;
}
