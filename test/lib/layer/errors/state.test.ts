// What is refused for the state that something is in: no batch, pending calls, disposed; and spectra and threads.
import { LayerPreconditioner, preconditionAll, preconditionAllSync, setThreads } from 'cgfac';
import { type Case, codes, layer, own, recorded, rows, testRefusals, untyped, vector } from '../../../support/refusals';

const { type, value } = codes;

const spectrum = () => {
  const preconditioner = new LayerPreconditioner<true>({ ...layer(), method: 'exact' });
  preconditioner.record(rows());
  return preconditioner.preconditionSync(vector(), { spectrum: true }).spectrum;
};

const table: Case[] = [
  // spectra
  ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY].map(
    (damping): Case => ({
      what: `a spectrum at ${damping}`,
      code: value,
      message: `Expected a finite number > 0 for damping but received ${damping}`,
      call: () => spectrum()?.at(damping),
    }),
  ),
  {
    what: "a spectrum at 'x'",
    code: type,
    message: "Expected a number > 0 for damping but received 'x'",
    call: () => spectrum()?.at(untyped('x')),
  },
  // pool threads
  ...[0, 1.5, -1, 1025, Number.NaN].map(
    (threads): Case => ({
      what: `setThreads(${threads})`,
      code: value,
      message: `Expected an integer from 1 to 1024 for threads but received ${threads}`,
      call: () => setThreads(threads),
    }),
  ),
  {
    what: "setThreads('2')",
    code: type,
    message: "Expected an integer from 1 to 1024 for threads but received '2'",
    call: () => setThreads(untyped('2')),
  },
  // state
  {
    what: 'a direction before a batch',
    code: 'ERR_CGFAC_NO_RECORD',
    message: 'Expected a batch from record() for precondition but received none',
    call: () => new LayerPreconditioner<true>(layer()).preconditionSync(vector()),
  },
  ...(['precondition', 'naturalGradient', 'preconditionAll'] as const).flatMap((pending): Case[] =>
    (['preconditionSync', 'naturalGradientSync', 'preconditionAllSync', 'memoryUsage', 'reset'] as const).map(
      (call) => ({
        what: `${call} while ${pending} is pending`,
        code: 'ERR_CGFAC_BUSY',
        message: expect.stringMatching(
          new RegExp(`^Expected no pending .* for ${call}\\(\\) but received 1; await them first$`),
        ),
        call: async () => {
          const preconditioner = recorded();
          const promise = {
            precondition: () => preconditioner.precondition(vector()),
            naturalGradient: () => preconditioner.naturalGradient(own()),
            preconditionAll: () => preconditionAll([{ layer: preconditioner, v: vector() }]),
          }[pending]();
          try {
            return {
              preconditionSync: () => preconditioner.preconditionSync(vector()),
              naturalGradientSync: () => preconditioner.naturalGradientSync(own()),
              preconditionAllSync: () => preconditionAllSync([{ layer: preconditioner, v: vector() }]),
              memoryUsage: () => preconditioner.memoryUsage(),
              reset: () => preconditioner.reset(),
            }[call]();
          } finally {
            await promise;
          }
        },
      }),
    ),
  ),
  ...(
    [
      'record',
      'preconditionSync',
      'precondition',
      'naturalGradientSync',
      'naturalGradient',
      'memoryUsage',
      'reset',
    ] as const
  ).map(
    (method): Case => ({
      what: `${method} after dispose`,
      code: 'ERR_CGFAC_DISPOSED',
      message: 'Expected a live LayerPreconditioner for this call but received one that was disposed of',
      call: () => {
        const preconditioner = recorded();
        preconditioner.dispose();
        preconditioner.dispose(); // twice is fine
        return preconditioner[method](
          untyped(method === 'record' ? rows() : method.startsWith('natural') ? own() : vector()),
        );
      },
    }),
  ),
];

testRefusals(table);
