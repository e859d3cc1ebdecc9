/** What is compared on: five programs of the suite `tasks`, and smaller ones of their kinds for a quick run. */

import { PIXELS } from '../../datasets/pictures';
import { digits } from '../suites/training/programs/digits';
import { programs } from '../suites/training/programs/list';
import { feedForward, type Program } from '../suites/training/programs/making';
import { itself, pictureData } from '../suites/training/programs/picture-data';

/** A program, and how it is trained here. */
export interface Course {
  readonly program: Program;
  /** The steps after which losses are told; the last one ends the run. */
  readonly told: readonly number[];
  readonly batchFactor: number;
}

/** A task: what it is called, and its course in full and in a hurry. */
export interface Task {
  readonly name: string;
  readonly title: string;
  readonly full: Course;
  readonly quick: Course;
  /** Whether its outputs are pictures of its inputs, to look at. */
  readonly reconstructs?: true;
}

function named(name: string): Program {
  const found = programs.find((program) => program.name === name);
  if (found === undefined) throw new Error(`there is no ${name} in the suite tasks`);
  return found;
}

const short = [1, 2, 3, 5, 8, 12];
const middle = [1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50];
const long = [1, 2, 3, 5, 10, 15, 25, 40, 60, 80, 100, 120, 140, 160, 180, 200];

const course = (program: Program, told: readonly number[], batchFactor = 1): Course => ({ program, told, batchFactor });

/** An autoencoder of digits that takes a step in some milliseconds. */
const smallAutoencoder: Program = {
  name: 'small-digits-autoencoder',
  about: 'digits, 784-100-20-100-784 tanh with a linear code, cross-entropy',
  told: short,
  factor: PIXELS,
  unit: 'nats per image',
  cost: 5,
  make: (making) => ({
    kind: 'compiled',
    model: feedForward(making, PIXELS, [
      [100, 'tanh'],
      [20, 'linear'],
      [100, 'tanh'],
      [PIXELS, 'sigmoid'],
    ]),
    loss: 'binaryCrossentropy',
    data: pictureData(making, digits(), { figureBatches: 2, heldOut: 2, targets: itself }),
  }),
};

/** All tasks, by the order of tables. */
export const tasks: readonly Task[] = [
  {
    name: 'autoencoder',
    title: 'Autoencoder',
    full: course(named('deep-autoencoder'), middle),
    quick: course(smallAutoencoder, short),
    reconstructs: true,
  },
  {
    name: 'classifier',
    title: 'Classifier',
    full: course(named('digits'), long),
    quick: course(named('classifier'), short),
  },
  {
    name: 'convnet',
    title: 'Convolutional network',
    full: course(named('convnet'), [...middle, 70, 100]),
    quick: course(named('depthwise'), [1, 4], 1 / 8),
  },
  {
    name: 'recurrent',
    title: 'Recurrent network',
    full: course(named('addition-gru'), long),
    quick: course(named('addition-simple-rnn'), [1, 2, 4, 8]),
  },
  {
    name: 'regression',
    title: 'Regression',
    full: course(named('regression-relu'), long),
    quick: course(named('regression-relu'), short),
  },
];
