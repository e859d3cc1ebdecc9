/** Kinds of options that a network alone has. */
import { isRegExp } from 'node:util/types';
import type { Kind } from '../base/option-table';
import { elementsOf } from '../base/reading';
import { checkRequired, positive, readOptions, typeError } from '../base/validate';

/** Names of layers, or expressions that match them. */
export const layerPatterns: Kind<readonly (string | RegExp)[]> = {
  check: (value, name) => {
    const patterns = elementsOf(value, name);
    if (patterns === undefined) throw typeError('an array of names and regular expressions', name, value);
    return patterns.map((pattern, index) => {
      if (typeof pattern === 'string' || isRegExp(pattern)) return pattern;
      throw typeError('a name or a regular expression', `${name}[${index}]`, pattern);
    });
  },
  type: 'readonly (string | RegExp)[]',
  expected: 'an array of names and regular expressions',
};

/** A bound of a Kullback–Leibler divergence. */
export const divergence: Kind<{ readonly kl: number }> = {
  check: (value, name) => {
    const given = readOptions(value as { readonly kl?: unknown }, name, ['kl']);
    checkRequired(given, name, { kl: 'a number > 0' });
    return { kl: positive(given.kl, `${name}.kl`) };
  },
  type: '{\n  /** The divergence, > 0. */\n  readonly kl: number;\n}',
  expected: '{ kl }, a number > 0',
};
