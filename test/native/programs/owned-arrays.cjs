// node --expose-gc owned-arrays.cjs EVENT ROUNDS: something happens to an array of each call while the call is pending.
const { entries } = require('./entries.cjs');
const [, , event, rounds] = process.argv;

const turn = () => new Promise(setImmediate);
const lost = (array) => structuredClone(array, { transfer: [array.buffer] });
const decoys = [];

// What happens to the array, and whether it is gone then.
const events = {
  mutated: (array) => {
    array.fill(Number.NaN);
    return false;
  },
  transferred: (array) => {
    decoys.push(lost(array).fill(7)); // the memory has a new owner
    return true;
  },
  freed: (array) => {
    lost(array); // and nobody keeps it
    globalThis.gc({ type: 'minor' });
    for (let i = 0; i < 3; i++) decoys.push(new Float32Array(160 * 160).fill(7)); // in the memory that was its own
    return true;
  },
};

async function watched(entry, name, expected) {
  const arrays = entry.arrays();
  const promise = entry.start(arrays).then(
    (result) => (Buffer.compare(Buffer.from(result.buffer), expected) === 0 ? 'right' : 'wrong'),
    ({ code }) => code,
  );
  const gone = events[event](arrays[name]);
  await turn();
  const outcome = await promise;
  const wanted = gone && entry.out.includes(name) ? 'ERR_CGFAC_DETACHED_BUFFER' : 'right';
  // two arrays that a result depends on are gone where the weights beside a gradient are
  const allowed = gone && name === 'weights' ? [wanted, 'ERR_CGFAC_DETACHED_BUFFER'] : [wanted];
  const hit = decoys.splice(0).some((decoy) => decoy.some((value) => value !== 7));
  return allowed.includes(outcome) && !hit ? undefined : `${outcome}${hit ? ', another array overwritten' : ''}`;
}

(async () => {
  let count = 0;
  const faults = [];
  for (const [title, entry] of Object.entries(entries)) {
    const expected = Buffer.from(Float32Array.from(entry.sync(entry.arrays())).buffer);
    for (const name of Object.keys(entry.arrays())) {
      for (let round = 0; round < Number(rounds); round++, count++) {
        const fault = await watched(entry, name, expected);
        if (fault !== undefined) faults.push(`${title}, ${name}: ${fault}`);
      }
    }
  }
  console.log(faults.length > 0 ? [...new Set(faults)].join('; ') : `${count / rounds} rows`);
})();
