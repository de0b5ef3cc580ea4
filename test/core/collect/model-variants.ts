/** The protocol, and the ways to get it wrong that the model must notice. */

export const WRONG_VARIANTS = [
  'no look',
  'look before publish',
  'skipped look by the process clock',
  'has looks before it lists',
  'revive',
  "collector's clock",
  'packs before segments',
  'no listing after the grace',
  'no touch',
  'label without a look',
  'trust what replaces',
  'copies not looked at',
  'replica deletes first',
] as const;

export type WrongVariant = (typeof WRONG_VARIANTS)[number];
/** `merge without a look` is not safe by itself: that nothing is lost by it is the collector's doing. */
export type Variant = 'right' | 'merge without a look' | WrongVariant;
