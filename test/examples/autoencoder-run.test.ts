import { checkLoss } from '../../examples/autoencoder/run';

test('a loss that falls, or rises a little, is no divergence', () => {
  expect(() => checkLoss('adam', 2, 0.5, 0.7)).not.toThrow();
  expect(() => checkLoss('adam', 2, 1.04, 0.7)).not.toThrow();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('a loss of %d is a divergence', (loss) => {
  expect(() => checkLoss('sgd', 3, loss, 0.7)).toThrow(`sgd diverged: the loss at step 3 is ${loss}.`);
});

test('a loss above 1.5 times that of the first step is a divergence', () => {
  expect(() => checkLoss('cgfac', 4, 1.06, 0.7)).toThrow(
    'cgfac diverged: the loss at step 4 is 1.0600, more than 1.5 times the 0.7000 of the first step.',
  );
});
