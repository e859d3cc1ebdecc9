/** Every layer of TensorFlow.js with weights, on every backend: tables of models, and what holds of each. */
import { quietWarnings } from './support/backends';
import { testCanaries } from './support/canary';
import { canaryRows } from './support/canary-rows';

quietWarnings();

// on what stock TensorFlow.js has
testCanaries(canaryRows, false);
