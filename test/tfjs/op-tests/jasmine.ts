/** Jasmine, whose functions the op tests of TensorFlow.js find among the globals: to be imported before them. */
import jasmineRequire from 'jasmine-core/lib/jasmine-core/jasmine.js';

const jasmine = jasmineRequire.core(jasmineRequire);

/** What the specs are declared in. */
export const environment = jasmine.getEnv({ suppressLoadErrors: true });
Object.assign(globalThis, jasmineRequire.interface(jasmine, environment), { jasmine });
