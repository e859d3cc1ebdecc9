/** The options of several ranks that train one network; see lib/base/option-table.ts. */
import type { Communicator } from '../../base/communicator';
import { kinds } from '../../base/kinds';
import { is, type Kind, type OptionRows } from '../../base/option-table';
import { reading } from '../../base/reading';
import { nonNegativeInteger, positiveInteger, typeError, valueError } from '../../base/validate';
import { CheckedCommunicator } from './checked';

const collectives = ['allreduce', 'alltoallv', 'allgatherv', 'bcast'].flatMap((name) => [name, `${name}Sync`]);

const communicator: Kind<Communicator> = {
  check: (value, name) =>
    reading('a communicator', name, () => {
      const given = value as Communicator | null | undefined;
      const methods = given as unknown as Readonly<Record<string, unknown>>;
      if (typeof given !== 'object' || given === null) throw typeError('a communicator', name, value);
      const missing = collectives.find((each) => typeof methods[each] !== 'function');
      if (missing !== undefined) throw typeError(`a communicator with ${missing}()`, name, value);
      const size = positiveInteger(given.size, `${name}.size`);
      const rank = nonNegativeInteger(given.rank, `${name}.rank`);
      if (rank >= size) throw valueError(`a rank below the size ${size}`, `${name}.rank`, rank);
      return given instanceof CheckedCommunicator ? given : new CheckedCommunicator(given, rank, size);
    }),
  type: 'Communicator',
  expected: 'a communicator',
};

/** What only several ranks have. */
export const ranksRows = {
  communicator: {
    kind: communicator,
    text:
      'The ranks that train this network together, each with its share of every batch: `connectMpi` of `cgfac/mpi` ' +
      'makes one, `local` that of a process by itself. See docs/guide-distributed-training.md.',
  },
  ownerRows: {
    kind: kinds.choice(['auto', 'all', 'sampled', 'own', 'factors']),
    default: is('auto'),
    only: [{ communicator: { given: true } }],
    values: {
      auto: {
        text: 'what is the fewest bytes of all that makes the factors of one process, for each layer and side',
      },
      all: { text: 'all of them as they were recorded, which gives the bits of one process' },
      sampled: { text: 'no more than `maxRows` of a side, drawn of those of all ranks' },
      own: { text: 'none: factors are made of the rows of the rank that they belong to' },
      factors: {
        text: 'the halves of A and G that each rank makes of its rows',
        needs: [
          { where: { factorHistory: ['dense'] }, because: 'a panel and a batch without history are made of rows' },
        ],
      },
    },
    text: 'What the rank that a layer belongs to has of the rows of the others.',
  },
  weightCheckSteps: {
    kind: kinds.positiveInteger,
    default: is(100),
    only: [{ communicator: { given: true } }],
    text:
      'Steps from one comparison of the registered weights of all ranks to the next, the first at the first step. ' +
      'Other weights on one of them are an error.',
  },
} satisfies OptionRows;
