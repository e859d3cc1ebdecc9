// mpirun -n P node collectives.cjs FOLDER: each rank calls every collective with every type of numbers, in many sizes,
// and writes what it gave and what it got to FOLDER/RANK.json.
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { connectMpi } = require('cgfac/mpi');

const [folder] = process.argv.slice(2);
const types = [Float32Array, Float64Array, Int32Array, Uint8Array];
const bytesOf = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('base64');
const written = (value) => {
  if (Array.isArray(value)) return value.map(written);
  return ArrayBuffer.isView(value) ? { type: value.constructor.name, bytes: bytesOf(value) } : value;
};

/** Numbers that differ from rank to rank and from call to call; their sums are in the range of the type. */
function numbersOf(communicator) {
  let state = 77 + communicator.rank;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return (Type, length) => {
    const scale = { Float32Array: 20, Float64Array: 20, Int32Array: 2 ** 28, Uint8Array: 250 / communicator.size };
    const signed = Type === Uint8Array ? 0 : 0.5;
    // sums of numbers of very different sizes depend on their order
    const spread = () => (Type === Float32Array || Type === Float64Array ? 10 ** (6 * next() - 3) : 1);
    const made = Type.from({ length }, () => (next() - signed) * scale[Type.name] * spread());
    return made;
  };
}

async function tableOf(communicator, numbers, record) {
  const { rank, size } = communicator;
  for (const Type of types) {
    for (const length of [0, 1, 7, 257]) {
      const values = numbers(Type, length);
      for (const operation of ['sum', 'min', 'max']) {
        const given = { call: 'allreduce', operation, values };
        record(given, await communicator.allreduce(values, operation), communicator.allreduceSync(values, operation));
      }
      for (let root = 0; root < size; root++) {
        const given = { call: 'bcast', root, values };
        record(given, await communicator.bcast(values, root), communicator.bcastSync(values, root));
      }
      // some of them empty, all of them of different lengths
      const parts = Array.from({ length: size }, (_, to) => numbers(Type, (length * ((3 * rank + to) % 4)) >> 1));
      const counts = Array.from({ length: size }, (_, from) => (length * ((3 * from + rank) % 4)) >> 1);
      const given = { call: 'alltoallv', parts };
      record(given, await communicator.alltoallv(parts), communicator.alltoallvSync(parts));
      record(given, await communicator.alltoallv(parts, { counts }), communicator.alltoallvSync(parts, { counts }));
      const own = numbers(Type, rank * length);
      const of = { counts: Array.from({ length: size }, (_, from) => from * length) };
      const gathered = { call: 'allgatherv', values: own };
      record(gathered, await communicator.allgatherv(own), communicator.allgathervSync(own));
      record(gathered, await communicator.allgatherv(own, of), communicator.allgathervSync(own, of));
    }
  }
  const large = numbers(Float32Array, 100_001);
  record({ call: 'allreduce', operation: 'sum', values: large }, await communicator.allreduce(large));
  await communicator.barrier();
  communicator.barrierSync();
}

/** Eighty collectives that are all under way before the first result is taken. */
async function crowd(communicator, numbers, record) {
  const calls = Array.from({ length: 80 }, (_, index) => {
    const values = numbers(types[index % 4], 50 + index);
    const kept = values.slice();
    const call = ['allreduce', 'bcast', 'allgatherv'][index % 3];
    const promise = communicator[call](values);
    values.fill(1); // it was copied when the call was made
    return { call, operation: 'sum', root: 0, values: kept, promise };
  });
  for (const { promise, ...given } of calls) record(given, await promise);
}

/** What is refused leaves the communicator as it was, on all ranks. */
async function refusals(communicator) {
  const codes = [];
  const attempt = async (call) => {
    try {
      await call();
      codes.push('none');
    } catch (error) {
      codes.push(error.code);
    }
  };
  const { rank, size } = communicator;
  const many = (value) => Array.from({ length: size }, () => value);
  await attempt(() => communicator.allreduce(Int32Array.of(2 ** 31 - 1, 1)));
  await attempt(() => communicator.allreduceSync(Uint8Array.of(1, 255)));
  await attempt(() => communicator.allreduce(new Uint8Array(2 ** 31))); // pages that nobody touches
  await attempt(() => communicator.allreduce([1]));
  await attempt(() => communicator.allreduce(new Float32Array(1), 'product'));
  await attempt(() => communicator.bcast(new Float32Array(1), size));
  await attempt(() => communicator.alltoallv([...many(new Float32Array(1)), new Float32Array(1)]));
  await attempt(() => communicator.allgatherv(new Float32Array(1), { counts: many(2) }));
  await attempt(() => communicator.allgatherv(new Float32Array(1), { count: many(1) }));
  const most = (own) => many(0).map((_, each) => (each === rank ? own : 2 ** 31 - 8));
  await attempt(() => communicator.allgatherv(new Float32Array(1), { counts: most(1) }));
  await attempt(() =>
    communicator.allgathervSync(new Float32Array(1), {
      counts: most(1).map((count) => (count === 1 ? 1 : 2 ** 53 - 1)),
    }),
  );
  await attempt(() => communicator.alltoallv(many(new Uint8Array(1)), { counts: most(1) }));
  await attempt(() => communicator.alltoallvSync(many(new Uint8Array(1)), { counts: most(1) }));
  for (const name of ['rank', 'size']) {
    Reflect.set(communicator, name, 7);
    codes.push(communicator[name] === { rank, size }[name] ? 'read-only' : 'assigned');
  }
  const odd = Object.defineProperty(new Float32Array(0), 'buffer', {
    get() {
      throw new Error('a trap');
    },
  });
  await attempt(() => communicator.allreduce(odd));
  await attempt(() => communicator.allgatherv(Object.defineProperty(new Float32Array(1), 'length', { value: 9 })));
  await attempt(() => {
    const moved = new Float32Array(3);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    return communicator.allreduce(moved);
  });
  const [sum] = await communicator.allreduce(Float64Array.of(rank));
  return { codes, sum };
}

async function main() {
  const communicator = await connectMpi({ timeout: 15_000 });
  const entries = [];
  const record = (given, ...results) => {
    const values = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, written(value)]));
    entries.push({ ...values, results: results.map(written) });
  };
  const numbers = numbersOf(communicator);
  await tableOf(communicator, numbers, record);
  await crowd(communicator, numbers, record);
  const special = Float64Array.of(communicator.rank === 0 ? Number.NaN : 1, 2, Number.NEGATIVE_INFINITY);
  for (const operation of ['sum', 'min', 'max'])
    record({ call: 'allreduce', operation, values: special }, await communicator.allreduce(special, operation));
  const refused = await refusals(communicator);
  const { rank, size, library } = communicator;
  await communicator.finalize();
  await communicator.finalize();
  const after = await communicator.barrier().catch(({ code }) => code);
  const again = await connectMpi().catch(({ code }) => code);
  writeFileSync(join(folder, `${rank}.json`), JSON.stringify({ rank, size, library, entries, refused, after, again }));
}

main();
