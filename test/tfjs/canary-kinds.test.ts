/** The canary table of layers that are no products of matrices: convolutions, tables, normalisations. */
import { quietWarnings } from './support/backends';
import { testCanaries } from './support/canary';
import { canaryKinds } from './support/canary-kinds';

quietWarnings();

// whose gradients the wasm backend lacks
testCanaries(canaryKinds, true);
