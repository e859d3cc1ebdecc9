/** How methods look in charts, on light and on dark paper: a colour and a dash for each. */

/** How the line of a method is drawn. */
export interface Look {
  readonly light: string;
  readonly dark: string;
  readonly width: number;
  readonly dash: readonly number[];
}

const look = (light: string, dark: string, dash: readonly number[] = [], width = 1.6): Look => ({
  light,
  dark,
  width,
  dash,
});

/**
 * Hues after Okabe and Ito (2008), which the colour-blind can tell apart, darker on white and lighter on black;
 * dashes tell apart those of one hue.
 */
export const looks: Readonly<Record<string, Look>> = {
  sgd: look('#6b6b6b', '#a8a8a8', [2, 3]),
  momentum: look('#6b6b6b', '#a8a8a8'),
  adagrad: look('#b08a00', '#f0e442', [6, 3]),
  rmsprop: look('#0a7a5a', '#2fc79b', [6, 3]),
  adam: look('#0a7a5a', '#2fc79b', [], 2.4),
  lbfgs: look('#8a4fb0', '#cf9af0', [8, 3, 2, 3]),
  kfac: look('#b85c00', '#ffa552'),
  cg10: look('#1f78c8', '#63b7ff', [6, 3]),
  cg20: look('#1f78c8', '#63b7ff'),
  cgfac: look('#c2185b', '#ff6fa3', [], 3),
};
