// node --expose-gc owned-arrays.cjs EVENT ROUNDS: something happens to each array of each call, so many times, while
// the call is pending, or to all of them and the objects of the call.
const { entries, width } = require('./entries.cjs');
const [, , event, rounds] = process.argv;

const turn = () => new Promise(setImmediate);
const lost = (array) => structuredClone(array, { transfer: [array.buffer] });
const decoys = [];
// in the memory that was that of others
const fillMemory = () => {
  for (let i = 0; i < 3; i++) decoys.push(new Float32Array(width * width).fill(7));
};

// What happens to an array, and whether it is gone then.
const events = {
  mutated: (array) => {
    array.fill(Number.NaN);
    return false;
  },
  transferred: (array) => {
    decoys.push(lost(array).fill(7)); // the memory has a new owner
    return true;
  },
  detached: (array) => {
    lost(array); // and nobody keeps it
    globalThis.gc({ type: 'minor' });
    fillMemory();
    return true;
  },
};

const outcomeOf = (promise, expected) =>
  promise.then(
    (result) => (Buffer.compare(Buffer.from(result.buffer), expected) === 0 ? 'right' : 'wrong'),
    ({ code }) => code,
  );

function judged(outcome, allowed) {
  const hit = decoys.splice(0).some((decoy) => decoy.some((value) => value !== 7));
  return allowed.includes(outcome) && !hit ? undefined : `${outcome}${hit ? ', another array overwritten' : ''}`;
}

async function watched(entry, name, expected) {
  const arrays = entry.arrays();
  const promise = outcomeOf(entry.start(arrays), expected);
  const gone = events[event](arrays[name]);
  await turn();
  const wanted = gone && entry.out.includes(name) ? 'ERR_CGFAC_DETACHED_BUFFER' : 'right';
  // two arrays that a result depends on are gone where the weights beside a gradient are
  const allowed = gone && name === 'weights' ? [wanted, 'ERR_CGFAC_DETACHED_BUFFER'] : [wanted];
  return judged(await promise, allowed);
}

// The objects and arrays of the call are those of nobody.
async function dropped(entry, expected) {
  const promise = outcomeOf(entry.start(entry.arrays()), expected);
  globalThis.gc();
  fillMemory();
  await turn();
  globalThis.gc();
  return judged(await promise, ['right']);
}

// What has a size that can change is refused, and so nothing is at work when it changes.
const kinds = {
  resizable: (bytes) => new ArrayBuffer(bytes, { maxByteLength: 2 * bytes }),
  growable: (bytes) => new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes }),
};
async function resized(entry, name, kind) {
  const arrays = entry.arrays();
  const array = new Float32Array(kinds[kind](arrays[name].byteLength));
  array.set(arrays[name]);
  const call = async () => entry.start({ ...arrays, [name]: array });
  const outcome = call().then(
    () => 'a result',
    ({ code }) => code,
  );
  if (kind === 'resizable') array.buffer.resize(0);
  return judged(await outcome, ['ERR_CGFAC_DETACHED_BUFFER']);
}

// What is done to an entry, one after another, each so many times.
function cases(entry, expected) {
  const names = Object.keys(entry.arrays());
  if (event === 'dropped') return [['all', () => dropped(entry, expected)]];
  if (event !== 'resized') return names.map((name) => [name, () => watched(entry, name, expected)]);
  if (entry.atOnce) return [];
  const each = (name) => Object.keys(kinds).map((kind) => [`${name}, ${kind}`, () => resized(entry, name, kind)]);
  return names.flatMap(each);
}

(async () => {
  for (const [title, entry] of Object.entries(entries)) {
    const expected = Buffer.from(Float32Array.from(entry.sync(entry.arrays())).buffer);
    const faults = new Set();
    const all = cases(entry, expected);
    for (const [name, run] of all) {
      for (let round = 0; round < Number(rounds); round++) {
        const fault = await run();
        if (fault !== undefined) faults.add(`${name}: ${fault}`);
      }
    }
    console.log(`${title}: ${[...faults].join('; ') || `${all.length} × ${rounds}`}`);
  }
})();
