// Arrays on buffers whose size can change are refused by every call, and so nothing is at work when the size changes.
const { entries } = require('./entries.cjs');

const kinds = {
  resizable: (bytes) => new ArrayBuffer(bytes, { maxByteLength: 2 * bytes }),
  growable: (bytes) => new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes }),
};
(async () => {
  let rows = 0;
  const faults = [];
  for (const [title, entry] of Object.entries(entries)) {
    for (const name of Object.keys(entry.arrays())) {
      for (const [kind, buffer] of Object.entries(kinds)) {
        const arrays = entry.arrays();
        const array = new Float32Array(buffer(arrays[name].byteLength));
        array.set(arrays[name]);
        const call = async () => entry.start({ ...arrays, [name]: array });
        const outcome = call().then(
          () => 'a result',
          ({ code }) => code,
        );
        if (kind === 'resizable') array.buffer.resize(0);
        if ((await outcome) !== 'ERR_CGFAC_DETACHED_BUFFER') faults.push(`${title}, ${name}: ${await outcome}`);
        rows++;
      }
    }
  }
  console.log(faults.length > 0 ? faults.join('; ') : `${rows} rows refused`);
})();
